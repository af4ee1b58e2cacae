"""Models and pixels of Gatan K2 and K3 frames that SerialEM saved, shared by formats."""

from __future__ import annotations

import functools
import logging
import math
import os
from pathlib import Path
from typing import Any

from dxtbx import flumpy
from dxtbx.model import DetectorFactory

from dials_truncfix import compat
from dials_truncfix.format.tem_models import log_once, plain_failures
from dials_truncfix.io.calibration import (
    Calibration,
    CalibrationFiles,
    chosen_files,
    load_calibration,
)
from dials_truncfix.io.frame_images import FrameImages
from dials_truncfix.io.frame_recipe import FrameRecipe
from dials_truncfix.io.gatan import counts_per_electron, recognise
from dials_truncfix.io.mdoc import MdocSection, find_mdoc, read_mdoc
from dials_truncfix.io.microscope import (
    camera_length,
    electron_wavelength,
    high_tension,
)
from dials_truncfix.io.mrc_header import HEADER_BYTES, header_labels, parse_header
from dials_truncfix.io.serialem import has_serialem_title, open_frames
from dials_truncfix.io.serialem_title import is_serialem_title
from dials_truncfix.io.tiff_stack import TIFFStack, is_tiff

LOGGER = "dxtbx.format.SerialEM"

_DEFAULT_PIXEL_MM = 0.005
_LINEAR_MODE = 0


class SerialEMImages:
    """Mix-in for format classes of frames, or of images made from them."""

    _image_file: str

    def _note(self, message: str, level: int = logging.INFO) -> None:
        # Without the file name, so that a series of files says it once.
        log_once(LOGGER, level, f"SerialEM frames: {message}")

    def _open_stack(self, stack: Path, recipe: FrameRecipe) -> None:
        """Open what images are made from; failures end the program with a sentence."""
        with plain_failures():
            self._frames = open_frames(stack)
            self._recipe = recipe
            files = chosen_files(self._frames, recipe)
            self._calibration_key = (
                files,
                tuple(_state(path) for path in (files.gain_reference, files.defects)),
                self._frames.title.rotation_flip,
                self._frames.title.needed_rotation_flip,
                self._frames.stored_shape,
            )
            calibration = self._calibration()
            reference = calibration.reference
            try:
                groups = tuple(recipe.groups(self._frames.n_frames))
            except ValueError as error:
                raise ValueError(f"{self._image_file}: {error}") from None
            self._images = FrameImages(
                self._frames,
                groups,
                recipe.reduce_by,
                1.0 if reference is None else max(1.0, float(reference.max())),
            )
            self._section = _metadata(stack)
        self._note_sources(files)

    def _note_sources(self, files: CalibrationFiles) -> None:
        n_frames, groups = self._frames.n_frames, self._images.groups
        noted = self._number("NumSubFrames")
        if n_frames > 1 and noted not in (None, n_frames):
            self._note(
                f"the .mdoc file tells of {noted:g} frames, the stack holds {n_frames}",
                logging.WARNING,
            )
        used = sum(map(len, groups))
        if used < n_frames:
            self._note(
                f"{used} of {n_frames} frames are used, {len(groups[0])} in an image"
            )
        for kind, path in (
            ("normalized by the gain reference", files.gain_reference),
            ("corrected and masked by the defects", files.defects),
        ):
            if path is not None:
                self._note(f"{kind} {path.name}")

    def _calibration(self) -> Calibration:
        return _load_calibration(*self._calibration_key)

    def _number(self, key: str) -> float | None:
        return None if self._section is None else self._section.number(key)

    @property
    def _is_falling(self) -> bool:
        """Whether the angle falls; the scan then rises about the inverted axis."""
        oscillation = self._recipe.oscillation
        return oscillation is not None and oscillation[1] < 0

    def _goniometer(self) -> Any:
        angle = self._number("RotationAngle")
        if angle is None:
            axis = (1.0, 0.0, 0.0)
            source = "assumed"
        else:
            # SerialEM's angle runs counterclockwise from the horizontal of its images.
            axis = (
                round(math.cos(math.radians(angle)), 6),
                round(math.sin(math.radians(angle)), 6),
                0.0,
            )
            source = (
                f"taken from RotationAngle {angle:g} of the .mdoc file, which is that of "
                "imaging at best, and does not tell the sense"
            )
        if self._is_falling:
            axis = (-axis[0], -axis[1], 0.0)
        self._note(
            f"rotation axis {axis} {source} (geometry.goniometer.axis and "
            "geometry.goniometer.invert_rotation_axis override)"
        )
        return self._goniometer_factory.known_axis(axis)  # type: ignore[attr-defined]

    def _detector(self) -> Any:
        images, title = self._images, self._frames.title
        readout = recognise(self._frames.shape)
        if readout is None:
            microns = self._number("CameraPixelSize")
            pixel = _DEFAULT_PIXEL_MM if microns is None else microns * 1e-3
            self._note(
                f"frames of {self._frames.shape[1]} x {self._frames.shape[0]} pixels are "
                f"no whole ones of a K2 or K3; pixel size {pixel:g} mm "
                f"{'assumed' if microns is None else 'taken from the .mdoc file'} "
                "(geometry.detector.panel.pixel_size overrides)"
            )
        else:
            pixel = readout.pixel_mm
            self._note(f"{readout.sensor.name}, pixels of {1e3 * pixel:g} micrometres")
        pixel = round(pixel * images.reduce_by, 7)
        distance, note = camera_length(self._number("CameraLength"))
        self._note(note)
        self._note(
            "beam centre assumed in the middle of the image "
            "(mosflm_beam_centre=x,y or slow_fast_beam_centre=y,x override)"
        )
        linear = self._number("OperatingMode") == _LINEAR_MODE
        gain = self._recipe.counts_per_electron
        if gain is None:
            gain = self._number("CountsPerElectron") if linear else None
        if gain is None or gain <= 0:
            sensor = None if readout is None else readout.sensor
            gain = counts_per_electron(title, sensor, self._frames.dtype)
        self._note(
            f"{gain:g} counts an electron, which is the gain of the panel "
            "(geometry.detector.panel.gain overrides)"
        )
        # DIALS takes counting statistics for granted, and pixels of zero and more, where
        # a panel of gain 1 is called PAD: right for unscaled electrons alone.
        counts = gain == 1 and not linear and not images.may_be_negative
        lowest = 0 if not images.may_be_negative else -images.saturated_value
        rows, columns = images.shape
        return DetectorFactory.simple(
            "PAD" if counts else "CCD",
            distance,
            (0.5 * columns * pixel, 0.5 * rows * pixel),
            "+x",
            "-y",
            (pixel, pixel),
            (columns, rows),
            compat.safe_trusted_range(lowest, images.saturated_value - 1),
            [],
            gain=gain,
        )

    def _beam(self) -> Any:
        kilovolt, note = high_tension(self._number("Voltage") or 0.0)
        if note is not None:
            self._note(note.replace("the header has", "no .mdoc file beside it has", 1))
        return compat.make_electron_beam(electron_wavelength(kilovolt))

    def _rotation(self) -> tuple[float, float]:
        """Start and width of the first image; (0, 0) where nobody knows."""
        if self._recipe.oscillation is not None:
            start, width = self._recipe.oscillation
            return (-start, -width) if self._is_falling else (start, width)
        self._note(
            "nothing beside the frames says how the crystal was rotated; if it was, "
            "import with geometry.scan.oscillation=start,width (degrees)",
            logging.WARNING,
        )
        return 0.0, 0.0

    def _exposure(self) -> float:
        """Exposure of an image (s); 0 where nobody knows."""
        if self._recipe.exposure_time is not None:
            return self._recipe.exposure_time
        exposure, n_frames = self._number("ExposureTime"), self._number("NumSubFrames")
        if exposure is None or not n_frames or n_frames < 1:
            return 0.0
        return exposure / n_frames * len(self._images.groups[0])

    def get_static_mask(self) -> Any:
        """Return the mask of bad pixels, False for them; None where there are none."""
        with plain_failures():
            bad = self._images.bad_pixels(self._calibration())
        return None if bad is None else (flumpy.from_numpy(~bad),)

    def _pixels(self, index: int) -> Any:
        """Return an image as flex.int or flex.double (counts)."""
        with plain_failures():
            pixels = self._images.read(index, self._calibration())
        return compat.to_flex(pixels)


class SerialEMStack(SerialEMImages):
    """Mix-in for format classes of several images in a file."""

    def get_num_images(self) -> int:
        """Return the number of images."""
        return len(self._images.groups)

    def _scan(self) -> Any:
        n_images = self.get_num_images()
        exposure = self._exposure()
        start = (self._section.timestamp if self._section else None) or 0.0
        return compat.make_scan(
            (1, n_images),
            self._rotation(),
            [exposure] * n_images,
            [start + i * exposure for i in range(n_images)],
        )

    def get_scan(self, index: int | None = None) -> Any:
        """Return the scan of all images, or of one counted from 0."""
        scan = self._scan_instance  # type: ignore[attr-defined]
        return scan if index is None else scan[index : index + 1]

    def get_raw_data(self, index: int | None = None) -> Any:
        """Return image `index`, counted from 0 (counts)."""
        return self._pixels(index or 0)


class SerialEMImage(SerialEMImages):
    """Mix-in for format classes of one image in a file of a numbered series."""

    def _scan(self) -> Any:
        from dxtbx.sequence_filenames import template_regex

        template, number = template_regex(os.path.basename(self._image_file))
        index = 1 if template is None else number
        exposure = self._exposure()
        # No angle and no width: such scans join to one sequence, and dials.import
        # gives that its oscillation.
        return compat.make_scan((index, index), self._rotation(), [exposure], [0.0])

    def get_raw_data(self) -> Any:
        """Return the image (counts)."""
        return self._pixels(0)


def is_frame_file(path: str, *, tiff: bool, several: bool) -> bool:
    """Whether a file says that it holds frames from SerialEM, one of them or several.

    Parameters
    ----------
    path : str
        Any file.
    tiff : bool
        Whether it has to be a TIFF file, or else MRC.
    several : bool
        Whether it has to hold more than one frame.

    Returns
    -------
    bool
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(HEADER_BYTES)
        if not has_serialem_title(path):
            if not tiff and is_serialem_title(header_labels(start)):
                log_once(
                    LOGGER,
                    logging.WARNING,
                    f"{path}: another program has worked on these frames since SerialEM "
                    "saved them, so that scale, orientation and gain reference in the "
                    "title may no longer hold; they are not used",
                )
            return False
        if is_tiff(start) != tiff:
            return False
        n_frames = TIFFStack.open(path).n_frames if tiff else parse_header(start).nz
    except OSError:
        return False
    except ValueError:
        # What is wrong with it is told when it is opened: no other class should.
        n_frames = 2
    return (n_frames > 1) == several


@functools.lru_cache(maxsize=2)
def _load_calibration(
    files: CalibrationFiles,
    states: tuple[Any, ...],
    rotation_flip: int,
    needed_rotation_flip: int,
    stored_shape: tuple[int, int],
) -> Calibration:
    """Read what all files of a series have in common once."""
    return load_calibration(files, rotation_flip, needed_rotation_flip, stored_shape)


def _state(path: Path | None) -> Any:
    """Return what changes when a file does."""
    if path is None:
        return None
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def _metadata(stack: Path) -> MdocSection | None:
    path = find_mdoc(stack)
    return None if path is None else read_mdoc(path).frame_set(stack.name)
