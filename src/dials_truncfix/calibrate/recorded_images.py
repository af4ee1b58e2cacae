"""Images of any of the files that are read here, one after the other, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy

from dials_truncfix import compat
from dials_truncfix.calibrate.pixel_size.specimen_images import (
    MRC_SUFFIXES,
    is_specimen_file,
)
from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.tiff_stack import TIFFStack

BoolArray = npt.NDArray[np.bool_]
#: int32, or float64 where a file holds values that are not whole.
Pixels = npt.NDArray[Any]

# Larger values are marks, or no counts of a camera.
_LARGEST = 1 << 30


@dataclass(frozen=True)
class RecordedImage:
    """One image that can be read.

    Attributes
    ----------
    name : str
        File, with the number of the image where it holds several.
    read : callable
        Returns pixels (ADU), those that measured or saturated, and those that
        saturated, of shape (slow, fast) each.
    exposure : float
        Time, s; 0 where the file does not say.
    """

    name: str
    read: Callable[[], tuple[Pixels, BoolArray, BoolArray]]
    exposure: float = 0.0


def images_of_stack(path: Path) -> list[RecordedImage]:
    """List the images of an MRC or TIFF file.

    Parameters
    ----------
    path : pathlib.Path
        See `specimen_images.is_specimen_file`.

    Returns
    -------
    list of RecordedImage

    Raises
    ------
    ValueError
        If the file cannot be read.
    OSError
        If it is not there.
    """
    if not is_specimen_file(path):
        raise ValueError(f"{path} is neither an MRC nor a TIFF file")
    is_mrc = path.suffix.lower() in MRC_SUFFIXES
    stack = MRCStack.open(path) if is_mrc else TIFFStack.open(path)

    def reader(index: int) -> Callable[[], tuple[Pixels, BoolArray, BoolArray]]:
        def read() -> tuple[Pixels, BoolArray, BoolArray]:
            frame = stack.read_frame(index)
            pixels, valid = _whole_if_possible(frame)
            return pixels, valid, _at_the_end_of_its_type(frame)

        return read

    return [
        RecordedImage(_numbered(str(path), i, stack.n_frames), reader(i))
        for i in range(stack.n_frames)
    ]


def images_of_imageset(imageset: Any) -> list[RecordedImage]:
    """List the images of one panel that dxtbx reads.

    Parameters
    ----------
    imageset : dxtbx.imageset.ImageSet
        One panel.

    Returns
    -------
    list of RecordedImage

    Raises
    ------
    ValueError
        If it has no detector, or one of several panels.
    """
    detector = imageset.get_detector()
    if detector is None or len(detector) != 1:
        panels = 0 if detector is None else len(detector)
        raise ValueError(
            f"{imageset.get_path(0)} has a detector of {panels} panels, and only "
            "cameras of one panel can be calibrated"
        )
    lowest, highest = compat.trusted_limits(detector[0])
    # formats mark bad pixels by values below a trusted range that reaches below zero;
    # those that start above zero leave out the zeros of truncated images
    lowest = min(lowest, 0)
    static = _static_mask(imageset, detector[0])

    def reader(index: int) -> Callable[[], tuple[Pixels, BoolArray, BoolArray]]:
        def read() -> tuple[Pixels, BoolArray, BoolArray]:
            pixels, valid = _whole_if_possible(
                flumpy.to_numpy(imageset.get_raw_data(index)[0])
            )
            if pixels.shape != static.shape:
                raise ValueError(
                    f"{imageset.get_path(index)} has "
                    f"{' × '.join(map(str, pixels.shape))} pixels where the experiments "
                    f"say {' × '.join(map(str, static.shape))}"
                )
            return pixels, valid & static & (pixels >= lowest), pixels > highest

        return read

    scan = getattr(imageset, "get_scan", lambda: None)()
    times = [0.0] * len(imageset) if scan is None else list(scan.get_exposure_times())
    paths = [str(imageset.get_path(i)) for i in range(len(imageset))]
    return [
        RecordedImage(
            _numbered(path, i, len(paths)) if paths.count(path) > 1 else path,
            reader(i),
            float(times[i]),
        )
        for i, path in enumerate(paths)
    ]


def _static_mask(imageset: Any, panel: Any) -> BoolArray:
    """Pixels that neither the detector nor the user's mask leaves out."""
    fast, slow = panel.get_image_size()
    mask = flumpy.to_numpy(panel.get_untrusted_rectangle_mask())
    mask = mask.reshape((slow, fast)).astype(bool)
    lookup = imageset.external_lookup.mask.data
    if not lookup.empty():
        given = flumpy.to_numpy(lookup.tile(0).data()).astype(bool)
        if given.shape != mask.shape:
            raise ValueError(
                f"{imageset.get_path(0)} has a mask of another size than its images: make "
                "it again with dials.generate_mask"
            )
        mask &= given
    return np.asarray(mask)


def _numbered(path: str, index: int, n_images: int) -> str:
    return f"{path} #{index + 1}" if n_images > 1 else path


def _whole_if_possible(pixels: npt.NDArray[Any]) -> tuple[Pixels, BoolArray]:
    """Return integers where all values are whole, and which pixels hold a number."""
    if (
        pixels.dtype.kind == "b"
        or pixels.dtype.itemsize <= 2
        and pixels.dtype.kind in "iu"
    ):
        return pixels.astype(np.int32), np.ones(pixels.shape, dtype=bool)
    values = pixels.astype(np.float64)
    valid = np.isfinite(values) & (np.abs(values) < _LARGEST)
    values = np.where(valid, values, 0.0)
    whole = np.rint(values)
    if np.array_equal(whole, values):
        return whole.astype(np.int32), valid
    return values, valid


def _at_the_end_of_its_type(frame: npt.NDArray[Any]) -> BoolArray:
    """Tell the pixels that hold the largest number of an integer type."""
    if frame.dtype.kind not in "iu":
        return np.zeros(frame.shape, dtype=bool)
    return np.asarray(frame == np.iinfo(frame.dtype).max)
