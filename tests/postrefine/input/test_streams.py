from __future__ import annotations

import math

import numpy as np
import pytest

from dxtbx import flumpy

from crystfel_streams import chunk, crystal, head, stream
from dials_truncfix import compat
from dials_truncfix.io.stream import StreamFile
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.streams import (
    StreamOptions,
    polarisation_factor,
    stream_pieces,
)
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.stills_output import stills_experiments, stills_reflections
from simulated_lattices import ELECTRONS, LYSOZYME, sphere, stills_model

P43212 = StreamOptions("P 43 21 2")


def simulated(wavelength=1.3, n=3):
    model = stills_model(wavelength, n_lattices=n, d_min=5.0)
    return model, list(simulate_stills(sphere(5.0), model, 2))


def load_stream(path, options):
    pieces, n_incomplete = stream_pieces(path, options)
    return [piece.load() for piece in pieces], n_incomplete


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("wavelength", [1.3, ELECTRONS])
def test_a_stream_says_what_tables_of_the_same_lattices_say(tmp_path, wavelength):
    """A, s0, s1 and intensities, to the digits that a stream has."""
    model, stills = simulated(wavelength)
    path = written(tmp_path / "a.stream", stream(stills, np.array(model.s0)))
    (loaded,), n_incomplete = load_stream(path, P43212)
    assert n_incomplete == 0
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    table = stills_reflections(stills, experiments)
    for ours, theirs in zip(loaded.experiments, experiments):
        np.testing.assert_allclose(
            ours.crystal.get_A(), theirs.crystal.get_A(), atol=6e-9
        )
        np.testing.assert_allclose(ours.beam.get_s0(), theirs.beam.get_s0(), rtol=1e-7)
        assert compat.is_electron_beam(ours.beam) == (wavelength == ELECTRONS)
    assert list(loaded.table["miller_index"]) == list(table["miller_index"])
    assert list(loaded.table["id"]) == list(table["id"])
    for name, tolerance in (("s1", 1e-6), ("intensity.sum.value", 0.006)):
        ours, theirs = (np.array(t[name]) for t in (loaded.table, table))
        np.testing.assert_allclose(ours, theirs, atol=tolerance)
    assert loaded.experiments[1].identifier == "000001:run1.h5//1"


def test_pieces_of_a_stream_are_read_by_themselves(tmp_path):
    """Two crystals at a time, in any order, an incomplete image between them."""
    model, stills = simulated(n=5)
    text = stream(stills, np.array(model.s0))
    cut = text.index("End of reflections", len(text) // 2)
    path = written(tmp_path / "a.stream", text[:cut] + text)
    (whole,), n_incomplete = load_stream(path, P43212)
    pieces, again = stream_pieces(path, P43212, n_crystals=2)
    assert n_incomplete == again == 1
    assert [piece.part.n_crystals for piece in pieces] == [2, 2, 2, 1]
    loaded = [piece.load() for piece in reversed(pieces)][::-1]
    names = [name for part in loaded for name in part.experiments.identifiers()]
    assert names == list(whole.experiments.identifiers())
    values = [x for part in loaded for x in part.table["intensity.sum.value"]]
    assert values == list(whole.table["intensity.sum.value"])


def test_rays_end_where_reflections_were_seen(tmp_path):
    """On the right panel, within 0.05 pixels: half of the last digit of a stream."""
    model, stills = simulated()
    path = written(tmp_path / "a.stream", stream(stills, np.array(model.s0)))
    (loaded,), _ = load_stream(path, P43212)
    detector = loaded.experiments[0].detector
    assert len(detector) == 2
    assert {id(e.detector) for e in loaded.experiments} == {id(detector)}
    for row in loaded.table.rows():
        x, y = detector[row["panel"]].get_ray_intersection_px(row["s1"])
        np.testing.assert_allclose(row["xyzcal.px"][:2], (x, y), atol=0.051)


def test_real_excitation_errors_are_those_of_crystfel(shared_data):
    """Their spread is CrystFEL's profile radius within 3 % (median of 32 lattices), and
    positions agree to 0.1 pixels.

    CrystFEL shifts the detector of each image, by what its line det_shift says.
    """
    path = shared_data / "stills" / "5HT2B_test.stream"
    (loaded,), n_incomplete = load_stream(path, StreamOptions("C 2 2 21"))
    file = StreamFile(path)
    crystals = list(file.crystals())
    assert (file.n_images, len(crystals), n_incomplete) == (70, 32, 0)
    assert len(loaded.table) == 7966
    data = load_data_set([loaded], InputOptions())
    assert data.left_out["systematically absent"] == 6
    ids = loaded.table["id"].as_numpy_array()
    hkl = np.array(list(loaded.table["miller_index"]))
    s1 = flumpy.to_numpy(loaded.table["s1"])
    px = flumpy.to_numpy(loaded.table["xyzcal.px"])
    panel = loaded.table["panel"].as_numpy_array()
    ratios = []
    for number, (experiment, theirs) in enumerate(zip(loaded.experiments, crystals)):
        mine = np.flatnonzero(ids == number)
        a = np.reshape(experiment.crystal.get_A(), (3, 3))
        s0 = np.array(experiment.beam.get_s0())
        r_h = np.linalg.norm(hkl[mine] @ a.T + s0, axis=1) - np.linalg.norm(s0)
        ratios.append(np.sqrt(np.mean(r_h**2)) / theirs.profile_radius)
        assert np.abs(r_h).max() < 2 * theirs.profile_radius
        away = []
        for row in mine[:40]:
            shown = experiment.detector[int(panel[row])]
            seen = np.array(shown.get_pixel_lab_coord(tuple(px[row, :2])))
            ray = s1[row] * seen[2] / s1[row][2]
            away.append((seen - ray)[:2] / shown.get_pixel_size()[0])
        # what is left when the detector is where CrystFEL put it
        away = np.array(away) - np.mean(away, axis=0)
        assert np.abs(away).max() < 0.1
    assert np.median(ratios) == pytest.approx(1, abs=0.03)
    assert 0.85 < min(ratios) and max(ratios) < 1.15


def test_polarisation_is_corrected_when_it_is_stated(tmp_path):
    """An unpolarised beam loses (1 + cos² 2θ)/2; a horizontal one all at 90° sideways."""
    angle = math.radians(30)
    rays = np.array(
        [
            [math.sin(angle), 0, -math.cos(angle)],
            [0, math.sin(angle), -math.cos(angle)],
            [1, 0, 0],
        ]
    )
    np.testing.assert_allclose(
        polarisation_factor(rays, 0.5)[:2], (1 + math.cos(angle) ** 2) / 2
    )
    np.testing.assert_allclose(
        polarisation_factor(3 * rays, 1.0), [math.cos(angle) ** 2, 1, 0], atol=1e-15
    )
    model, stills = simulated()
    path = written(tmp_path / "a.stream", stream(stills, np.array(model.s0)))
    (plain,), _ = load_stream(path, P43212)
    (loaded,), _ = load_stream(path, StreamOptions("P43212", 1.0))
    data = [load_data_set([x], InputOptions()) for x in (plain, loaded)]
    assert [x.corrections for x in data] == [(), ("polarisation",)]
    s1 = flumpy.to_numpy(loaded.table["s1"])[data[1].table_row.values]
    np.testing.assert_allclose(
        data[0].observations.intensity,
        polarisation_factor(s1, 1.0) * data[1].observations.intensity,
    )


def test_crystals_without_reflections_are_counted(tmp_path):
    model, stills = simulated()
    full, empty = (crystal(still, np.array(model.s0)) for still in stills[:2])
    lines = empty.splitlines(keepends=True)
    first = lines.index("Reflections measured after indexing\n")
    empty = "".join([*lines[:first], "No integrated reflections.\n", lines[-1]])
    path = written(tmp_path / "a.stream", head() + chunk(full + empty))
    (loaded,), _ = load_stream(path, P43212)
    assert len(loaded.experiments) == 2 and set(loaded.table["id"]) == {0}
    path = written(tmp_path / "b.stream", head() + chunk(empty))
    with pytest.raises(ValueError, match="1 crystal, and no integrated reflection"):
        load_stream(path, P43212)


def test_without_geometry_there_is_no_detector(tmp_path):
    model, stills = simulated()
    text = head(geometry="") + chunk(crystal(stills[0], np.array(model.s0)))
    (loaded,), _ = load_stream(written(tmp_path / "a.stream", text), P43212)
    assert loaded.experiments[0].detector is None


@pytest.mark.parametrize(
    ("options", "lattices", "words"),
    [
        (
            StreamOptions(),
            ["tetragonal P c"],
            r"\(tetragonal P\): give stream.space_group",
        ),
        (
            StreamOptions("P 2 3"),
            ["tetragonal P c"],
            "crystal 0 .* stream.space_group=P 2 3",
        ),
        (P43212, ["tetragonal P c", "cubic F ?"], "crystal 1 has a lattice cubic F"),
        (StreamOptions("X"), ["tetragonal P c"], "X is not a space group"),
        (P43212, [], "no crystal in 1 complete image"),
    ],
)
def test_streams_that_cannot_be_used_are_refused(tmp_path, options, lattices, words):
    model, stills = simulated()
    crystals = (
        crystal(still, np.array(model.s0), lattice.split())
        for still, lattice in zip(stills, lattices)
    )
    path = written(tmp_path / "a.stream", head() + chunk("".join(crystals)))
    with pytest.raises(ValueError, match=words):
        load_stream(path, options)
