"""Our files read by other programs: where they are right, and where ours has to be.

Each case says whether the other one gets the pixels (True), gets something else or
refuses (False). Where a release mends what it got wrong, the test says so, and the
table in docs/formats.rst wants an update.
"""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io import mrc
from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames

SERIALEM = ["SerialEMCCD: Frames . ., scaled by 32.00  r/f 0"]
SHAPE = (6, 8)


def numbers(dtype, highest=None):
    generator = np.random.default_rng(1)
    if np.issubdtype(dtype, np.floating):
        return generator.normal(0, 50, (3, *SHAPE)).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(
        limits.min, highest or limits.max, (3, *SHAPE), dtype, endpoint=True
    )


CASES = {
    "mode 1": (numbers("i2"), {}),
    "mode 2": (numbers("f4"), {}),
    "mode 6": (numbers("u2"), {}),
    "mode 12": (numbers("f2"), {}),
    "mode 0, unsigned by SerialEM": (numbers("u1"), {"labels": SERIALEM}),
    "mode 0, signed by IMOD's flag": (numbers("i1"), {}),
    "mode 101": (numbers("u1", 15), {"packing": "mode101"}),
    "mode 101, odd width": (numbers("u1", 15)[:, :, :7], {"packing": "mode101"}),
    "squeezed": (numbers("u1", 15), {"packing": "squeezed"}),
}


def by_mrcfile(path):
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.open(path) as file:
        return np.array(file.data)


def by_rosettasciio(path):
    return pytest.importorskip("rsciio.mrc").file_reader(str(path))[0]["data"]


def by_ncempy(path):
    return pytest.importorskip("ncempy.io.mrc").mrcReader(str(path))["data"]


RIGHT = {
    by_mrcfile: {
        "mode 1",
        "mode 2",
        "mode 6",
        "mode 12",
        "mode 0, signed by IMOD's flag",
    },
    by_rosettasciio: {
        "mode 1",
        "mode 2",
        "mode 6",
        "mode 12",
        "mode 0, unsigned by SerialEM",
    },
    by_ncempy: {"mode 1", "mode 2", "mode 6", "mode 0, signed by IMOD's flag"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reader", RIGHT, ids=lambda reader: reader.__name__)
@pytest.mark.filterwarnings("ignore")
def test_mrc(tmp_path, reader, case):
    images, options = CASES[case]
    path = tmp_path / "a.mrc"
    mrc.write_stack(path, images, **options)
    ours = mrc.MRCStack.open(path)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(ours.read_frame(index), image)
    try:
        found = np.asarray(reader(path))
    except ValueError:
        found = np.empty(0)
    assert np.array_equal(found, images) == (case in RIGHT[reader])


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_mrcfile_writes(tmp_path, dtype):
    mrcfile = pytest.importorskip("mrcfile")
    images = numbers(dtype)
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(images)
        file.voxel_size = 1.5
    stack = mrc.MRCStack.open(tmp_path / "a.mrc")
    assert stack.dtype == images.dtype
    assert stack.header.pixel_spacing == pytest.approx(1.5)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(stack.read_frame(index), image)


@pytest.mark.parametrize("compression", ["none", "zip", "lzw"])
def test_tiff(tmp_path, compression):
    tifffile = pytest.importorskip("tifffile")
    if compression == "lzw":
        pytest.importorskip("imagecodecs", reason="tifffile needs it for LZW")
    frames = numbers("u1")
    path = tmp_path / "a.tif"
    write_frames(path, frames, FrameTitle(), compression=compression)
    np.testing.assert_array_equal(tifffile.imread(path), frames)


def test_squeezed_tiff(tmp_path):
    """Nothing but the title tells that two pixels share a byte."""
    tifffile = pytest.importorskip("tifffile")
    frames = numbers("u1", 15)
    path = tmp_path / "a.tif"
    write_frames(path, frames, FrameTitle(), compression="zip", packing="squeezed")
    assert tifffile.imread(path).shape == (3, 6, 4)
    stack = open_frames(path)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(stack.read_frame(index), frame)


def test_lzw_read_by_pillow(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    frames = numbers("u1")
    write_frames(tmp_path / "a.tif", frames, FrameTitle(), compression="lzw")
    with Image.open(tmp_path / "a.tif") as image:
        for index, frame in enumerate(frames):
            image.seek(index)
            np.testing.assert_array_equal(np.asarray(image), frame)
