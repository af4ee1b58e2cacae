"""dials.truncfix output.format=nexus as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.io import nexus_data
from dials_truncfix.sweep.passes import IMAGES_PER_FILE
from recordings import imported, pixels_of, record, true_frames
from truncfix_runs import SMALL, fails, files_of

NEXUS = [*SMALL, "output.format=nexus"]


@pytest.fixture(scope="module")
def written(recording, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nexus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run([str(imported(recording, folder)), *NEXUS])
    return folder


def test_outputs(written, corrected):
    images = [name for name in files_of(written) if "dials.truncfix" not in name]
    assert images == ["truncfix.expt", "truncfix_00001.h5", "truncfix_master.h5"]


def test_pixels_and_models_are_those_of_cbf(written, corrected):
    experiments = [
        ExperimentList.from_file(str(folder / "truncfix.expt"))[0]
        for folder in (written, corrected)
    ]
    again = ExperimentListFactory.from_filenames([str(written / "truncfix_master.h5")])
    for experiment in (experiments[0], again[0]):
        assert experiment.detector == experiments[1].detector
        assert experiment.beam == experiments[1].beam
        assert experiment.goniometer == experiments[1].goniometer
        assert experiment.scan == experiments[1].scan
    np.testing.assert_array_equal(
        pixels_of(written / "truncfix.expt"), pixels_of(corrected / "truncfix.expt")
    )


def test_same_bytes_for_any_number_of_processes(here):
    """Of two draws of a sweep that fills more than one data file."""
    frames = np.tile(true_frames(6, 128), (4, 1, 1))[: IMAGES_PER_FILE + 2]
    expt = imported(record(here / "movie", frames), here)
    options = ["annuli.count=2", "output.format=nexus", "replicates=2"]
    for nproc in (1, 2):
        run([str(expt), *options, f"nproc={nproc}", f"output.directory=with_{nproc}"])
    folder = here / "with_1"
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.h5"))
    assert [str(name) for name in names[:3]] == [
        "replicate_1/truncfix_00001.h5",
        "replicate_1/truncfix_00017.h5",
        "replicate_1/truncfix_master.h5",
    ]
    assert len(names) == 6
    for name in names:
        one, other = (here / f"with_{n}" / name for n in (1, 2))
        assert one.read_bytes() == other.read_bytes()


def test_a_slice_gets_the_same_pixels_and_numbers(recording, corrected, here):
    sliced = ExperimentListFactory.from_filenames([str(recording.path)])
    sliced[0].imageset = sliced[0].imageset[2:5]
    sliced[0].scan = sliced[0].imageset.get_scan()
    sliced.as_file("sliced.expt")
    run(["sliced.expt", *NEXUS])
    expected = pixels_of(corrected / "truncfix.expt")[2:5]
    np.testing.assert_array_equal(pixels_of(here / "truncfix.expt"), expected)
    (again,) = ExperimentListFactory.from_filenames(["truncfix_master.h5"])
    assert again.scan.get_image_range() == (3, 5)
    again.imageset.get_raw_data(2)
    assert (here / "truncfix_00003.h5").exists()


def test_stills(here):
    recorded = record(here / "movie", true_frames(), alpha_deg=np.zeros(6))
    experiments = ExperimentListFactory.from_filenames([str(recorded.path)])
    experiments.as_file("imported.expt")
    cbf = ["output.directory=cbf", "output.experiments=cbf.expt"]
    run(["imported.expt", *SMALL, *cbf])
    run(["imported.expt", *NEXUS])
    one, other = (ExperimentList.from_file(f) for f in ("truncfix.expt", "cbf.expt"))
    assert len(one) == len(other) == 6
    for a, b in zip(one, other):
        pixels = (e.imageset.get_raw_data(0)[0].as_numpy_array() for e in (a, b))
        np.testing.assert_array_equal(*pixels)
        assert a.detector == b.detector


def test_compression(recording, written, here):
    """Another way to store the same pixels."""
    run([str(imported(recording, here)), *NEXUS, "output.compression=uncompressed"])
    np.testing.assert_array_equal(
        pixels_of(here / "truncfix.expt"), pixels_of(written / "truncfix.expt")
    )
    with h5py.File("truncfix_00001.h5") as file:
        assert file[nexus_data.DATASET].compression is None
    with h5py.File(written / "truncfix_00001.h5") as file:
        assert file[nexus_data.DATASET].compression == "gzip"
        assert file[nexus_data.DATASET].id.get_storage_size() < 0.4 * 6 * 4 * 256**2


def test_a_mask_goes_with_the_images(recording, here):
    (experiment,) = ExperimentListFactory.from_filenames([str(recording.path)])
    experiment.detector[0].add_mask(10, 20, 30, 40)
    ExperimentList([experiment]).as_file("masked.expt")
    run(["masked.expt", *NEXUS])
    (again,) = ExperimentListFactory.from_filenames(["truncfix_master.h5"])
    mask = again.imageset.get_mask(0)[0].as_numpy_array()
    assert not mask[20:40, 10:30].any()
    assert mask.sum() == mask.size - 400
    with h5py.File("truncfix_master.h5") as file:
        assert file["/entry/instrument/detector/pixel_mask"][25, 15] == 1


def test_bitshuffle_that_is_not_installed(recording, here):
    try:
        nexus_data.check_compression("bitshuffle")
        pytest.skip("HDF5 has the bitshuffle filter here")
    except ValueError:
        pass
    expt = imported(recording, here)
    words = fails([expt, *NEXUS, "output.compression=bitshuffle"])
    assert words.startswith("output.compression=bitshuffle needs the Python package")
    assert files_of(here) == []


def test_a_full_disk_leaves_nothing(recording, here):
    expt = imported(recording, here)
    # no file of this process may grow beyond a few kB
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from dials_truncfix.command_line.truncfix import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(expt), *NEXUS],
        text=True,
        capture_output=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "File too large: give an output folder that may hold files of this size"
    )
    assert "Traceback" not in done.stderr
    assert files_of(here) == []
    assert not [path for path in here.iterdir() if path.is_dir()]
