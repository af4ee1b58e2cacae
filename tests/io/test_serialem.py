"""Frames of SerialEM: the same array from every kind of file."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames


def frames(dtype="uint8", n=3, shape=(6, 10), highest=15):
    generator = np.random.default_rng(8)
    return [generator.integers(0, highest + 1, shape).astype(dtype) for _ in range(n)]


KINDS = {
    "a.mrc": {},
    "mode101.mrc": {"packing": "mode101"},
    "squeezed.mrcs": {"packing": "squeezed"},
    "none.tif": {"compression": "none"},
    "zip.tiff": {"compression": "zip"},
    "squeezed.tif": {"compression": "zip", "packing": "squeezed"},
    "lzw.tif": {"compression": "lzw"},
}


@pytest.mark.parametrize("need", [False, True])
@pytest.mark.parametrize("operation", range(8))
def test_every_file_gives_the_same_oriented_frame(tmp_path, operation, need):
    """The camera's frame, turned by the operation, comes out of all of them."""
    pytest.importorskip("tifffile")
    pytest.importorskip("PIL")
    raw = frames()
    expected = [rotate_flip(frame, operation) for frame in raw]
    title = (
        FrameTitle(needed_rotation_flip=operation)
        if need
        else FrameTitle(rotation_flip=operation)
    )
    for name, options in KINDS.items():
        saved = raw if need else expected
        assert write_frames(tmp_path / name, saved, title, **options) == 3
        stack = open_frames(tmp_path / name)
        assert stack.from_serialem
        assert stack.title.needed_rotation_flip == title.needed_rotation_flip
        assert stack.is_packed == stack.title.packed == ("packing" in options)
        assert stack.shape == expected[0].shape
        assert stack.stored_shape == saved[0].shape
        for index in (2, 0):
            np.testing.assert_array_equal(stack.read_frame(index), expected[index])
            np.testing.assert_array_equal(stack.read_stored(index), saved[index])


def test_the_first_row_of_an_mrc_file_is_the_lowest(tmp_path):
    (frame,) = frames(n=1)
    write_frames(tmp_path / "a.mrc", [frame], FrameTitle())
    stored = MRCStack.open(tmp_path / "a.mrc").read_frame(0)
    np.testing.assert_array_equal(stored, frame[::-1])


@pytest.mark.parametrize("name", ["a.mrc", "a.tif"])
def test_k3_bytes_stay_positive(tmp_path, name):
    """Five electrons of a K3 are 160, which a signed byte would show as -96."""
    frame = np.full((4, 6), 160, np.uint8)
    write_frames(tmp_path / name, [frame], FrameTitle(scaling=32.0), compression="zip")
    stack = open_frames(tmp_path / name)
    assert stack.title.scaling == 32
    assert (stack.read_frame(0) == 160).all()


@pytest.mark.parametrize("name", ["a.mrc", "a.tif"])
def test_titles_and_pixel_size(tmp_path, name):
    title = FrameTitle(
        scaling=16.0,
        rotation_flip=3,
        gain_reference="CountRef.dm4",
        defects="defects.txt",
        notes=("a note",),
    )
    write_frames(tmp_path / name, frames(), title, compression="zip", pixel_spacing=1.3)
    stack = open_frames(tmp_path / name)
    assert stack.title == title
    assert stack.pixel_spacing == pytest.approx(1.3, rel=1e-6)


def test_files_of_others(tmp_path):
    from dials_truncfix.io import mrc

    mrc.write_stack(tmp_path / "a.mrc", frames("int16"), labels=["IMOD: newstack"])
    stack = open_frames(tmp_path / "a.mrc")
    assert not stack.from_serialem and stack.title == FrameTitle()
    (tmp_path / "b").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="b is no readable MRC file"):
        open_frames(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        open_frames(tmp_path / "c.mrc")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="a.tif: a TIFF file cannot hold mode101"):
        write_frames(tmp_path / "a.tif", frames(), FrameTitle(), packing="mode101")
    with pytest.raises(ValueError, match="even width"):
        write_frames(
            tmp_path / "a.tif",
            frames(shape=(3, 5)),
            FrameTitle(),
            packing="squeezed",
        )
    with pytest.raises(ValueError, match="16 does not fit"):
        write_frames(
            tmp_path / "a.mrc",
            [np.full((2, 2), 16, "u1")],
            FrameTitle(),
            packing="mode101",
        )
    assert not list(tmp_path.iterdir())
