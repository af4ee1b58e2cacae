"""Images made from frames: sums, reduction, saturated pixels."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.calibration import Calibration
from dials_truncfix.io.defect_correction import plan_correction
from dials_truncfix.io.frame_images import FrameImages
from dials_truncfix.io.reduction import reduce_antialiased
from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames

NOTHING = Calibration()


def stack(tmp_path, frames, title=None, **options):
    write_frames(tmp_path / "a.mrc", frames, title or FrameTitle(), **options)
    return open_frames(tmp_path / "a.mrc")


def random_frames(n=6, shape=(8, 12), highest=14):
    generator = np.random.default_rng(3)
    return [generator.integers(0, highest + 1, shape, np.uint8) for _ in range(n)]


def test_sums(tmp_path):
    frames = random_frames()
    groups = (range(0, 2), range(2, 6))
    images = FrameImages(stack(tmp_path, frames, packing="mode101"), groups)
    for index, group in enumerate(groups):
        pixels = images.read(index, NOTHING)
        assert pixels.dtype == np.int32
        expected = np.sum([frames[i] for i in group], axis=0, dtype=int)
        np.testing.assert_array_equal(pixels, expected)
    assert not images.may_be_negative
    assert images.saturated_value == 4 * 15
    with pytest.raises(IndexError, match="image 2 of 2"):
        images.read(2, NOTHING)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_signed_frames(tmp_path, dtype):
    frames = [(f.astype(dtype) - 5) for f in random_frames()]
    images = FrameImages(stack(tmp_path, frames), (range(6),))
    assert images.may_be_negative
    np.testing.assert_array_equal(images.read(0, NOTHING), np.sum(frames, axis=0))


@pytest.mark.parametrize("need", range(8))
def test_saturated_pixels_stay_recognisable(tmp_path, need):
    frames = random_frames(highest=3)
    frames[1][2, 3] = 15
    frames[4][0, 0] = 14
    title = FrameTitle(needed_rotation_flip=need)
    images = FrameImages(
        stack(tmp_path, frames, title, packing="squeezed"), (range(3), range(3, 6))
    )
    first, second = (images.read(i, NOTHING) for i in range(2))
    assert (first == images.saturated_value).sum() == 1
    assert (second == images.saturated_value).sum() == 0
    marker = np.zeros((8, 12), np.uint8)
    marker[2, 3] = 1
    write_frames(tmp_path / "marker.mrc", [marker], title)
    expected = open_frames(tmp_path / "marker.mrc").read_frame(0) == 1
    np.testing.assert_array_equal(first == images.saturated_value, expected)


def test_bytes_of_a_k3_saturate_at_255(tmp_path):
    """Seven electrons are 224; 255 could be any number above."""
    frame = np.full((8, 12), 224, np.uint8)
    frame[1, 1] = 255
    images = FrameImages(stack(tmp_path, [frame]), (range(1),))
    assert images.saturated_value == 255
    np.testing.assert_array_equal(images.read(0, NOTHING), frame)


def test_reduction_marks_the_whole_pixel(tmp_path):
    pytest.importorskip("PIL")
    frames = random_frames(highest=3)
    frames[0][2, 3] = 15
    images = FrameImages(
        stack(tmp_path, frames, packing="mode101"), (range(6),), reduce_by=2
    )
    assert images.shape == (4, 6)
    pixels = images.read(0, NOTHING)
    expected = reduce_antialiased(np.sum(frames, axis=0, dtype=np.int32), 2)
    assert pixels[1, 1] == images.saturated_value > expected.max()
    expected[1, 1] = pixels[1, 1]
    np.testing.assert_array_equal(pixels, expected)
    assert images.may_be_negative
    with pytest.raises(ValueError, match="12 x 8 pixels cannot be reduced by 3"):
        FrameImages(images.frames, (range(1),), reduce_by=3)


def test_bad_pixels_are_filled_and_not_saturated(tmp_path):
    frames = [np.full((8, 12), 2, np.uint8) for _ in range(2)]
    for frame in frames:
        frame[4, 5] = 15
    bad = np.zeros((8, 12), bool)
    bad[4, 5] = True
    calibration = Calibration(
        reference=np.full((8, 12), 1.25, np.float32),
        bad=bad,
        correction=plan_correction(bad),
    )
    images = FrameImages(
        stack(tmp_path, frames, packing="mode101"), (range(2),), highest_gain=1.25
    )
    np.testing.assert_allclose(images.read(0, calibration), 5.0, rtol=1e-6)
    np.testing.assert_array_equal(images.bad_pixels(calibration), bad)
    assert images.saturated_value == 38  # 2 x 15 x 1.25, and up


def test_memory_is_that_of_some_frames(tmp_path):
    import tracemalloc

    shape = (1000, 1000)
    frames = stack(
        tmp_path, (np.full(shape, 3, np.uint8) for _ in range(20)), packing="mode101"
    )
    images = FrameImages(frames, (range(20),))
    tracemalloc.start()
    assert images.read(0, NOTHING)[0, 0] == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the sum takes four frames of a byte a pixel
    assert peak < 7 * shape[0] * shape[1]
