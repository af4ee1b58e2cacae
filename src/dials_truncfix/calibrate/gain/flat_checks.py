"""Images that tell nothing of a camera's noise: saturated, not evenly lit, alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.joint_camera.camera_regions import (
    TILE,
    brightness_regions,
)

BoolArray = npt.NDArray[np.bool_]
Pixels = npt.NDArray[Any]

_MOST_SATURATED = 1e-4
# Values pile up at the end of a converter's range if the highest is so many times more
# frequent than those next to it, and holds so many pixels.
_PILE, _NEXT_VALUES, _PILE_FRACTION = 8.0, 8, 1e-4
_MOST_SPOTS = 0.1
# Of the light, from the 5th to the 95th percentile; and how many times their own noise.
_LARGEST_RANGE, _RANGE_DEVIATIONS = 0.6, 12.0


@dataclass(frozen=True)
class ImageLevel:
    """One image in numbers.

    Attributes
    ----------
    name : str
        Where it is.
    shape : tuple of int
        Rows and columns.
    mean, sd : float
        Mean and standard deviation of its pixels, ADU.
    lowest : float
        Smallest value, ADU.
    zeros : float
        Fraction of the pixels that are zero.
    whole : bool
        Whether all values are integers.
    n_pixels : int
        Pixels that measured.
    spots : float
        Part of the pixels in tiles that stand out from those around them.
    unevenness : float
        Range of the brightness of regions from the 5th to the 95th percentile, ADU.
    region_sd : float
        What the mean of such a region varies by chance, ADU.
    """

    name: str
    shape: tuple[int, int]
    mean: float
    sd: float
    lowest: float
    zeros: float
    whole: bool
    n_pixels: int
    spots: float
    unevenness: float
    region_sd: float


def image_level(
    name: str, pixels: Pixels, valid: BoolArray, saturated: BoolArray
) -> ImageLevel:
    """Describe an image.

    Parameters
    ----------
    name : str
        For messages.
    pixels : ndarray, shape (ny, nx)
        ADU.
    valid, saturated : ndarray, shape (ny, nx), bool
        Pixels that measured or saturated, and those that saturated.

    Returns
    -------
    ImageLevel

    Raises
    ------
    ValueError
        If it is saturated, or has no pixels.
    """
    n_saturated = np.count_nonzero(saturated & valid)
    use = valid & ~saturated
    values = pixels[use]
    if n_saturated > _MOST_SATURATED * max(np.count_nonzero(valid), 1):
        raise ValueError(
            f"{name}: {_percent(n_saturated / np.count_nonzero(valid))} of the pixels are "
            "saturated: give images of a lower dose"
        )
    if values.size < TILE**2:
        raise ValueError(
            f"{name}: only {values.size} pixels hold a number: record it again"
        )
    whole = pixels.dtype.kind in "iu"
    if pile := _pile(values) if whole else 0.0:
        raise ValueError(
            f"{name}: {_percent(pile)} of the pixels have the highest value, "
            f"{values.max()}: they are saturated, so give images of a lower dose"
        )
    regions = brightness_regions(np.rint(pixels).astype(np.int64), use)
    inside = regions >= 0
    rows, columns = (n - n % TILE for n in pixels.shape)
    eligible = np.count_nonzero(use[:rows, :columns])
    at = regions[inside]
    n = np.bincount(at)
    means = np.bincount(at, pixels[inside]) / np.maximum(n, 1)
    within = np.bincount(at, (pixels[inside] - means[at]) ** 2) / np.maximum(n, 1)
    limits = np.percentile(means, [5, 95]) if len(means) else (0.0, 0.0)
    return ImageLevel(
        name=name,
        shape=(pixels.shape[0], pixels.shape[1]),
        mean=float(values.mean()),
        sd=float(values.std()),
        lowest=float(values.min()),
        zeros=np.count_nonzero(values == 0) / values.size,
        whole=whole,
        n_pixels=values.size,
        spots=1.0 - np.count_nonzero(inside) / max(eligible, 1),
        unevenness=float(limits[1] - limits[0]),
        region_sd=float(np.sqrt(np.median(within / np.maximum(n, 1)))),
    )


def check_sizes(levels: Sequence[ImageLevel]) -> None:
    """Refuse images of different sizes.

    Raises
    ------
    ValueError
        About the first that differs.
    """
    first = levels[0]
    for level in levels:
        if level.shape != first.shape:
            raise ValueError(
                f"{level.name} has {_size(level)} pixels, and {first.name} {_size(first)}: "
                "give images of one camera and one binning"
            )


def check_flat(level: ImageLevel, dark_level: float) -> None:
    """Refuse an image that is not evenly lit.

    Parameters
    ----------
    level : ImageLevel
        Of the image.
    dark_level : float
        Mean without light, ADU.

    Raises
    ------
    ValueError
        If it is not.
    """
    remedy = (
        "give images of the beam alone, or gain.images=sweep for diffraction patterns"
    )
    if level.spots > _MOST_SPOTS:
        raise ValueError(
            f"{level.name} is not evenly lit: {_percent(level.spots)} of it stands out "
            f"from what is around it: {remedy}"
        )
    light = max(level.mean - dark_level, 0.0)
    if level.unevenness > max(
        _LARGEST_RANGE * light, _RANGE_DEVIATIONS * level.region_sd
    ):
        raise ValueError(
            f"{level.name} is not evenly lit: its brightness varies by "
            f"{level.unevenness:.3g} ADU about {level.mean:.4g}: {remedy}"
        )


def check_different(name: str, other: str, first: Pixels, second: Pixels) -> None:
    """Refuse copies of one image.

    Raises
    ------
    ValueError
        If both are the same, and not empty.
    """
    if np.array_equal(first, second) and np.ptp(first) > 0:
        raise ValueError(
            f"{name} and {other} are the same image: give images that were recorded "
            "one by one"
        )


def same_light(first: ImageLevel, second: ImageLevel, dark_level: float) -> bool:
    """Tell whether two images had the same dose, within 5 % and the noise."""
    noise = max(first.sd, second.sd)
    light = max(first.mean, second.mean) - dark_level
    return abs(first.mean - second.mean) <= 0.05 * max(light, 0.0) + 0.05 * noise


def _pile(values: Pixels) -> float:
    """Fraction of the pixels at the end of the range, if values pile up there."""
    highest = int(values.max())
    window = np.count_nonzero(values > highest - 1 - _NEXT_VALUES)
    top = np.count_nonzero(values == highest)
    beside = (window - top) / _NEXT_VALUES
    piled = top > _PILE * max(beside, 1.0) and top > _PILE_FRACTION * values.size
    # a dark image of few values is no saturated one
    return top / values.size if piled and highest > values.mean() > 0 else 0.0


def _size(level: ImageLevel) -> str:
    return f"{level.shape[1]} × {level.shape[0]}"


def _percent(fraction: float) -> str:
    percent = 100 * fraction
    return f"{percent:.2g} %" if percent < 99.5 else f"{percent:.0f} %"
