"""What is wrong with an image, before it is compared with another one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[np.float64]

#: Shorter sides hold too few tiles.
SMALLEST_SIDE = 96
#: More of all pixels at the highest value are saturated; images of few values, such as
#: those of counting cameras, have many pixels there without it.
_SATURATED, _FEW_VALUES = 0.005, 64
#: Pixels that differ from their neighbours by more standard deviations are defects.
_DEFECT = 6.0
#: Side of the square over which noise is averaged, pixels.
_AROUND = 31


def check_image(image: Array, name: str) -> None:
    """Refuse an image that cannot be measured.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    name : str
        For messages.

    Raises
    ------
    ValueError
        If it is too small, blank, saturated or not finite.
    """
    if image.ndim != 2 or min(image.shape) < SMALLEST_SIDE:
        raise ValueError(
            f"{name} has {' × '.join(map(str, image.shape))} pixels, and at least "
            f"{SMALLEST_SIDE} × {SMALLEST_SIDE} are needed"
        )
    if not np.isfinite(image).all():
        raise ValueError(f"{name} holds values that are not finite: record it again")
    if image.min() == image.max():
        raise ValueError(
            f"{name} is blank: all its pixels are {image.flat[0]:g}; record it again"
        )
    if (share := saturated_share(image)) > _SATURATED:
        raise ValueError(
            f"{name} is saturated: {100 * share:.1f} % of its pixels have the highest "
            f"value, {image.max():g}; record it with a shorter exposure"
        )


def check_same_size(images: Sequence[Array], names: Sequence[str]) -> None:
    """Refuse images of different sizes.

    Raises
    ------
    ValueError
        About the first that differs from the first image.
    """
    for image, name in zip(images, names):
        if image.shape != images[0].shape:
            raise ValueError(
                f"{name} has {image.shape[0]} × {image.shape[1]} pixels and {names[0]} "
                f"{images[0].shape[0]} × {images[0].shape[1]}: give images of one size "
                "and binning"
            )


def check_different(images: Sequence[Array], names: Sequence[str]) -> None:
    """Refuse copies of one image, which agree in their noise.

    Raises
    ------
    ValueError
        About the first image that is another one of them.
    """
    seen: dict[bytes, str] = {}
    for image, name in zip(images, names):
        content = hashlib.sha256(image.tobytes()).digest()
        if content in seen:
            raise ValueError(
                f"{seen[content]} and {name} are the same image: give images that were "
                "recorded one by one"
            )
        seen[content] = name


def saturated_share(image: Array) -> float:
    """Share of pixels that pile up at the highest value, 0 where none do."""
    highest = image.max()
    at_top = float(np.mean(image == highest))
    if at_top <= _SATURATED:
        return 0.0
    if len(np.unique(image[:: max(1, image.shape[0] // 256)])) < _FEW_VALUES:
        return 0.0
    return at_top


def without_defects(image: Array) -> Array:
    """Replace single pixels that stand out by the median around them.

    Defects of the camera stay in place when the specimen moves, and would correlate at
    no shift.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.

    Returns
    -------
    ndarray, shape (slow, fast)
    """
    around = ndimage.median_filter(image, size=3, mode="nearest")
    difference = np.abs(image - around)
    # noise grows with the signal
    spread = 1.2533 * ndimage.uniform_filter(difference, _AROUND, mode="nearest")
    # small details stand out, too, but not alone
    rise = np.abs(around - ndimage.uniform_filter(around, 7, mode="nearest"))
    alone = difference > np.maximum(_DEFECT * spread, 2 * rise)
    return np.where(alone, around, image)
