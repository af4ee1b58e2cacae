from __future__ import annotations

import numpy as np
import pytest

from crystfel_streams import FROM_DIALS, HEADING, chunk, crystal, head, stream
from dials_truncfix.io.stream import StreamFile
from dials_truncfix.simulate.stills import simulate_stills
from simulated_lattices import sphere, stills_model


@pytest.fixture(scope="module")
def model():
    return stills_model(n_lattices=4, d_min=6.0)


@pytest.fixture(scope="module")
def stills(model):
    return list(simulate_stills(sphere(6.0), model, 1))


def read(path, text):
    path.write_text(text)
    file = StreamFile(path)
    return file, list(file.crystals())


@pytest.mark.parametrize("version", ["2.2", "2.3"])
def test_crystals_are_read_as_they_were_written(tmp_path, stills, model, version):
    text = stream(stills, np.array(model.s0), version=version)
    file, crystals = read(tmp_path / "a.stream", text)
    assert [panel.name for panel in file.panels] == ["left", "right"]
    assert (file.n_images, file.n_crystals, file.n_incomplete) == (4, 4, 0)
    for number, (found, still) in enumerate(zip(crystals, stills)):
        assert (found.image, found.event) == ("run1.h5", f"//{number}")
        assert found.wavelength == pytest.approx(1.3, abs=1e-9)
        assert found.camera_length == pytest.approx(200)
        assert found.profile_radius == pytest.approx(1e-3)
        assert (found.lattice_type, found.centering) == ("tetragonal", "P")
        np.testing.assert_allclose(found.setting, FROM_DIALS @ still.setting, atol=1e-8)
        np.testing.assert_array_equal(found.miller_index, still.miller_index)
        np.testing.assert_allclose(found.intensity, still.intensity, atol=0.005)
        np.testing.assert_allclose(found.sigma**2, still.variance, rtol=1e-3)
        assert set(found.peak) == {99.0} and set(found.background) == {3.25}
        np.testing.assert_array_equal(found.panel, (found.fast >= 1000).astype(int))


def test_images_hold_any_number_of_crystals(tmp_path, stills, model):
    each = [crystal(still, np.array(model.s0)) for still in stills[:3]]
    text = head() + chunk() + chunk(each[0] + each[1]) + chunk(each[2])
    file, crystals = read(tmp_path / "a.stream", text)
    assert (file.n_images, file.n_crystals) == (3, 3)
    assert [found.number for found in crystals] == [0, 1, 0]
    for found, still in zip(crystals, stills):
        assert len(found.intensity) == len(still.intensity)


def test_a_stream_may_end_anywhere(tmp_path, stills, model):
    """Every hundredth place: the images before it are whole, that with it is left out."""
    text = stream(stills, np.array(model.s0))
    ends = [i for i in range(len(text)) if text.startswith("----- End chunk", i)]
    begins = [i for i in range(len(text)) if text.startswith("----- Begin chunk", i)]
    for cut in range(len(head()), len(text), 101):
        file, crystals = read(tmp_path / "cut.stream", text[:cut])
        whole = sum(cut >= end + 21 for end in ends)
        begun = sum(cut >= begin + 23 for begin in begins)
        assert (len(crystals), file.n_incomplete) == (whole, begun - whole)


def test_streams_may_follow_each_other(tmp_path, stills, model):
    """Also where the first was cut short, within a list and elsewhere."""
    text = stream(stills, np.array(model.s0))
    for cut in (text.rindex("End of refl") - 200, text.rindex("lattice_type")):
        cut = text.rindex("\n", 0, cut) + 1
        file, crystals = read(tmp_path / "two.stream", text[:cut] + text)
        assert (file.n_images, file.n_crystals, file.n_incomplete) == (7, 7, 1)
        first = len(stills) - 1
        for i in range(first):
            np.testing.assert_array_equal(
                crystals[i].intensity, crystals[first + i].intensity
            )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a CrystFEL stream"),
        ("\x00\x01\x02" * 1000, "not a CrystFEL stream"),
        ("CrystFEL reflection list version 2.0\n", "not a CrystFEL stream"),
        (head("2.1"), "version 2.1 cannot be read, only 2.2 and 2.3"),
        (head("3.0"), "version 3.0 cannot be read"),
        (head(geometry="a/fs = x\n"), "detector geometry: panel a has no min_fs"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=rf"a\.stream.*{words}"):
        read(tmp_path / "a.stream", text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("bstar = ", "bsta = ", "a crystal without bstar"),
        ("bstar = +", "bstar = x", "a crystal that is not understood"),
        ("photon_energy_eV", "energy", "a crystal without photon_energy_eV"),
        ("photon_energy_eV = ", "photon_energy_eV = -", "a photon energy of -"),
        ("photon_energy_eV = ", "photon_energy_eV = nan ", "a photon energy of nan"),
        ("astar = +", "astar = -", "right-handed cell"),
        (HEADING, "", "without a heading"),
        ("      99.00 ", " ninety ", "not a reflection of this version"),
        ("      99.00 ", "  ", "not a reflection of this version"),
        (HEADING, HEADING + "nan 0 0 1 1 1 1 1 1 left\n", "impossible indices"),
        (HEADING, HEADING + "0 -1e99 0 1 1 1 1 1 1 left\n", "impossible indices"),
    ],
)
def test_damage_is_found_with_its_line(tmp_path, stills, model, old, new, words):
    text = stream(stills[:1], np.array(model.s0))
    if old == "astar = +":
        old = next(line for line in text.splitlines() if line.startswith("astar"))
        new = "astar = {} {} {}".format(*(-float(word) for word in old.split()[2:5]))
    assert old in text
    with pytest.raises(ValueError, match=rf"a\.stream, line \d+: .*{words}"):
        read(tmp_path / "a.stream", text.replace(old, new, 1))
