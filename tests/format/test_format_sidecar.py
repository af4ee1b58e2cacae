"""Sidecars: the images of the CBF output, made as they are read."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dials.util import Sorry
from dials.util.slice import slice_experiments
from dxtbx.format.Registry import get_format_class_for_file
from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.format.FormatTruncfixSidecar import FormatTruncfixSidecar
from dials_truncfix.io.sidecar import MAGIC, SCHEMA
from dials_truncfix.io.source_files import FOLDERS_VARIABLE
from recordings import imported, pixels_of, record, true_frames

SMALL = ["nproc=1", "annuli.count=4", "annuli.minimum_pixels=1000"]
SIDECAR = [*SMALL, "output.format=sidecar"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recording with its sidecar beside it, and its CBF images; nothing changes it."""
    folder = tmp_path_factory.mktemp("sidecar")
    true = true_frames(6, 128)
    true[:, 5, 7] = 70000
    recording = record(folder / "images", true, frames_per_part=4)
    before = os.getcwd()
    os.chdir(folder)
    try:
        expt = str(imported(recording, folder))
        run([expt, *SIDECAR])
        run([expt, *SMALL, "output.directory=cbf", "output.experiments=cbf.expt"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """A copy of it that a test may spoil; the original images are out of its reach."""
    for name in ("images", "truncfix.tfx"):
        copy_ = shutil.copytree if name == "images" else shutil.copy
        copy_(made / name, tmp_path / name)
    text = (tmp_path / "truncfix.tfx").read_text()
    (tmp_path / "truncfix.tfx").write_text(text.replace(str(made), "/nowhere"))
    return tmp_path


def opened(folder):
    path = str(folder / "truncfix.tfx")
    assert get_format_class_for_file(path) is FormatTruncfixSidecar
    FormatTruncfixSidecar._current_instance_ = None
    FormatTruncfixSidecar._current_filename_ = None
    return FormatTruncfixSidecar(path)


def told(folder, index=None):
    with pytest.raises(Sorry) as stop:
        image = opened(folder)
        image.get_raw_data(0 if index is None else index)
    return str(stop.value)


def change(folder, edit):
    path = folder / "truncfix.tfx"
    content = json.loads(path.read_text())
    edit(content["recipe"])
    path.write_text(json.dumps(content, separators=(",", ":")))


def test_pixels_and_models_are_those_of_cbf(made):
    experiments = ExperimentList.from_file(str(made / "truncfix.expt"))
    cbf = ExperimentList.from_file(str(made / "cbf.expt"))
    assert experiments[0].imageset.get_format_class() is FormatTruncfixSidecar
    np.testing.assert_array_equal(
        pixels_of(made / "truncfix.expt"), pixels_of(made / "cbf.expt")
    )
    for name in ("detector", "beam", "goniometer", "scan"):
        assert getattr(experiments[0], name) == getattr(cbf[0], name)
    panel, cbf_panel = experiments[0].detector[0], cbf[0].detector[0]
    for name in ("get_gain", "get_pedestal", "get_trusted_range", "get_type"):
        assert getattr(panel, name)() == getattr(cbf_panel, name)()
    mask, cbf_mask = (e[0].imageset.get_mask(0)[0] for e in (experiments, cbf))
    assert (mask == cbf_mask).count(False) == 0
    assert mask.count(False) == 1


def test_it_is_small_and_lists_no_pixels(made):
    assert (made / "truncfix.tfx").stat().st_size < 40_000


def test_import_of_the_sidecar_alone(made, tmp_path):
    (experiment,) = ExperimentListFactory.from_filenames([str(made / "truncfix.tfx")])
    written = ExperimentList.from_file(str(made / "truncfix.expt"))[0]
    for name in ("detector", "beam", "goniometer", "scan"):
        assert getattr(experiment, name) == getattr(written, name)
    ExperimentList([experiment]).as_file(str(tmp_path / "again.expt"))
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "again.expt"), pixels_of(made / "cbf.expt")
    )


def test_dials_import(made, dials_import):
    experiments, _ = dials_import(str(made / "truncfix.tfx"))
    assert experiments[0].scan.get_image_range() == (1, 6)
    assert experiments[0].detector[0].get_pedestal() < 0


def test_slices_and_pickles(made):
    pixels = pixels_of(made / "cbf.expt")
    experiments = ExperimentList.from_file(str(made / "truncfix.expt"))
    (part,) = slice_experiments(experiments, [(3, 5)])
    for imageset in (part.imageset, pickle.loads(pickle.dumps(part.imageset))):
        assert imageset.get_scan().get_image_range() == (3, 5)
        for index in range(3):
            image = imageset.get_raw_data(index)[0].as_numpy_array()
            np.testing.assert_array_equal(image, pixels[2 + index])
    image = pickle.loads(pickle.dumps(opened(made)))
    np.testing.assert_array_equal(image.get_raw_data(4).as_numpy_array(), pixels[4])
    assert image.get_scan(4).get_image_range() == (5, 5)


def test_a_sidecar_of_a_slice_keeps_its_numbers(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiments = ExperimentList.from_file(str(made / "imported.expt"))
    slice_experiments(experiments, [(3, 5)]).as_file("sliced.expt")
    run(["sliced.expt", *SIDECAR])
    expected = pixels_of(made / "cbf.expt")[2:5]
    for path in ("truncfix.expt", "again.expt"):
        (experiment,) = ExperimentList.from_file(path)
        assert experiment.scan.get_image_range() == (3, 5)
        np.testing.assert_array_equal(pixels_of(Path(path)), expected)
        (part,) = slice_experiments(ExperimentList([experiment]), [(4, 5)])
        image = part.imageset.get_raw_data(0)[0].as_numpy_array()
        np.testing.assert_array_equal(image, expected[1])
        ExperimentListFactory.from_filenames(["truncfix.tfx"]).as_file("again.expt")
    with pytest.raises(Sorry, match="holds no image 2, only 3 to 5"):
        FormatTruncfixSidecar("truncfix.tfx").get_raw_data(1)


@pytest.mark.parametrize(
    "options",
    [
        ["assign=expected", "rounding=floor"],
        ["fit.model=paper", "seed=123456789012"],
        pytest.param(["nproc=2"], marks=pytest.mark.slow),
        ["fit.histograms=block", "fit.block_size=3", "mask.beam_stop=False"],
        ["fit.histograms=sweep", "gain=5", "pedestal=-3"],
        ["noise=correlated", "fit.model=camera"],
        ["assign=local"],
        ["assign=local", "noise=correlated", "fit.histograms=sweep"],
        [f"fit.camera.{x}" for x in ("gain=6", "pulse_variance=0.1", "read_noise=6")],
        ["regions.shape=sectors", "regions.sectors.count=3"],
        ["regions.shape=tiles", "regions.tiles.size=64"],
        ["regions.labels=labels.npy", "annuli.minimum_pixels=500"],
    ],
)
def test_all_options_are_in_it(made, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    labels = np.ones((128, 128), np.int16)
    labels[:60, 30:], labels[100:, :20] = 2, 0
    np.save("labels.npy", labels)
    given_ = [str(made / "imported.expt"), *SMALL, *options]
    run([*given_, "output.format=sidecar"])
    run([*given_, "output.directory=cbf", "output.experiments=cbf.expt"])
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "truncfix.expt"), pixels_of(tmp_path / "cbf.expt")
    )
    one, other = (ExperimentList.from_file(p) for p in ("truncfix.expt", "cbf.expt"))
    assert one[0].detector == other[0].detector


def test_replicates(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given_ = [str(made / "imported.expt"), *SMALL, "replicates=2"]
    run([*given_, "output.format=sidecar", "output.experiments=side.expt"])
    run([*given_, "output.directory=cbf", "output.experiments=cbf.expt"])
    pixels = [pixels_of(tmp_path / f"side_{i}.expt") for i in (1, 2)]
    for i in (1, 2):
        np.testing.assert_array_equal(
            pixels[i - 1], pixels_of(tmp_path / f"cbf_{i}.expt")
        )
    assert (pixels[0] != pixels[1]).any()


def test_masks_and_bad_pixels(tmp_path, monkeypatch):
    from dxtbx import flumpy
    from dxtbx.format.image import ImageBool

    from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
    from dials_truncfix.sweep.repair import Conduct, repair_sweep

    monkeypatch.chdir(tmp_path)
    recording = record(tmp_path / "images", true_frames(2, 128))
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    mask = np.ones((128, 128), bool)
    mask[:, 100:] = False
    expt[0].imageset.external_lookup.mask.data = ImageBool(flumpy.from_numpy(mask))
    expt[0].imageset.get_detector()[0].add_mask(10, 20, 15, 30)
    options = CorrectionOptions(n_annuli=3, minimum_pixels=1000)
    repair_sweep(
        expt,
        options,
        OutputOptions(image_format="sidecar"),
        conduct=Conduct(force=True),
    )
    output = OutputOptions(directory="cbf", experiments="cbf.expt")
    repair_sweep(expt, options, output, conduct=Conduct(force=True))
    pixels = pixels_of(tmp_path / "truncfix.expt")
    np.testing.assert_array_equal(pixels, pixels_of(tmp_path / "cbf.expt"))
    np.testing.assert_array_equal(pixels[:, :, 100:], recording.truncated[:, :, 100:])
    np.testing.assert_array_equal(
        pixels[:, 20:30, 10:15], recording.truncated[:, 20:30, 10:15]
    )


def test_images_without_zeros(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bright = record(tmp_path / "images", true_frames(3, level=60.0) + 1)
    run([str(imported(bright, tmp_path)), *SIDECAR])
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "truncfix.expt"), bright.truncated
    )


def test_one_image_a_file(made, tmp_path, monkeypatch):
    """SMV images with negative marks, as dials.truncfix writes them."""
    monkeypatch.chdir(tmp_path)
    smv = [*SMALL, "output.format=smv", "output.directory=smv"]
    run([str(made / "imported.expt"), *smv, "output.experiments=smv.expt"])
    forced = [*SMALL, "force=True", "annuli.minimum_pixels=100"]
    run(["smv.expt", *forced, "output.format=sidecar"])
    run(["smv.expt", *forced, "output.directory=c", "output.experiments=cbf.expt"])
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "truncfix.expt"), pixels_of(tmp_path / "cbf.expt")
    )


def test_stills(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stills = record(tmp_path / "images", true_frames(4, 128), alpha_deg=None)
    experiments = ExperimentListFactory.from_filenames([str(stills.path)])
    experiments.as_file("imported.expt")
    given_ = ["imported.expt", *SMALL]
    run([*given_, "output.format=sidecar"])
    run([*given_, "output.directory=cbf", "output.experiments=cbf.expt"])
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "truncfix.expt"), pixels_of(tmp_path / "cbf.expt")
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "frames/TIMEPIX_SU_516-stdgoni_0001.img",
        "l_cysteine_sweep/l-cyst_01_0000*.cbf",
        "tvips/test_tvips_2345_split_000.tvips",
        "tvips/TVIPS_bin4.tif",
    ],
)
def test_sources_of_other_formats(shared_data, tmp_path, monkeypatch, pattern):
    pytest.importorskip("tifffile")
    monkeypatch.chdir(tmp_path)
    paths = sorted(str(path) for path in shared_data.glob(pattern))[:2]
    ExperimentListFactory.from_filenames(paths).as_file("imported.expt")
    given_ = ["imported.expt", "nproc=1", "force=True"]
    run([*given_, "output.format=sidecar"])
    run([*given_, "output.directory=cbf", "output.experiments=cbf.expt"])
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "truncfix.expt"), pixels_of(tmp_path / "cbf.expt")
    )


def test_folders_move_together(made, copied):
    image = opened(copied).get_raw_data(3).as_numpy_array()
    np.testing.assert_array_equal(image, pixels_of(made / "cbf.expt")[3])


def test_missing_source(copied):
    (copied / "images").rename(copied / "elsewhere")
    assert "movie_000.tvips, and there is no such file: put the images" in told(copied)


def test_a_source_that_is_gone_is_named_by_dials(copied, dials_import):
    (copied / "images").rename(copied / "elsewhere")
    experiments, output = dials_import(str(copied / "truncfix.tfx"))
    assert experiments is None
    assert "there is no such file: put the images back" in " ".join(output.split())
    assert "Traceback" not in output


def test_missing_part(copied):
    (copied / "images" / "movie_001.tvips").unlink()
    assert "consists of 1 files, where" in told(copied)


@pytest.mark.parametrize("name", ["movie_000.tvips", "movie_001.tvips"])
def test_changed_source(copied, name):
    path = copied / "images" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    words = told(copied)
    assert f"{name} is no longer the file" in words
    assert "same size, other content" in words


def test_source_of_a_plugin_that_is_absent(copied):
    change(copied, lambda recipe: recipe.update(format_class="FormatNobodyHas"))
    assert "FormatNobodyHas reads, which is not installed" in told(copied)


@pytest.mark.parametrize("name", ["FormatPYunspecified", "FormatTruncfixSidecar"])
def test_classes_that_execute_or_recur_are_not_asked(copied, name):
    change(copied, lambda recipe: recipe.update(format_class=name))
    assert f"images that {name} reads cannot be the source" in told(copied)


def test_a_sidecar_of_sidecars_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Sorry, match="cannot be the source of a sidecar"):
        run([str(made / "truncfix.expt"), *SIDECAR, "force=True"])


def test_images_numbered_from_0_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cbf = sorted((made / "cbf").glob("*.cbf"))[:2]
    for number, path in enumerate(cbf):
        shutil.copy(path, tmp_path / f"image_{number:03d}.cbf")
    paths = sorted(str(path) for path in tmp_path.glob("*.cbf"))
    ExperimentListFactory.from_filenames(paths).as_file("imported.expt")
    with pytest.raises(Sorry, match="image number 0 has no place in a sidecar"):
        run(["imported.expt", *SIDECAR, "force=True"])


def test_a_number_costs_no_memory(copied):
    def edit(recipe):
        recipe["models"]["scan"] = None
        recipe["images"][0].update(number=2**31 - 1)

    change(copied, edit)
    assert "image number 2147483647 has no place in a sidecar" in told(copied)


def test_another_schema(copied):
    path = copied / "truncfix.tfx"
    head = MAGIC.decode()
    path.write_text(path.read_text().replace(f"{head}{SCHEMA}", f"{head}99", 1))
    assert "as schema 99, and this version reads schema" in told(copied)


def test_a_stranger_may_not_point_elsewhere(made, copied, tmp_path, monkeypatch):
    """What an attacker gives: a sidecar with the path of another user's file."""
    beside = tmp_path / "beside"
    beside.mkdir()
    shutil.copy(copied / "truncfix.tfx", beside)
    images = str(copied / "images" / "movie_000.tvips")
    change(beside, lambda recipe: recipe["files"][0].update(path=images))
    assert opened(beside).get_raw_data(0) is not None
    os.chown(beside / "truncfix.tfx", 54321, -1) if os.geteuid() == 0 else pytest.skip(
        "only root can give files away"
    )
    os.chown(images, 54322, -1)
    assert f"set the environment variable {FOLDERS_VARIABLE}" in told(beside)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(copied / "images"))
    assert opened(beside).get_raw_data(0) is not None


def test_what_the_writer_has_not_read_is_not_shown(copied):
    """The fingerprint of a file that the writer of the sidecar could not read."""
    secret = copied / "images" / "secret_000.tvips"
    shutil.copy(copied / "images" / "movie_000.tvips", secret)
    with secret.open("r+b") as stream:
        stream.seek(-5, os.SEEK_END)
        stream.write(b"12345")
    change(
        copied,
        lambda recipe: recipe["files"][0].update(relative="images/secret_000.tvips"),
    )
    assert "is no longer the file" in told(copied) or "consists of" in told(copied)


def test_another_outcome_is_noticed(copied, caplog):
    def spoil(recipe):
        for check in recipe["checks"]:
            check["crc32"] ^= 1

    change(copied, spoil)
    assert opened(copied).get_raw_data(0) is not None
    assert "image 1 differs from what it was" in caplog.text


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda r: r["images"].clear(), "it has no images"),
        (lambda r: r["images"][1].update(number=1), "one number twice"),
        (lambda r: r["images"][0].update(file=7), "image 1 is in file 7"),
        (lambda r: r["images"][0].update(fits=-1), "image 1 has fits -1"),
        (lambda r: r["images"][0].update(frame=100), "has no frame 100"),
        (lambda r: r["files"][0].update(parts=[]), "no fingerprint"),
        (lambda r: r["format_options"].update(image_file="x"), "option 'image_file'"),
        (lambda r: r["models"].pop("beam"), "its models are not"),
        (lambda r: r["models"].update(beam={}), "damaged"),
        (lambda r: r["models"]["detector"].update(panels=[]), "not one panel"),
        (
            lambda r: r["models"]["detector"]["panels"][0].update(image_size=[1e9, 1]),
            "has no size",
        ),
        (
            lambda r: r["models"]["detector"]["panels"][0].update(
                image_size=[60000, 60000]
            ),
            "128 × 128 pixels where",
        ),
        (
            lambda r: r["models"]["scan"].update(image_range=[1, 10**9]),
            "damaged",
        ),
        (lambda r: r["panel"].update(lowest=-(10**15)), "a limit of"),
        (lambda r: r["panel"].update(gain="nan"), "gain nan"),
        (lambda r: r["panel"].update(gain=-1.0), "gain -1.0"),
        (lambda r: r["options"].update(unknown=1), "'unknown' that is not known"),
        (lambda r: r["options"].update(assign="guess"), "assign"),
        (lambda r: r["options"].update(seed=-1), "seed"),
        (lambda r: r["options"].update(n_annuli=3), "does not fit image 1"),
        (
            lambda r: r.update(
                mask={
                    "values": {"dtype": "<i4", "shape": [1], "values": [1]},
                    "lengths": {"dtype": "<i8", "shape": [1], "values": [10**15]},
                }
            ),
            "a run is longer than the image",
        ),
    ],
)
def test_damaged_recipes(copied, edit, words):
    change(copied, edit)
    assert words in told(copied)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "nan", "inf", "<f8", "emg", "fitted", "../..", "\ud800"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def leaves(tree, path=()):
    """Paths of all values below a JSON value."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_crashes_it(made, data, tmp_path_factory):
    text = (made / "truncfix.tfx").read_text()
    content = json.loads(text)
    # three images are enough, and as many fits
    content["recipe"]["images"] = content["recipe"]["images"][:1]
    content["recipe"]["fits"] = content["recipe"]["fits"][:1]
    content["recipe"]["models"]["scan"] = None
    content = copy.deepcopy(content)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = [path for path in leaves(content) if path != ("truncfix_sidecar",)]
        if not paths:
            break
        *parents, last = data.draw(st.sampled_from(paths))
        parent = content
        for key in parents:
            parent = parent[key]
        if data.draw(st.booleans()) or not isinstance(parent, dict):
            parent[last] = data.draw(JSON)
        else:
            del parent[last]
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / "truncfix.tfx"
    path.write_text(json.dumps(content, separators=(",", ":")))
    assert FormatTruncfixSidecar.understand(str(path))
    try:
        image = FormatTruncfixSidecar(str(path))
        pixels = image.get_raw_data(0).as_numpy_array()
    except Sorry as error:
        assert len(str(error)) > 30
    else:
        assert pixels.shape == (128, 128)


@given(data=st.binary(max_size=200))
def test_no_file_crashes_understand(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "anything.tfx"
    for text in (data, b'{"truncfix_sidecar":' + data):
        path.write_bytes(text)
        understood = FormatTruncfixSidecar.understand(str(path))
        assert understood == text.startswith(b'{"truncfix_sidecar":')
        if understood:
            with pytest.raises(Sorry):
                FormatTruncfixSidecar(str(path))
