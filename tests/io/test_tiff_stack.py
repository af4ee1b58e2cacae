"""Reading and writing TIFF stacks."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from dials_truncfix.io import tiff_stack
from dials_truncfix.io.tiff_stack import TIFFStack, write_stack

tifffile = pytest.importorskip("tifffile")

LZW_IS_THERE = tiff_stack._tifffile_knows_lzw()


def frames(dtype="uint8", n=4, shape=(6, 9)):
    generator = np.random.default_rng(3)
    return [generator.poisson(4, shape).astype(dtype) for _ in range(n)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("compression", ["none", "zip", "lzw"])
def test_round_trip(tmp_path, compression, dtype):
    if compression == "lzw" and not LZW_IS_THERE:
        pytest.importorskip("PIL", reason="LZW needs imagecodecs or Pillow")
        if dtype == "int16":
            with pytest.raises(ValueError, match="imagecodecs"):
                write_stack(tmp_path / "a.tif", frames(dtype))
            assert not list(tmp_path.iterdir())
            return
    written = frames(dtype)
    count = write_stack(
        tmp_path / "a.tif",
        iter(written),
        description="first\n  second",
        compression=compression,
        pixel_spacing=1.2827,
    )
    stack = TIFFStack.open(tmp_path / "a.tif")
    assert (count, stack.n_frames, stack.shape, stack.dtype) == (4, 4, (6, 9), dtype)
    assert stack.description == "first\n  second"
    # pixels per centimetre
    assert stack.pixel_spacing == pytest.approx(1.2827, rel=1e-6)
    for index in (3, 0, 2, 1):
        np.testing.assert_array_equal(stack.read_frame(index), written[index])
    assert pickle.loads(pickle.dumps(stack)) == stack
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        codes = {"none": 1, "zip": 8, "lzw": 5}
        assert {int(p.compression) for p in tiff.pages} <= {codes[compression], 32946}
        assert [270 in p.aspage().tags for p in tiff.pages] == [True] + 3 * [False]


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_other_writers(tmp_path, byte_order):
    written = frames("uint16")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder=byte_order, bigtiff=True) as writer:
        for frame in written:
            writer.write(frame, rowsperstrip=2, contiguous=False, metadata=None)
    stack = TIFFStack.open(path)
    assert tiff_stack.is_tiff(path.read_bytes()[:4])
    assert stack.pixel_spacing == 0
    np.testing.assert_array_equal(stack.read_frame(2), written[2])
    assert stack.read_frame(2).dtype.isnative


def test_lzw_with_predictor_by_pillow(tmp_path, monkeypatch):
    Image = pytest.importorskip("PIL.Image")
    (frame,) = frames(n=1, shape=(40, 30))
    path = tmp_path / "a.tif"
    Image.fromarray(frame).save(path, compression="tiff_lzw", tiffinfo={317: 2})
    monkeypatch.setattr(tiff_stack, "_tifffile_knows_lzw", lambda: False)
    np.testing.assert_array_equal(TIFFStack.open(path).read_frame(0), frame)


@pytest.mark.parametrize(
    "write, message",
    [
        ({"data": np.zeros((4, 5, 3), "u1"), "photometric": "rgb"}, "grey-level"),
        ({"data": np.zeros((4, 5), "f8")}, "64 bits"),
        ({"data": np.zeros((4, 5), bool)}, "1 bits"),
    ],
)
def test_other_images_are_refused(tmp_path, write, message):
    tifffile.imwrite(tmp_path / "a.tif", **write)
    with pytest.raises(ValueError, match=f"a.tif: no readable TIFF stack.*{message}"):
        TIFFStack.open(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["none", "zip"])
def test_headers_that_claim_too_much_are_refused(tmp_path, compression):
    path = tmp_path / "a.tif"
    write_stack(path, frames("uint16", n=1), compression=compression)
    with tifffile.TiffFile(path) as tiff:
        values = [tiff.pages[0].tags[code].valueoffset for code in (256, 257)]
        kinds = [tiff.pages[0].tags[code].dtype for code in (256, 257)]
    data = bytearray(path.read_bytes())
    for at, kind in zip(values, kinds):
        struct.pack_into("<H" if int(kind) == 3 else "<I", data, at, 65000)
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ValueError, match="a.tif.*claims 65000 x 65000"):
        TIFFStack.open(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    for content in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"hello"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.tif: no readable TIFF stack"):
            TIFFStack.open(path)
    with pytest.raises(FileNotFoundError):
        TIFFStack.open(tmp_path / "missing.tif")
    write_stack(path, frames(), compression="zip")
    stack = TIFFStack.open(path)
    with pytest.raises(IndexError, match="image 4 of 4"):
        stack.read_frame(4)
    tifffile.imwrite(path, np.zeros((4, 3, 3), "u1"), photometric="minisblack")
    with pytest.raises(ValueError, match="image 1: .*the first one"):
        stack.read_frame(1)


@pytest.mark.parametrize(
    "images, message",
    [
        ([], "no image to write to .*a.tif"),
        ([np.zeros((2, 3), "c8")], "no TIFF stack for images of .*complex64"),
        ([np.zeros((2, 3), "u1"), np.zeros((2, 2), "u1")], "image 1 is"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, images, message):
    for compression in ("none", "zip", "lzw"):
        with pytest.raises(ValueError, match=message):
            write_stack(tmp_path / "a.tif", images, compression=compression)
    with pytest.raises(ValueError, match="compression 'jpeg' is not one of"):
        write_stack(tmp_path / "a.tif", frames(), compression="jpeg")
    assert not list(tmp_path.iterdir())
