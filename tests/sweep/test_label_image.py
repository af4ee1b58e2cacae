"""Label images in files of many kinds, and what is said of files that are none."""

from __future__ import annotations

import io
import pickle
import tracemalloc

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.model import (
    BeamFactory,
    DetectorFactory,
)
from scitbx.array_family import flex

from dials_truncfix.io.plain import from_plain, to_plain
from dials_truncfix.sweep.label_image import LabelImage, read_label_image

LABELS = np.kron([[1, 2, 0], [3, 3, 4]], np.ones((20, 10), int))


def written(folder, name, content):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name.endswith(".npy"):
        np.save(path, content)
    elif name.endswith(".tif"):
        tifffile = pytest.importorskip("tifffile")
        tifffile.imwrite(path, content)
    else:
        path.write_bytes(pickle.dumps(content, 2))
    return str(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint32])
@pytest.mark.parametrize("name", ["labels.npy", "labels.tif"])
def test_integers(tmp_path, name, dtype):
    labels = read_label_image(written(tmp_path, name, LABELS.astype(dtype)))
    assert labels.shape == LABELS.shape
    np.testing.assert_array_equal(labels.pixels(), LABELS)


def test_truths_are_labels_one_and_zero(tmp_path):
    labels = read_label_image(written(tmp_path, "labels.npy", LABELS > 0))
    np.testing.assert_array_equal(labels.pixels(), LABELS > 0)


@pytest.mark.parametrize("name", ["pixels.mask", "pixels.pickle", "pixels"])
def test_masks_of_dials(tmp_path, name):
    mask = flumpy.from_numpy(LABELS > 0)
    for content in ((mask,), mask):
        labels = read_label_image(written(tmp_path, name, content))
        np.testing.assert_array_equal(labels.pixels(), LABELS > 0)


def test_a_stack_of_one_image(tmp_path):
    labels = read_label_image(written(tmp_path, "labels.npy", LABELS[None]))
    np.testing.assert_array_equal(labels.pixels(), LABELS)


def test_images_that_dxtbx_reads(tmp_path):
    from dials_truncfix import compat
    from dials_truncfix.io import cbf
    from dials_truncfix.io.corrected_header import format_cbf_lines, make_header

    slow, fast = LABELS.shape
    detector = DetectorFactory.simple(
        "PAD", 2200, (1, 1), "+x", "-y", (0.0624, 0.0624), (fast, slow), (-1, 65535)
    )
    beam = BeamFactory.simple(0.02508)
    header = make_header(
        compat.models_to_dict(detector, beam, None, None, None),
        gain=1.0,
        pedestal=0.0,
        trusted_range=(-1.0, 65535.0),
        offset=0,
        seed=0,
        version="test",
    )
    path = tmp_path / "labels.cbf"
    cbf.write(path, LABELS.astype(np.int32), format_cbf_lines(header))
    np.testing.assert_array_equal(read_label_image(str(path)).pixels(), LABELS)


def test_it_survives_a_sidecar(tmp_path):
    labels = read_label_image(written(tmp_path, "labels.npy", LABELS))
    again = from_plain(LabelImage, to_plain(labels))
    assert (again.path, again.sha256, again.shape) == (
        labels.path,
        labels.sha256,
        labels.shape,
    )
    np.testing.assert_array_equal(again.pixels(), LABELS)


class Evil:
    def __reduce__(self):
        return eval, ("1",)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.npy", LABELS.astype(np.float32), "type float32: labels must be integers"),
        ("a.npy", LABELS - 2, "label -2 is negative"),
        ("a.npy", LABELS * 0, "every pixel is labelled 0"),
        ("a.npy", LABELS < 0, "every pixel is labelled 0"),
        ("a.npy", np.arange(1200).reshape(40, 30), "1199 different labels"),
        ("a.npy", np.arange(4), r"array of shape \(4,\)"),
        ("a.npy", np.zeros((4, 5, 3), np.uint8), r"array of shape \(4, 5, 3\)"),
        ("a.npy", np.zeros((0, 5), np.uint8), r"array of shape \(0, 5\)"),
        ("a.npy", np.full((4, 4), 2**40), "label 1099511627776: give smaller"),
        ("a.npy", np.array([Evil()]), "cannot be read"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read"),
        ("a.tif", b"II*\x00nonsense", "cannot be read|holds an array"),
        ("a.mask", b"", "cannot be read"),
        ("a.mask", Evil(), "eval, which no mask does"),
        ("a", Evil(), "eval, which no mask does"),
        ("a.mask", (flex.bool(flex.grid(2, 2)),) * 2, "2 panels"),
        ("a.txt", b"1 2 3", "no known format"),
        ("a.cbf", b"###CBF: VERSION 1.5\n", "cannot be read|no known format"),
    ],
)
def test_refusals_name_the_file_and_what_is_wrong(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=message) as stop:
        read_label_image(path)
    assert str(stop.value).startswith(path)
    assert "\n" not in str(stop.value)


def test_claims_cost_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i4", "fortran_order": False, "shape": (30_000, 30_000)}
    )
    path = written(tmp_path, "a.npy", header.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"claims \(30000, 30000\) numbers"):
            read_label_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_label_image(str(tmp_path / "absent.npy"))


def test_another_size(tmp_path):
    labels = read_label_image(written(tmp_path, "labels.npy", LABELS))
    labels.require_shape((40, 30))
    with pytest.raises(ValueError, match="30 × 40 pixels, but the images have 40 × 30"):
        labels.require_shape((30, 40))
