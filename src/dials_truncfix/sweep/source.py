"""The images of one sweep as arrays, read through dxtbx."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import IncorrectFormatError, flumpy

from dials_truncfix import compat
from dials_truncfix.correction.regions.scattering import TwoThetaMap
from dials_truncfix.io.calibration import files_behind
from dials_truncfix.io.tvips import find_parts

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One image.

    Attributes
    ----------
    pixels : ndarray, shape (slow, fast), int32
        Recorded values, ADU. If a narrow image was asked for, uint16 where they fit.
    valid : ndarray, shape (slow, fast), bool
        False where the detector does not measure: outside the mask, saturated, or a
        negative value by which the format marks a pixel as bad. Images may share it.
    """

    pixels: npt.NDArray[np.integer[Any]]
    valid: BoolArray


class SweepSource:
    """Reads the images of one imageset; zeros count as measured.

    Parameters
    ----------
    imageset : dxtbx.imageset.ImageSet
        With models of beam and detector; its files are opened at the first read.

    Raises
    ------
    ValueError
        When the imageset cannot be corrected: several panels, no beam or detector,
        impossible geometry.
    """

    def __init__(self, imageset: Any) -> None:
        self.name = str(imageset.get_path(0))
        detector, self.beam = imageset.get_detector(), imageset.get_beam()
        if detector is None or self.beam is None:
            raise ValueError(
                f"{self.name} has no beam or detector model: import the images again and "
                "give what is missing, e.g. geometry.beam.wavelength=0.02508 "
                "geometry.detector.distance=2200"
            )
        if len(detector) != 1:
            raise ValueError(
                f"{self.name} has a detector of {len(detector)} panels: truncated "
                "recordings come from cameras of one panel, and only these can be corrected"
            )
        self.imageset = imageset
        # only sequences have these, and not all of them
        self.scan = getattr(imageset, "get_scan", lambda: None)()
        self.goniometer = getattr(imageset, "get_goniometer", lambda: None)()
        if self.scan is not None and self.goniometer is None:
            raise ValueError(
                f"{self.name} has a scan but no goniometer model: import the images "
                "again with geometry.goniometer.axis=..."
            )
        self.panel = detector[0]
        fast, slow = self.panel.get_image_size()
        self.shape = (slow, fast)
        self._check_geometry()
        self.numbers = self._image_numbers()
        # which values count as measured, whatever the convention of the release
        self.min_valid, self.max_valid = compat.trusted_limits(self.panel)
        self._static_mask: BoolArray | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.imageset)

    def _image_numbers(self) -> tuple[int, ...]:
        """Absolute number of each image, from 1.

        A slice keeps the numbers of the sweep it was cut from, so that its images
        are corrected like the whole sweep's.
        """
        if self.scan is not None:
            first, last = self.scan.get_image_range()
            return tuple(range(first, last + 1))
        return tuple(int(i) + 1 for i in self.imageset.indices())

    @property
    def format_name(self) -> str:
        """Name of the dxtbx class that reads the images."""
        return str(self.imageset.get_format_class().__name__)

    def _check_geometry(self) -> None:
        wavelength = self.beam.get_wavelength()
        if not np.isfinite(wavelength) or not 0 < wavelength < 10:
            raise ValueError(
                f"{self.name} has a wavelength of {wavelength} Å: import the images again "
                "with geometry.beam.wavelength=0.02508 (200 kV) or your own value"
            )
        try:
            x, y = self.panel.get_beam_centre_px(self.beam.get_s0())
        except RuntimeError:
            raise ValueError(
                f"{self.name} has a detector that the direct beam does not meet: import "
                "the images again with the right geometry.detector.* parameters"
            ) from None
        distance = self.panel.get_directed_distance()
        if not np.isfinite(distance) or abs(distance) < 1:
            raise ValueError(
                f"{self.name} has a detector distance of {distance} mm: import the images "
                "again with geometry.detector.distance=..."
            )
        slow, fast = self.shape
        if not (0 <= x <= fast and 0 <= y <= slow):
            raise ValueError(
                f"{self.name} has its beam centre at pixel ({x:.0f}, {y:.0f}), off the "
                f"detector of {fast} × {slow} pixels: import the images again with the "
                "centre in pixels, geometry.detector.fast_slow_beam_centre=fast,slow"
            )

    @property
    def wavelength(self) -> float:
        """Wavelength, Å."""
        return float(self.beam.get_wavelength())

    def two_theta(self) -> TwoThetaMap:
        """Scattering angle of every pixel, rad, shape (slow, fast), 32 bits."""
        return TwoThetaMap(
            self.shape,
            self.panel.get_pixel_size(),
            self.panel.get_origin(),
            self.panel.get_fast_axis(),
            self.panel.get_slow_axis(),
            self.beam.get_s0(),
            dtype=np.float32,
        )

    def static_mask(self) -> BoolArray:
        """Pixels that no mask excludes in any image, shape (slow, fast).

        The trusted range is left out: it is a statement about values.
        """
        if self._static_mask is None:
            mask = (
                flumpy.to_numpy(self.panel.get_untrusted_rectangle_mask())
                .reshape(self.shape)
                .astype(bool)
            )
            user = self.user_mask()
            if user is not None:
                mask &= user
            if not mask.any():
                raise ValueError(
                    f"{self.name}: the mask leaves no pixel: check the mask that was "
                    "given to dials.import or dials.apply_mask"
                )
            self._static_mask = mask
        return self._static_mask

    def user_mask(self) -> BoolArray | None:
        """Pixels that the user's mask does not exclude, shape (slow, fast)."""
        lookup = self.imageset.external_lookup.mask.data
        if lookup.empty():
            return None
        mask: BoolArray = flumpy.to_numpy(lookup.tile(0).data()).astype(bool)
        if mask.shape != self.shape:
            raise ValueError(
                f"{self.name} has a mask of {mask.shape[1]} × {mask.shape[0]} pixels "
                f"for images of {self.shape[1]} × {self.shape[0]}: make it again with "
                "dials.generate_mask from these images"
            )
        return mask

    def read(self, index: int, narrow: bool = False) -> Frame:
        """Read one image.

        Parameters
        ----------
        index : int
            Position in the imageset, from 0.
        narrow : bool
            Take half the memory where the pixels fit into unsigned 16 bits.

        Raises
        ------
        ValueError
            When the image has another size than the detector model, or fractions, or
            is no longer what was imported.
        """
        try:
            recorded = self._recorded(index) if narrow else None
            data = self.imageset.get_raw_data(index)[0] if recorded is None else None
        except IncorrectFormatError:
            raise ValueError(
                f"{self.path(index)} is no longer what was imported: it was damaged or "
                "replaced; dials.import says what is wrong with it"
            ) from None
        pixels = np.asarray(flumpy.to_numpy(data) if recorded is None else recorded)
        if pixels.shape != self.shape:
            raise ValueError(
                f"{self.path(index)}: image {self.numbers[index]} has "
                f"{' × '.join(map(str, pixels.shape[::-1]))} pixels where the experiments "
                f"say {self.shape[1]} × {self.shape[0]}: import images of one size only"
            )
        if pixels.dtype not in (np.int32, np.uint16):
            whole = np.rint(pixels)
            if not np.array_equal(whole, pixels) or np.abs(whole).max() >= 2**31:
                raise ValueError(
                    f"{self.path(index)}: image {self.numbers[index]} holds values "
                    "that are not 32 bit integers: give the images as the camera "
                    "recorded them, before any processing"
                )
            pixels = whole.astype(np.int32)
        valid = self._valid(pixels)
        if narrow and pixels.dtype != np.uint16 and _fits_16_bits(pixels):
            pixels = pixels.astype(np.uint16)
        return Frame(pixels, valid)

    def _recorded(self, index: int) -> npt.NDArray[Any] | None:
        """Read an image in its own type, where its class can: with fewer copies."""
        imageset = self.imageset
        format_class = imageset.get_format_class()
        if not hasattr(format_class, "recorded_pixels"):
            return None
        if hasattr(imageset, "recorded_pixels"):
            # not dxtbx's, but like it
            pixels: npt.NDArray[Any] = imageset.recorded_pixels(index)
        elif hasattr(imageset, "reader"):
            opened = format_class.get_instance(
                imageset.get_path(index), **imageset.params()
            )
            pixels = opened.recorded_pixels(imageset.indices()[index])
        else:
            return None
        return pixels if pixels.dtype == np.uint16 else None

    def _valid(self, pixels: IntArray) -> BoolArray:
        """Find the measured pixels of an image."""
        mask = self.static_mask()
        highest = min(self.max_valid, np.iinfo(np.int32).max)
        if self.min_valid < 0:
            # formats mark bad pixels by values below the trusted range
            return mask & (pixels <= highest) & (pixels >= self.min_valid)
        # without sign the negative ones are the highest: one comparison for both
        unsigned = pixels.view(f"u{pixels.itemsize}")
        return mask if unsigned.max() <= highest else mask & (unsigned <= highest)

    def path(self, index: int) -> str:
        """Return the path of the file that holds an image."""
        return str(self.imageset.get_path(index))

    def files(self) -> list[Path]:
        """List the files that hold the images, each once, in order."""
        return image_files(self.imageset)


def _fits_16_bits(pixels: IntArray) -> bool:
    return bool(pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max)


def image_files(imageset: Any) -> list[Path]:
    """List the files that hold the images of an imageset, each once, in order."""
    paths = dict.fromkeys(str(path) for path in imageset.paths())
    return [part for path in paths for part in file_parts(Path(path))]


def file_parts(path: Path) -> list[Path]:
    """List the files behind a path, itself first.

    A .tvips series may lie in several, and frames of SerialEM need a gain reference.
    """
    return find_parts(path) if path.suffix.lower() == ".tvips" else files_behind(path)


def sha256(path: Path) -> str:
    """Hash a file, reading as much at a time as stays in the cache."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(1 << 18))
    with path.open("rb", buffering=0) as stream:
        while n_bytes := stream.readinto(block):
            digest.update(block[:n_bytes])
    return digest.hexdigest()
