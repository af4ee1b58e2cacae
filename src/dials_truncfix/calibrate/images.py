"""The images of a recording as one mean image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy

from dials_truncfix import compat

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MeanImage:
    """Mean of images.

    Attributes
    ----------
    mean : ndarray, shape (slow, fast)
        ADU.
    valid : ndarray, shape (slow, fast), bool
        Pixels that measured in at least half of the images.
    saturated : ndarray, shape (slow, fast), bool
        Pixels that were beyond the trusted range in any image.
    n_images : int
        How many there were.
    """

    mean: Array
    valid: BoolArray
    saturated: BoolArray
    n_images: int


def mean_image(imageset: Any, images: tuple[int, int] | None = None) -> MeanImage:
    """Average images of one panel.

    Parameters
    ----------
    imageset : dxtbx.imageset.ImageSet
        One panel.
    images : tuple of int, optional
        First and last image, counted from 1; all if not given.

    Returns
    -------
    MeanImage

    Raises
    ------
    ValueError
        If there are no such images, or they are not of one panel.
    """
    first, last = images or (1, len(imageset))
    if not 1 <= first <= last <= len(imageset):
        raise ValueError(
            f"images {first} to {last} were asked for, and there are {len(imageset)}"
        )
    detector = imageset.get_detector()
    if len(detector) != 1:
        raise ValueError(
            f"{imageset.get_path(0)} has a detector of {len(detector)} panels, and only "
            "cameras of one panel can be calibrated"
        )
    highest = compat.trusted_limits(detector[0])[1]
    fast, slow = detector[0].get_image_size()
    total, count = np.zeros((slow, fast)), np.zeros((slow, fast), dtype=np.int64)
    saturated = np.zeros((slow, fast), dtype=bool)
    for index in range(first - 1, last):
        pixels = flumpy.to_numpy(imageset.get_raw_data(index)[0])
        mask = flumpy.to_numpy(imageset.get_mask(index)[0]).astype(bool)
        if pixels.shape != total.shape:
            raise ValueError(
                f"{imageset.get_path(index)} has {' × '.join(map(str, pixels.shape))} "
                f"pixels where the experiments say {slow} × {fast}"
            )
        # files of floating-point numbers hold such that are none
        mask &= np.isfinite(pixels)
        saturated |= pixels > highest
        total[mask] += pixels[mask]
        count += mask
    valid = count > (last - first) / 2
    return MeanImage(
        mean=total / np.maximum(count, 1),
        valid=valid,
        saturated=saturated,
        n_images=last - first + 1,
    )
