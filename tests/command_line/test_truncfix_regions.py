"""Regions as a user asks for them: sectors, tiles and labels."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.io import cbf
from recordings import imported, pixels_of, record, true_frames
from truncfix_runs import SMALL, fails, files_of

#: Small recordings have small regions.
TINY = [*SMALL, "annuli.minimum_pixels=1500"]
SIZE = 256
SLOW, FAST = np.indices((SIZE, SIZE))
QUADRANTS = 1 + 2 * (SLOW >= SIZE // 2) + (FAST >= SIZE // 2)


@pytest.fixture(scope="module")
def quadrants(tmp_path_factory):
    """A sensor of which two quadrants have twice the read noise."""
    true = true_frames(4)
    generator = np.random.default_rng(5)
    noisy = np.rint(true + generator.normal(0, 9, true.shape)).astype(np.int32)
    true = np.where(QUADRANTS % 3 == 1, noisy, true)
    return record(tmp_path_factory.mktemp("movie"), true)


def labels_file(folder, labels):
    path = folder / "labels.npy"
    np.save(path, labels)
    return f"regions.labels={path}"


def json_of(folder):
    return json.loads((folder / "dials.truncfix.json").read_text())


@pytest.mark.parametrize("shape", ["sectors", "tiles"])
def test_background_is_repaired(recording, here, caplog, shape):
    run([str(imported(recording, here)), *TINY, f"regions.shape={shape}"])
    pixels = pixels_of(here / "truncfix.expt")
    positive = recording.truncated > 0
    np.testing.assert_array_equal(pixels[positive], recording.truncated[positive])
    assert abs(pixels.mean() - recording.true.mean()) < 0.1
    assert pixels.std() == pytest.approx(recording.true.std(), rel=0.04)
    table = caplog.text[caplog.text.index("Lowest, highest") :]
    rows = re.findall(r"^\| +(\d+) \|", table, re.MULTILINE)
    assert rows == ["1", "2", "3", "4"]


@pytest.mark.parametrize("shape", ["sectors", "tiles"])
def test_a_slice_gets_the_same_pixels(quadrants, here, shape):
    options = [*TINY, f"regions.shape={shape}", labels_file(here, QUADRANTS)]
    run([str(imported(quadrants, here)), *options])
    sliced = ExperimentListFactory.from_filenames([str(quadrants.path)])
    experiment = sliced[0]
    experiment.imageset = experiment.imageset[1:3]
    experiment.scan = experiment.imageset.get_scan()
    sliced.as_file("sliced.expt")
    run(["sliced.expt", *options, "output.directory=part"])
    for number in (2, 3):
        name = f"truncfix_{number:05d}.cbf"
        np.testing.assert_array_equal(
            cbf.read_pixels(here / "part" / name), cbf.read_pixels(here / name)
        )


def quadrant_errors(pixels, recording):
    away = (pixels - recording.true).mean(axis=0)
    return np.array([away[QUADRANTS == label].mean() for label in (1, 2, 3, 4)])


def test_labels_keep_apart_what_is_read_out_apart(quadrants, here):
    expt = str(imported(quadrants, here))
    run([expt, *TINY])
    mixed = quadrant_errors(pixels_of("truncfix.expt"), quadrants)
    run([expt, *TINY, labels_file(here, QUADRANTS)])
    apart = quadrant_errors(pixels_of("truncfix.expt"), quadrants)
    assert np.abs(mixed).min() > 0.3
    assert np.abs(apart).max() < 0.15


def test_label_zero_stays_as_it_is(recording, here):
    labels = np.where(FAST > 200, 0, 1).astype(np.uint8)
    run([str(imported(recording, here)), *SMALL, labels_file(here, labels)])
    pixels = pixels_of("truncfix.expt")
    kept = (slice(None), labels == 0)
    np.testing.assert_array_equal(pixels[kept], recording.truncated[kept])
    assert pixels[:, labels == 1].min() < 0


def test_record(quadrants, here, caplog):
    labels = QUADRANTS.copy()
    labels[-20:, -20:] = 9
    option = labels_file(here, labels)
    run([str(imported(quadrants, here)), *TINY, "regions.shape=sectors", option])
    found = json_of(here)
    regions = found["regions"]
    assert regions["shape"] == "sectors"
    assert len(regions["d_limits"]) == 5
    assert regions["labels"]["path"] == found["parameters"]["labels"]
    assert len(regions["labels"]["sha256"]) == 64
    # label 9 was too small
    cells = regions["cells"]
    assert {tuple(cell["labels"]) for cell in cells} == {(1,), (2,), (3,), (4, 9)}
    assert "Label 9, of fewer than 1500 pixels, is fitted together" in caplog.text
    assert all(0 <= low < high <= 360 for low, high in (c["azimuth"] for c in cells))
    for image in found["images"]:
        assert sum(image["n_pixels"]) == SIZE**2
        used = found["divisions"][image["division"]]["cells"]
        assert {cell for region in used for cell in region} == set(range(len(cells)))
    assert len(found["anisotropy"]) == 4
    assert set(found["anisotropy"][0]) >= {"statistic", "amplitude", "advised"}


def test_annuli_are_described_as_ever(corrected):
    found = json_of(corrected)
    assert set(found["regions"]) == {"shape", "d_limits"}
    assert [set(division) for division in found["divisions"]] == [{"d_max", "d_min"}]
    assert len(found["anisotropy"]) == 4
    assert not any(ring["advised"] for ring in found["anisotropy"])


def test_sectors_are_advised_where_they_help(here, caplog):
    azimuth = np.arctan2(SLOW - SIZE / 2, FAST - SIZE / 2)
    true = true_frames(6, level=2.0)
    generator = np.random.default_rng(3)
    away = 4.0 * np.cos(azimuth) + generator.normal(0, 0.3, true.shape)
    uneven = record(here / "movie", np.rint(true + away).astype(np.int32))
    run([str(imported(uneven, here)), *SMALL])
    assert "regions.shape=sectors" in caplog.text
    assert sum(ring["advised"] for ring in json_of(here)["anisotropy"]) >= 2
    caplog.clear()
    run([str(imported(uneven, here)), *TINY, "regions.shape=sectors"])
    assert "Give regions.shape" not in caplog.text


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.ones((256, 128), int), "has 128 × 256 pixels, but the images have 256"),
        (np.zeros((SIZE, SIZE), int), "every pixel is labelled 0"),
        (QUADRANTS / 2, "labels must be integers"),
        (QUADRANTS - 2, "label -1 is negative"),
        (SLOW + 1 + SIZE * (FAST % 2), "512 different labels"),
    ],
)
def test_refuses_labels(recording, here, labels, message):
    told = fails([imported(recording, here), *SMALL, labels_file(here, labels)])
    assert message in told
    assert str(here / "labels.npy") in told
    assert files_of(here) == ["labels.npy"]
    assert message in fails(["imported.expt", "mode=check", labels_file(here, labels)])


def test_refuses_labels_that_the_mask_hides(recording, here):
    from dxtbx import flumpy
    from dxtbx.format.image import ImageBool

    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    hidden = flumpy.from_numpy(QUADRANTS != 2)
    expt[0].imageset.external_lookup.mask.data = ImageBool(hidden)
    from dials_truncfix.sweep.label_image import read_label_image
    from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
    from dials_truncfix.sweep.repair import repair_sweep

    labels_file(here, QUADRANTS)
    options = CorrectionOptions(labels=read_label_image("labels.npy"))
    with pytest.raises(ValueError, match="labels.npy.*leaves no pixel of label 2"):
        repair_sweep(expt, options, OutputOptions())
    assert files_of(here) == ["labels.npy"]


def test_refuses_a_missing_label_image(recording, here):
    told = fails([imported(recording, here), "regions.labels=absent.tif"])
    assert told.startswith("absent.tif: No such file")


def test_labels_are_not_overwritten(recording, here):
    option = labels_file(here, QUADRANTS)
    told = fails([imported(recording, here), *SMALL, option, "output.json=labels.npy"])
    assert "labels.npy is an input and would be overwritten" in told
    np.testing.assert_array_equal(np.load("labels.npy"), QUADRANTS)


def test_a_sidecar_holds_its_regions(quadrants, here):
    options = [*TINY, "regions.shape=tiles", labels_file(here, QUADRANTS)]
    expt = str(imported(quadrants, here))
    run([expt, *options])
    written = pixels_of("truncfix.expt")
    run([expt, *options, "output.format=sidecar", "output.experiments=sidecar.expt"])
    (here / "labels.npy").unlink()
    np.testing.assert_array_equal(pixels_of("sidecar.expt"), written)
