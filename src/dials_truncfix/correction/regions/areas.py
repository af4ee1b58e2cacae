"""Areas of a label image: what is fitted apart, with sharp borders between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.regions.annuli import OUTSIDE

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

#: More areas than this are noise, or an image that was mistaken for labels.
MOST_AREAS = 256


@dataclass(frozen=True)
class Areas:
    """
    Areas of an image that are fitted apart.

    Attributes
    ----------
    area : ndarray, shape (ny, nx), int16
        Area of each pixel, from 0; ``OUTSIDE`` where masked or labelled 0.
    labels : tuple of tuple of int
        Labels that make up each area, the one of most pixels first.
    """

    area: npt.NDArray[np.int16]
    labels: tuple[tuple[int, ...], ...]


def one_area(mask: BoolArray) -> Areas:
    """
    Take all usable pixels for one area, where there are no labels.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that take part.

    Returns
    -------
    Areas
        One, without label.
    """
    return Areas(np.where(mask, np.int16(0), np.int16(OUTSIDE)), ((),))


def areas_of_labels(labels: IntArray, mask: BoolArray, minimum_pixels: int) -> Areas:
    """
    Make areas of the labels of an image.

    An area of too few pixels joins the one to which most of its pixels are nearest.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx), integer
        Label of each pixel, none negative; 0 for pixels to leave as they are.
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that take part.
    minimum_pixels : int
        Fewest pixels of an area, where there is another one.

    Returns
    -------
    Areas
        In the order of their labels.

    Raises
    ------
    ValueError
        If the shapes differ, a label is negative, there are no labels or too many,
        or the mask leaves no pixel of a label.
    """
    if labels.shape != mask.shape:
        raise ValueError(f"labels {labels.shape} and mask {mask.shape} differ in shape")
    found = known_labels(labels)
    lookup = np.searchsorted(found, labels)
    # of label 0, which is not among those found
    area = np.where(labels > 0, lookup, OUTSIDE).astype(np.int16)
    area[~mask] = OUTSIDE
    n_pixels = _count(area, len(found))
    empty = [str(label) for label in found[n_pixels == 0]]
    if empty:
        raise ValueError(
            f"the mask leaves no pixel of label{'s' if len(empty) > 1 else ''} "
            + ", ".join(empty)
        )
    members = [[int(label)] for label in found]
    while len(members) > 1 and n_pixels.min() < minimum_pixels:
        small = int(n_pixels.argmin())
        into = _nearest(area, small)
        area[area == small] = into
        members[into] += members[small]
        area[area > small] -= 1
        del members[small]
        n_pixels = _count(area, len(members))
    return Areas(area, tuple(map(tuple, members)))


def known_labels(labels: IntArray) -> npt.NDArray[np.int64]:
    """
    List the labels of an image, without 0.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx), integer
        Label of each pixel.

    Returns
    -------
    ndarray, shape (n,), int64
        Ascending.

    Raises
    ------
    ValueError
        If a label is negative, or there are none or too many.
    """
    found = np.unique(labels).astype(np.int64)
    if found.size and found[0] < 0:
        raise ValueError(f"the label {found[0]} is negative")
    found = found[found > 0]
    if found.size == 0:
        raise ValueError("every pixel is labelled 0, which leaves it as it is")
    if found.size > MOST_AREAS:
        raise ValueError(
            f"there are {found.size} different labels, and more than {MOST_AREAS} are "
            "no areas to fit a distribution in"
        )
    return found


def _count(area: npt.NDArray[np.int16], n_areas: int) -> npt.NDArray[np.int64]:
    """Count the pixels of each area."""
    return np.bincount(area.ravel() + 1, minlength=n_areas + 1)[1:].astype(np.int64)


def _nearest(area: npt.NDArray[np.int16], small: int) -> int:
    """
    Find the area to which most pixels of a small one are nearest.

    Parameters
    ----------
    area : ndarray, shape (ny, nx), int16
        Areas, another one among them.
    small : int
        The small one.

    Returns
    -------
    int
    """
    at = np.nonzero(area == small)
    margin, window = 1, _around(at, 1)
    while not _others(area[window], small).any():
        margin *= 2
        window = _around(at, margin)
    # nothing outside of a window this wide is nearer than what was found inside
    away = ndimage.distance_transform_edt(~_others(area[window], small))
    window = _around(at, int(away[area[window] == small].max()) + 1)
    part = area[window]
    near = ndimage.distance_transform_edt(
        ~_others(part, small), return_distances=False, return_indices=True
    )
    mine = part == small
    return int(np.bincount(part[near[0][mine], near[1][mine]]).argmax())


def _around(at: tuple[npt.NDArray[np.intp], ...], margin: int) -> tuple[slice, ...]:
    """Window around some pixels."""
    return tuple(
        slice(max(int(x.min()) - margin, 0), int(x.max()) + margin + 1) for x in at
    )


def _others(area: npt.NDArray[np.int16], small: int) -> BoolArray:
    """Pixels of other areas than one."""
    return np.asarray((area >= 0) & (area != small))
