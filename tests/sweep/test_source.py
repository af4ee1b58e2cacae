from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.format.image import ImageBool
from dxtbx.model import BeamFactory, DetectorFactory
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix import compat
from dials_truncfix.io import cbf
from dials_truncfix.io.corrected_header import format_cbf_lines, make_header
from dials_truncfix.io.defects import Defects, write_defects
from dials_truncfix.io.mrc import write_stack
from dials_truncfix.io.serialem import FrameTitle, write_frames
from dials_truncfix.io.source_files import find_source, reading_rights, source_file
from dials_truncfix.sweep.source import SweepSource, file_parts, sha256
from recordings import record, true_frames


@pytest.fixture
def recording(tmp_path):
    true = true_frames(5, 64)
    true[:, 3, 4] = 65535
    return record(tmp_path, true, frames_per_part=2)


@pytest.fixture
def imageset(recording):
    return ExperimentListFactory.from_filenames([str(recording.path)])[0].imageset


def test_reads_what_was_recorded(recording, imageset):
    source = SweepSource(imageset)
    assert len(source) == 5
    assert source.numbers == (1, 2, 3, 4, 5)
    for index in range(5):
        frame = source.read(index)
        np.testing.assert_array_equal(frame.pixels, recording.truncated[index])
        # zeros count as measured, saturated pixels do not
        assert frame.valid.sum() == frame.valid.size - 1
        assert not frame.valid[3, 4]


def test_narrow_images_are_the_same(recording, imageset, tmp_path):
    source = SweepSource(imageset[1:4])
    for index in range(3):
        frame, narrow = source.read(index), source.read(index, narrow=True)
        assert (frame.pixels.dtype, narrow.pixels.dtype) == (np.int32, np.uint16)
        np.testing.assert_array_equal(narrow.pixels, frame.pixels)
        np.testing.assert_array_equal(narrow.valid, frame.valid)


def test_images_of_other_formats_are_narrowed_where_they_fit(tmp_path):
    for number, lowest in ((1, 0), (2, -1)):
        pixels = np.arange(lowest, 64 * 64 + lowest, dtype=np.int32).reshape(64, 64)
        cbf.write(tmp_path / f"a_{number}.cbf", pixels, _header())
    for number, dtype in ((1, np.uint16), (2, np.int32)):
        path = str(tmp_path / f"a_{number}.cbf")
        imageset = ExperimentListFactory.from_filenames([path])[0].imageset
        frame = SweepSource(imageset).read(0, narrow=True)
        assert frame.pixels.dtype == dtype
        np.testing.assert_array_equal(
            frame.pixels, SweepSource(imageset).read(0).pixels
        )


def _header():
    detector = DetectorFactory.simple(
        "PAD", 2200, (2, 2), "+x", "-y", (0.0624, 0.0624), (64, 64), (-2, 65535)
    )
    beam = BeamFactory.simple(0.02508)
    models = compat.models_to_dict(detector, beam, None, None, None)
    return format_cbf_lines(
        make_header(
            models,
            gain=1.0,
            pedestal=0.0,
            trusted_range=(-2.0, 65535.0),
            offset=0,
            seed=0,
            version="test",
        )
    )


def test_a_slice_keeps_its_numbers(recording, imageset):
    source = SweepSource(imageset[2:4])
    assert source.numbers == (3, 4)
    np.testing.assert_array_equal(source.read(0).pixels, recording.truncated[2])


@pytest.mark.parametrize("ends", [(-1, 65535), (0, 65534), (-0.5, 65534.5)])
def test_zeros_count_whatever_the_trusted_range_means(imageset, ends):
    imageset.get_detector()[0].set_trusted_range(ends)
    frame = SweepSource(imageset).read(0)
    assert frame.valid[frame.pixels == 0].all()


def test_negative_marks_of_bad_pixels_are_not_valid(tmp_path, imageset):
    panel = imageset.get_detector()[0]
    panel.set_trusted_range(compat.safe_trusted_range(0, 65534))
    source = SweepSource(imageset)
    assert source.min_valid == 0
    assert source.read(0).valid.sum() == 64 * 64 - 1


def test_all_parts_of_a_series_are_listed(recording, imageset):
    files = SweepSource(imageset).files()
    assert [path.name for path in files] == [f"movie_00{i}.tvips" for i in range(3)]
    data = recording.path.read_bytes()
    assert sha256(files[0]) == hashlib.sha256(data).hexdigest()


def test_untrusted_rectangles_and_lookup_masks(imageset):
    imageset.get_detector()[0].add_mask(10, 20, 15, 30)
    mask = np.ones((64, 64), bool)
    mask[:, 50:] = False
    imageset.external_lookup.mask.data = ImageBool(flumpy.from_numpy(mask))
    got = SweepSource(imageset).static_mask()
    expected = mask.copy()
    expected[20:30, 10:15] = False
    np.testing.assert_array_equal(got, expected)


def test_a_mask_of_another_size_is_refused(imageset):
    mask = ImageBool(flumpy.from_numpy(np.ones((32, 64), bool)))
    imageset.external_lookup.mask.data = mask
    with pytest.raises(ValueError, match="64 × 32 pixels for images of 64 × 64"):
        SweepSource(imageset).static_mask()


def test_a_mask_of_everything_is_refused(imageset):
    mask = ImageBool(flumpy.from_numpy(np.zeros((64, 64), bool)))
    imageset.external_lookup.mask.data = mask
    with pytest.raises(ValueError, match="the mask leaves no pixel"):
        SweepSource(imageset).static_mask()


def test_a_scan_without_a_goniometer_is_refused(imageset):
    imageset.set_goniometer(None)
    with pytest.raises(ValueError, match="geometry.goniometer.axis"):
        SweepSource(imageset)


def test_impossible_distance_is_refused(imageset):
    panel = imageset.get_detector()[0]
    panel.set_frame((1, 0, 0), (0, -1, 0), (-2.0, 2.0, -0.1))
    with pytest.raises(ValueError, match="geometry.detector.distance"):
        SweepSource(imageset)


def test_files_that_pixels_of_frames_depend_on(tmp_path):
    """A sidecar notices when any of them was changed."""
    frames = [np.ones((8, 8), np.uint8)] * 2
    title = FrameTitle(gain_reference="ref.mrc", defects="defects.txt")
    write_frames(tmp_path / "a.mrc", frames, title)
    write_stack(tmp_path / "ref.mrc", [np.ones((8, 8), np.float32)])
    write_defects(tmp_path / "defects.txt", Defects((8, 8)))
    (tmp_path / "a.frames").write_text(
        '{"serialem_frames": 1, "stack": "a.mrc", "defects": false}'
    )

    def names(path):
        return [part.name for part in file_parts(tmp_path / path)]

    assert names("a.mrc") == ["a.mrc", "ref.mrc", "defects.txt"]
    assert names("a.frames") == ["a.frames", "a.mrc", "ref.mrc"]
    assert names("ref.mrc") == ["ref.mrc"]
    assert names("missing.mrc") == ["missing.mrc"]
    source = source_file(file_parts(tmp_path / "a.frames"))
    rights = reading_rights(str(tmp_path / "a.tfx"), os.geteuid())
    assert find_source(source, rights, file_parts) == str(tmp_path / "a.frames")
    write_stack(tmp_path / "ref.mrc", [np.full((8, 8), 2, np.float32)])
    with pytest.raises(ValueError, match="ref.mrc is no longer the file from which"):
        find_source(source, rights, file_parts)
    (tmp_path / "ref.mrc").unlink()
    with pytest.raises(ValueError, match="names the gain reference ref.mrc"):
        find_source(source, rights, file_parts)
