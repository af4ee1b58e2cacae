"""dials.truncfix mode=verify as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dials.util import Sorry
from dials.util.slice import slice_experiments
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.io import cbf
from recordings import imported, record, true_frames
from truncfix_runs import SMALL, fails, files_of

VERIFY = ["truncfix.expt", "mode=verify"]
SIDE = "output.format=sidecar"


@pytest.fixture
def work(recording, here):
    """Folder with a recording of its own, imported."""
    (here / "movie").mkdir()
    shutil.copy(recording.path, here / "movie")
    return here


@pytest.fixture
def correct(work):
    def run_it(*options):
        from dxtbx.model.experiment_list import ExperimentListFactory

        movie = str(work / "movie" / "movie_000.tvips")
        ExperimentListFactory.from_filenames([movie]).as_file("imported.expt")
        run(["imported.expt", *SMALL, *options])
        return work

    return run_it


def edit_pixels(path, edit):
    header, pixels = cbf.read_header(path), cbf.read_pixels(path)
    edit(pixels)
    cbf.write(path, pixels, header.lines)


def edit_record(folder, edit):
    path = folder / "dials.truncfix.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["output.format=smv"],
        ["output.format=nexus"],
        [SIDE],
        ["fit.histograms=sweep", "seed=5", "assign=expected"],
        ["regions.shape=tiles", "annuli.minimum_pixels=2000", SIDE],
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_what_a_run_leaves_agrees(correct, caplog, options):
    if "output.format=nexus" in options:
        pytest.importorskip("h5py")
    folder = correct(*options)
    before = {f: (folder / f).read_bytes() for f in files_of(folder)}
    caplog.clear()
    run(VERIFY)
    assert "6 of the 6 images compared (number 1, 2, 3, 4, 5, 6) are" in caplog.text
    assert "1 file with the recorded SHA-256" in caplog.text
    assert {f: (folder / f).read_bytes() for f in files_of(folder)} == before


def test_one_pixel(correct, caplog):
    folder = correct()

    def edit(pixels):
        zero = np.argwhere(pixels <= 0)[7]
        pixels[tuple(zero)] -= 3

    edit_pixels(folder / "truncfix_00004.cbf", edit)
    told = fails(VERIFY)
    assert "1 of 6 images are not what" in told
    assert "(image 4)" in told
    assert "another seed" in told
    assert "|       4 |             1 |          0 |         3 |" in caplog.text
    assert "5 of the 6 images" in caplog.text


def test_a_measured_pixel(correct):
    folder = correct()

    def edit(pixels):
        pixels[pixels > 5] += 1

    edit_pixels(folder / "truncfix_00002.cbf", edit)
    told = fails(VERIFY)
    assert "(image 2); pixels that the correction does not touch differ too" in told


def test_a_sample_is_spread_over_the_sweep(correct, caplog):
    correct("output.format=sidecar")
    caplog.clear()
    run([*VERIFY, "verify.images=3"])
    assert "3 of the 3 images compared (number 1, 3, 6)" in caplog.text


def test_the_record_of_another_seed(correct):
    folder = correct("seed=1")
    edit_record(folder, lambda record: record["parameters"].update(seed=2))
    edit_record(folder, lambda record: record["replicates"][0].update(seed=2))
    told = fails(VERIFY)
    assert "6 of 6 images are not what dials.truncfix.json says" in told
    assert "only pixels recorded as zero differ: they were drawn with another" in told


def test_the_record_of_other_fits(correct):
    folder = correct()

    def edit(content):
        for fits in content["fits"]:
            fits["theta"][0][0] += 0.5

    edit_record(folder, edit)
    assert "6 of 6 images are not" in fails(VERIFY)


def test_a_part_of_the_sweep(correct, caplog):
    correct()
    experiments = ExperimentList.from_file("truncfix.expt")
    slice_experiments(experiments, [(2, 4)]).as_file("part.expt")
    caplog.clear()
    run(["part.expt", "mode=verify"])
    assert "3 of the 3 images compared (number 2, 3, 4)" in caplog.text


def test_geometry_refined_since(correct, caplog):
    correct()
    experiments = ExperimentList.from_file("truncfix.expt")
    panel = experiments[0].detector[0]
    panel.set_frame((1, 0, 0), (0, -1, 0), (-3.0, 5.0, -2100.0))
    experiments.as_file("refined.expt")
    caplog.clear()
    run(["refined.expt", "mode=verify"])
    assert "6 of the 6 images" in caplog.text


@pytest.mark.parametrize("image_format", ["cbf", "smv", "sidecar"])
def test_replicates_are_told_apart(correct, caplog, image_format):
    correct("replicates=3", f"output.format={image_format}")
    for number in (1, 2, 3):
        caplog.clear()
        run([f"truncfix_{number}.expt", "mode=verify", "verify.images=2"])
        assert f"images of replicate {number}, seed" in caplog.text
        assert "2 of the 2 images" in caplog.text


def test_images_copied_as_they_are(here, caplog):
    bright = record(here / "movie", true_frames(3, level=60.0) + 1)
    run([str(imported(bright, here)), *SMALL])
    run(VERIFY)
    assert "3 of the 3 images" in caplog.text


def test_moved_together(correct, tmp_path, caplog):
    folder = correct("output.directory=corrected")
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in list(folder.iterdir()):
        if path != moved:
            path.rename(moved / path.name)
    os.chdir(moved)
    text = (moved / "truncfix.expt").read_text()
    (moved / "truncfix.expt").write_text(text.replace(str(folder), str(moved)))
    caplog.clear()
    run(VERIFY)
    assert "6 of the 6 images" in caplog.text


def test_source_gone(correct):
    folder = correct()
    (folder / "movie").rename(folder / "elsewhere")
    told = fails(VERIFY)
    assert "dials.truncfix.json needs" in told
    assert "there is no such file" in told


def test_source_changed(correct, caplog):
    folder = correct()
    path = folder / "movie" / "movie_000.tvips"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    told = fails(VERIFY)
    assert "movie_000.tvips is no longer the file from which" in told
    assert "recorded SHA-256" not in caplog.text


def test_a_hash_tells_what_a_fingerprint_does_not(correct, monkeypatch):
    # between its blocks
    from dials_truncfix.io import source_files

    monkeypatch.setattr(source_files, "BLOCK_SIZE", 100)
    folder = correct()
    path = folder / "movie" / "movie_000.tvips"
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    path.write_bytes(data)
    assert "movie_000.tvips has another SHA-256" in fails(
        [*VERIFY, "verify.images=1"]
    ) or "are not what" in fails([*VERIFY, "verify.images=6"])


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda c: c.update(schema=99), "of schema 99, and this version reads schema"),
        (lambda c: c.update(program="other"), "is no record of dials.truncfix"),
        (lambda c: c.pop("recipe"), "does not say how images were corrected"),
        (lambda c: c["recipe"].pop("files"), "is damaged ('files')"),
        (lambda c: c["source"].update(files=[]), "does not list its source files"),
        (lambda c: c.update(replicates=[]), "does not list its draws"),
        (lambda c: c["images"][1].update(fits=9), "is damaged ('n_pixels')"),
        (lambda c: c["images"].pop(), "is damaged"),
        (lambda c: c["fits"][2].pop("mean"), "is damaged ('mean')"),
        (lambda c: c["fits"][2]["mean"].pop(), "mean for (4,) annuli"),
        (lambda c: c["parameters"].update(assign="all"), "assign=all is unknown"),
        (lambda c: c.pop("versions"), "is damaged"),
        (
            lambda c: c["recipe"]["checks"].append({"number": 1, "crc32": 1}),
            "by another version or on another machine",
        ),
    ],
)
def test_other_records(correct, edit, words):
    edit_record(correct(), edit)
    assert words in fails(VERIFY)


def test_the_record_of_a_check(correct):
    correct()
    run(["imported.expt", "mode=check", "output.json=check.json"])
    assert "record of mode=check" in fails([*VERIFY, "verify.json=check.json"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "nonsense", '{"program": NaN}', "[" * 10**5]
)
def test_files_that_are_no_record(correct, text):
    (correct() / "other.json").write_text(text)
    assert "other.json" in fails([*VERIFY, "verify.json=other.json"])


def test_the_record_beside_the_images_is_found(correct):
    correct("output.directory=elsewhere")
    shutil.move("truncfix.expt", "elsewhere")
    shutil.move("dials.truncfix.json", "elsewhere")
    run(["elsewhere/truncfix.expt", "mode=verify"])


def test_no_record(correct):
    correct("output.json=None")
    assert "dials.truncfix.json: there is no such file: give the record" in fails(
        VERIFY
    )
    assert "verify.json cannot be None" in fails([*VERIFY, "verify.json=None"])


def test_another_sweep(correct, work):
    correct()
    other = record(work / "other" / "movie", true_frames(4, 256, seed=9))
    os.chdir(work / "other")
    run([str(imported(other, work / "other")), *SMALL])
    told = fails([*VERIFY, f"verify.json={work / 'dials.truncfix.json'}"])
    assert "record of another sweep" in told
    assert "pixels that the correction does not touch" in told
    os.chdir(work)
    told = fails([*VERIFY, "verify.json=other/dials.truncfix.json"])
    assert "it holds images 1 to 4, and images 1 to 6 were given" in told
    small = record(work / "small" / "movie", true_frames(6, 128))
    os.chdir(work / "small")
    run([str(imported(small, work / "small")), *SMALL, "annuli.minimum_pixels=1000"])
    told = fails([*VERIFY, f"verify.json={work / 'dials.truncfix.json'}"])
    assert "have 256 × 256 pixels" in told


def test_what_was_corrected_is_no_correction(correct):
    correct()
    told = fails(["imported.expt", "mode=verify"])
    assert "is what was corrected: give the corrected images" in told


def test_exit_status(correct):
    folder = correct()
    (folder / "dials.truncfix.log").write_text("what was done")
    edit_pixels(folder / "truncfix_00001.cbf", lambda pixels: pixels.fill(3))
    program = "from dials_truncfix.command_line.truncfix import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, *VERIFY], capture_output=True, text=True
    )
    assert done.returncode == 1
    # that of the correction stays
    assert (folder / "dials.truncfix.log").read_text() == "what was done"
    assert done.stderr.startswith("Sorry: 1 of 6 images")
    assert "Traceback" not in done.stderr


def test_a_sidecar_without_source_says_so(correct):
    folder = correct(SIDE)
    (folder / "movie").rename(folder / "elsewhere")
    with pytest.raises(Sorry, match="movie_000.tvips"):
        run(VERIFY)
