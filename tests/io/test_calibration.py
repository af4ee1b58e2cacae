"""Gain references and defects, found by the title of a stack and applied."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dials_truncfix.io import mrc, tiff_stack
from dials_truncfix.io.calibration import find_companions, load_calibration
from dials_truncfix.io.defects import Defects, write_defects
from dials_truncfix.io.frame_images import FrameImages
from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.gain_reference import (
    apply_gain,
    find_companion,
    read_reference,
    turn_reference,
)
from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames
from dm4_file import write_dm4


def reference(shape=(4, 6)):
    return np.random.default_rng(2).uniform(0.8, 1.2, shape).astype(np.float32)


def open_calibrated(path):
    frames = open_frames(path)
    calibration = load_calibration(
        find_companions(frames),
        frames.title.rotation_flip,
        frames.title.needed_rotation_flip,
        frames.stored_shape,
    )
    return FrameImages(frames, (range(1),)), calibration


def write_reference(path, factors):
    if path.suffix == ".mrc":
        mrc.write_stack(path, [factors[::-1]])
    else:
        tiff_stack.write_stack(path, [factors], compression="none")


@pytest.mark.parametrize("need", [False, True])
@pytest.mark.parametrize("operation", range(8))
@pytest.mark.parametrize("stack", ["s.mrc", "s.tif"])
@pytest.mark.parametrize("kind", ["r.mrc", "r.tif"])
def test_camera_reference_and_defects_meet(tmp_path, stack, kind, operation, need):
    """What the camera saw comes out, turned, whatever was turned when and saved how."""
    camera = np.random.default_rng(1).integers(0, 15, (4, 6)).astype(np.uint8)
    factors = reference()
    expected = rotate_flip(camera * factors, operation)
    title = FrameTitle(
        rotation_flip=0 if need else operation,
        needed_rotation_flip=operation if need else 0,
        gain_reference=kind,
        defects="d.txt",
    )
    saved = camera if need else rotate_flip(camera, operation)
    write_frames(tmp_path / stack, [saved], title, compression="zip")
    write_reference(tmp_path / kind, factors)
    write_defects(
        tmp_path / "d.txt", Defects((6, 4), rotation_flip=0, pixels=((5, 1),))
    )
    images, calibration = open_calibrated(tmp_path / stack)
    found = images.read(0, calibration)
    found_bad = images.bad_pixels(calibration)
    assert found.dtype == np.float32
    bad = np.zeros((4, 6), bool)
    bad[1, 5] = True
    np.testing.assert_array_equal(found_bad, rotate_flip(bad, operation))
    np.testing.assert_allclose(found[~found_bad], expected[~found_bad], rtol=1e-6)
    neighbours = (camera * factors)[[0, 0, 1, 2, 2], [4, 5, 4, 4, 5]].mean()
    assert found[found_bad] == pytest.approx(neighbours, rel=1e-6)


def test_nothing_is_changed_without_reference_and_defects(tmp_path):
    frame = np.full((4, 6), 160, np.uint8)
    write_frames(tmp_path / "a.mrc", [frame], FrameTitle(scaling=32.0))
    images, calibration = open_calibrated(tmp_path / "a.mrc")
    assert images.bad_pixels(calibration) is None
    assert images.read(0, calibration).dtype == np.int32
    np.testing.assert_array_equal(images.read(0, calibration), frame)


@pytest.mark.parametrize(
    "title, kind",
    [
        (FrameTitle(gain_reference="Ref.dm4"), "gain reference Ref.dm4"),
        (FrameTitle(defects="defects1.txt"), "defects file defects1.txt"),
    ],
)
def test_missing_files_are_named(tmp_path, title, kind):
    write_frames(tmp_path / "a.mrc", [np.ones((4, 6), "u1")], title)
    with pytest.raises(ValueError, match=f"a.mrc: its title names the {kind}, which"):
        open_calibrated(tmp_path / "a.mrc")


def test_files_that_do_not_fit_are_named(tmp_path):
    title = FrameTitle(gain_reference="r.mrc", defects="d.txt")
    write_frames(tmp_path / "a.mrc", [np.ones((4, 6), "u1")], title)
    write_reference(tmp_path / "r.mrc", reference((4, 5)))
    write_defects(tmp_path / "d.txt", Defects((6, 4)))
    with pytest.raises(ValueError, match=r"r.mrc: the gain reference has 5 x 4"):
        open_calibrated(tmp_path / "a.mrc")
    write_reference(tmp_path / "r.mrc", reference())
    write_defects(tmp_path / "d.txt", Defects((7, 4)))
    with pytest.raises(ValueError, match=r"d.txt: the defects are those of a camera"):
        open_calibrated(tmp_path / "a.mrc")
    with pytest.raises(ValueError, match="with r/f 1 it does not fit"):
        turn_reference(reference(), 1, (4, 6))
    with pytest.raises(ValueError, match="differ in shape"):
        apply_gain(np.ones((2, 2)), reference())


def test_companions_are_looked_for_where_serialem_puts_them(tmp_path):
    folder = tmp_path / "set_001"
    folder.mkdir()
    stack = folder / "a_001.tif"
    assert find_companion(stack, "Ref.dm4") is None
    (tmp_path / "Ref.mrc").touch()
    assert find_companion(stack, r"C:\refs\Ref.dm4") == tmp_path / "Ref.mrc"
    (tmp_path / "Ref.dm4").touch()
    assert find_companion(stack, "  Ref.dm4") == tmp_path / "Ref.dm4"
    (folder / "Ref.dm4").touch()
    assert find_companion(stack, "../../Ref.dm4") == folder / "Ref.dm4"
    for name in ("", "..", ".", "a\0b"):
        assert find_companion(stack, name) is None


@pytest.mark.parametrize(
    "factors", [-reference(), 0 * reference(), reference() + np.inf]
)
def test_what_is_no_reference(tmp_path, factors):
    write_reference(tmp_path / "r.mrc", factors)
    with pytest.raises(ValueError, match="r.mrc holds no gain factors"):
        read_reference(tmp_path / "r.mrc")


def test_scale():
    counts = np.full((4, 6), 3, np.uint8)
    scaled = apply_gain(counts, reference(), 16.0)
    np.testing.assert_allclose(scaled, 48 * reference(), rtol=1e-6)


LIBRARIES = {
    "ncempy": ["ncempy", "ncempy.io", "ncempy.io.dm"],
    "rsciio": ["rsciio", "rsciio.digitalmicrograph"],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_reference_of_digitalmicrograph(tmp_path, library, monkeypatch):
    pytest.importorskip(LIBRARIES[library][-1])
    for other, modules in LIBRARIES.items():
        if other != library:
            for name in modules:
                monkeypatch.setitem(sys.modules, name, None)
    write_dm4(tmp_path / "r.dm4", reference())
    np.testing.assert_array_equal(read_reference(tmp_path / "r.dm4"), reference())
    (tmp_path / "broken.dm4").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="broken.dm4: no readable DigitalMicrograph"):
        read_reference(tmp_path / "broken.dm4")


def test_without_a_library_the_way_out_is_said(tmp_path, monkeypatch):
    for modules in LIBRARIES.values():
        for name in modules:
            monkeypatch.setitem(sys.modules, name, None)
    write_dm4(tmp_path / "r.dm4", reference())
    with pytest.raises(ValueError, match="r.dm4: .*needs the Python package ncempy"):
        read_reference(tmp_path / "r.dm4")
    with pytest.raises(FileNotFoundError):
        read_reference(tmp_path / "missing.dm4")
