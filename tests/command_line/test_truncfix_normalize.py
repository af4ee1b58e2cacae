"""dials.truncfix_normalize: files in, files out."""

from __future__ import annotations

import numpy as np
import pytest

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_normalize import run
from dials_truncfix.io import mrc
from dials_truncfix.io.defects import Defects, write_defects
from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames

SHAPE = (6, 10)


def camera_frames(n=3, seed=3):
    rng = np.random.default_rng(seed)
    return rng.poisson(0.7, (n, *SHAPE)).clip(0, 15).astype(np.uint8)


@pytest.fixture
def reference(here):
    factors = np.random.default_rng(4).uniform(0.8, 1.2, SHAPE).astype(np.float32)
    mrc.write_stack("ref.mrc", [factors[::-1]])
    return factors


def save(name, operation=0, need=0, packing=None, **title):
    shown = (np.ascontiguousarray(rotate_flip(f, operation)) for f in camera_frames())
    whole = FrameTitle(rotation_flip=operation, needed_rotation_flip=need, **title)
    write_frames(name, shown, whole, packing=packing)


def literal(factors, operation, scale):
    """The manual's recipe for frames as the camera reads, turned at the end."""
    normalized = camera_frames().astype(np.float32) * factors * np.float32(scale)
    rounded = np.rint(normalized).astype(np.int16)
    flipped = rounded[:, :, ::-1] if operation > 3 else rounded
    return np.rot90(flipped, operation % 4, axes=(1, 2))


@pytest.mark.parametrize("operation", range(8))
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("name", "packing"),
    [("raw.mrc", "mode101"), ("raw.tif", "squeezed"), ("raw.mrc", None)],
)
def test_frames_equal_the_manual_bit_for_bit(reference, name, packing, late, operation):
    kept, need = (0, operation) if late else (operation, 0)
    save(name, kept, need, packing, gain_reference="ref.mrc")
    run([name])
    result = open_frames("normalized.mrc")
    frames = [result.read_frame(i) for i in range(result.n_frames)]
    assert np.array_equal(frames, literal(reference, operation, 16))
    assert result.title.scaling == 16
    assert result.title.gain_reference is None


def test_files_of_one_frame_become_a_stack(reference):
    for number, frame in enumerate(camera_frames()):
        title = FrameTitle(gain_reference="ref.mrc")
        write_frames(f"f_{number}.tif", [frame], title)
    run([*(f"f_{i}.tif" for i in range(3)), "output.frames=out.tif", "scale=32"])
    result = open_frames("out.tif")
    frames = [result.read_frame(i) for i in range(3)]
    assert np.array_equal(frames, literal(reference, 0, 32))


def test_given_files_win_over_the_title(reference):
    save("raw.mrc", gain_reference="missing.dm4", defects="missing.txt")
    write_defects("mine.txt", Defects(camera_size=SHAPE[::-1], columns=(4,)))
    run(
        [
            "raw.mrc",
            "gain_reference=ref.mrc",
            "defects=mine.txt",
            "type=float",
            "scale=1",
        ]
    )
    frame = open_frames("normalized.mrc").read_frame(0)
    expected = camera_frames()[0] * reference
    assert np.array_equal(frame[:, :4], expected[:, :4])
    assert not np.array_equal(frame[:, 4], expected[:, 4])


def test_defects_can_be_left_alone(reference):
    save("raw.mrc", gain_reference="ref.mrc", defects="missing.txt")
    run(["raw.mrc", "correct_defects=False"])
    assert open_frames("normalized.mrc").n_frames == 3


@pytest.mark.parametrize(
    ("title", "arguments", "sentence"),
    [
        ({}, [], "names no gain reference"),
        ({"gain_reference": "no.dm4"}, [], "names the gain reference no.dm4"),
        (
            {"gain_reference": "ref.mrc", "defects": "d.txt"},
            [],
            "names the defects file d.txt",
        ),
        ({"gain_reference": "ref.mrc"}, ["limits.low=3", "limits.high=2"], "no value"),
        ({}, ["gain_reference=small.mrc"], "small.mrc: the gain reference has 3 x 2"),
        ({}, ["gain_reference=none.mrc"], "none.mrc: No such file"),
        ({}, ["output.frames=raw.mrc"], "raw.mrc is an input"),
        ({"gain_reference": "ref.mrc"}, ["output.frames=no/x.mrc"], "no/x.mrc"),
        ({}, ["output.frames=None"], "name a file"),
    ],
)
def test_what_cannot_be_done_is_told(reference, here, title, arguments, sentence):
    mrc.write_stack("small.mrc", [np.ones((2, 3), np.float32)])
    save("raw.mrc", **title)
    before = sorted(here.iterdir())
    with pytest.raises(Sorry, match=sentence):
        run(["raw.mrc", *arguments, "output.log=None"])
    assert sorted(here.iterdir()) == before


def test_files_of_two_recordings_are_refused(reference, here):
    save("a.mrc", gain_reference="ref.mrc")
    save("b.mrc", operation=2, gain_reference="ref.mrc")
    with pytest.raises(Sorry, match="b.mrc has another title than a.mrc"):
        run(["a.mrc", "b.mrc"])
    assert not (here / "normalized.mrc").exists()


def test_a_file_of_something_else_is_refused(here):
    (here / "x.mrc").write_bytes(b"nothing" * 300)
    with pytest.raises(Sorry, match="x.mrc"):
        run(["x.mrc"])
