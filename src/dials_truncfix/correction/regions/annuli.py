"""Concentric regions of about equal area in which the pixels share one distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.scattering import Radii

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

OUTSIDE = -1
"""Label of the pixels that belong to no annulus."""

# Rows handled at once: several arrays of a whole image would be the largest thing in
# memory.
_ROWS = 64


@dataclass(frozen=True)
class Annuli:
    """
    Division of an image into concentric annuli, numbered from the centre outwards.

    Attributes
    ----------
    labels : ndarray, shape (ny, nx), signed integer
        Annulus of each pixel; ``OUTSIDE`` where masked. No wider than needed.
    edges : ndarray, shape (n_rings + 1,), float64
        Limits in the radial coordinate; annulus ``i`` holds
        ``edges[i] <= radius < edges[i + 1]``, the last one its upper edge as well.
    radius : ndarray, shape (n_rings,), float32
        Mean radial coordinate of the pixels of each annulus.
    n_pixels : ndarray, shape (n_rings,), int64
        Number of pixels in each annulus.
    """

    labels: npt.NDArray[np.signedinteger[Any]]
    edges: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float32]
    n_pixels: npt.NDArray[np.int64]

    @property
    def n_rings(self) -> int:
        """Number of annuli."""
        return len(self.n_pixels)


def equal_area_annuli(
    radius: Radii,
    mask: BoolArray,
    count: int = 10,
    minimum_pixels: int = 10_000,
) -> Annuli:
    """
    Divide the unmasked pixels into annuli that hold about equally many of them.

    Parameters
    ----------
    radius : array, shape (ny, nx), float
        Coordinate that grows with the scattering angle, any unit (pixel, mm, rad or
        Å⁻¹).
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that take part.
    count : int
        Number of annuli asked for.
    minimum_pixels : int
        An annulus with fewer pixels has no well-determined distribution; as many
        annuli as needed are merged to reach this number. One annulus remains
        when the whole image holds fewer.

    Returns
    -------
    Annuli
        At most `count` annuli.

    Raises
    ------
    ValueError
        If the shapes differ, no pixel is unmasked, `count` or `minimum_pixels` is
        not positive or the radius of an unmasked pixel is not finite.

    References
    ----------
    Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016).
    J. Appl. Cryst. 49, 1029-1034, doi:10.1107/S1600576716007196 (ten concentric
    annuli of approximately equal area).
    """
    if radius.shape != mask.shape:
        raise ValueError(f"radius {radius.shape} and mask {mask.shape} differ in shape")
    if count < 1:
        raise ValueError(f"the number of annuli must be positive, not {count}")
    if minimum_pixels < 1:
        raise ValueError(f"minimum_pixels must be positive, not {minimum_pixels}")
    used = _values(radius, mask)
    if used.size == 0:
        raise ValueError("the mask leaves no pixel to divide into annuli")
    ends = [used.min(), used.max()]
    if not np.isfinite(ends).all():
        raise ValueError("the radius of an unmasked pixel is not finite")

    count = min(count, max(used.size // minimum_pixels, 1))
    cuts = (np.arange(1, count) * used.size) // count
    used.partition(cuts)
    # A coordinate with few distinct values can repeat an edge: such an annulus
    # would be empty and is dropped here, once for all.
    edges = np.unique(np.concatenate([ends, used[cuts]]).astype(np.float64))
    del used
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    annuli = _divide(radius, mask, edges)
    while annuli.n_rings > 1 and annuli.n_pixels.min() < minimum_pixels:
        edges = np.delete(edges, edge_to_remove(annuli.n_pixels))
        annuli = _divide(radius, mask, edges)
    return annuli


def _values(radius: Radii, mask: BoolArray) -> FloatArray:
    """
    Collect the radii of the unmasked pixels, a few rows at a time.

    Parameters
    ----------
    radius, mask
        As for `equal_area_annuli`.

    Returns
    -------
    ndarray, shape (n,), float
    """
    used = np.empty(np.count_nonzero(mask), dtype=radius.dtype)
    done = 0
    for start in range(0, len(mask), _ROWS):
        rows = slice(start, start + _ROWS)
        found = radius[rows][mask[rows]]
        used[done : done + found.size] = found
        done += found.size
    return used


def _divide(radius: Radii, mask: BoolArray, edges: npt.NDArray[np.float64]) -> Annuli:
    """
    Assign the pixels to annuli of known edges, a few rows at a time.

    Parameters
    ----------
    radius, mask
        As for `equal_area_annuli`.
    edges : ndarray, shape (n_rings + 1,), float64
        Ascending.

    Returns
    -------
    Annuli
    """
    n_rings = len(edges) - 1
    labels = np.full(mask.shape, OUTSIDE, dtype=np.min_scalar_type(-n_rings))
    n_pixels = np.zeros(n_rings, dtype=np.int64)
    total = np.zeros(n_rings)
    for start in range(0, len(mask), _ROWS):
        rows = slice(start, start + _ROWS)
        at = radius[rows][mask[rows]].astype(np.float64)
        ring = np.searchsorted(edges[1:-1], at, side="right")
        labels[rows][mask[rows]] = ring
        n_pixels += np.bincount(ring, minlength=n_rings)
        total += np.bincount(ring, weights=at, minlength=n_rings)
    return Annuli(labels, edges, (total / n_pixels).astype(np.float32), n_pixels)


def without(
    annuli: Annuli,
    radius: Radii,
    excluded: npt.NDArray[np.intp],
    minimum_pixels: int = 10_000,
) -> Annuli:
    """
    Take further pixels of one image, its beam stop for instance, out of the annuli.

    The edges stay where they are, so that the annuli of all images of a sweep can
    be compared, except that an annulus which loses too many pixels is merged with
    the smaller of its neighbours. The work is proportional to the number of
    excluded pixels.

    Parameters
    ----------
    annuli : Annuli
        Division of the whole sweep.
    radius : array, shape (ny, nx), float
        The coordinate the annuli were made with.
    excluded : ndarray, shape (n,), intp
        Pixels to take out: ascending indices in C order.
    minimum_pixels : int
        Smallest number of pixels in an annulus.

    Returns
    -------
    Annuli
        The object passed in when nothing is to be taken out. Where no pixel is left,
        one annulus without pixels, whose radius is NaN.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if radius.shape != annuli.labels.shape:
        raise ValueError(
            f"labels {annuli.labels.shape} and radius {radius.shape} differ in shape"
        )
    ring = annuli.labels.ravel()[excluded]
    index, ring = excluded[ring >= 0], ring[ring >= 0]
    if index.size == 0:
        return annuli
    n_pixels = annuli.n_pixels - np.bincount(ring, minlength=annuli.n_rings)
    if n_pixels.sum() == 0:
        return Annuli(
            labels=np.full_like(annuli.labels, OUTSIDE),
            edges=annuli.edges[[0, -1]],
            radius=np.full(1, np.nan, dtype=np.float32),
            n_pixels=np.zeros(1, dtype=np.int64),
        )
    total = annuli.radius.astype(np.float64) * annuli.n_pixels - np.bincount(
        ring, weights=radius.take(index), minlength=annuli.n_rings
    )
    labels = annuli.labels.copy()
    labels.ravel()[index] = OUTSIDE
    edges = annuli.edges
    while len(n_pixels) > 1 and n_pixels.min() < minimum_pixels:
        edge = edge_to_remove(n_pixels)
        edges = np.delete(edges, edge)
        n_pixels = _merge(n_pixels, edge)
        total = _merge(total, edge)
        labels[labels >= edge] -= 1
    return Annuli(labels, edges, (total / n_pixels).astype(np.float32), n_pixels)


def edge_to_remove(n_pixels: npt.NDArray[np.int64]) -> int:
    """
    Index of the edge between the smallest annulus and its smaller neighbour.

    Parameters
    ----------
    n_pixels : ndarray, shape (n_rings,), int64
        Pixels of each annulus, at least two of them.

    Returns
    -------
    int
        Index into the edges, 1 <= index < n_rings.
    """
    i = int(n_pixels.argmin())
    if i == 0:
        return 1
    if i == len(n_pixels) - 1:
        return i
    return i if n_pixels[i - 1] <= n_pixels[i + 1] else i + 1


def _merge(values: npt.NDArray[Any], edge: int) -> npt.NDArray[Any]:
    """
    Add the two entries on either side of an edge.

    Parameters
    ----------
    values : ndarray, shape (n_rings,)
        One number an annulus.
    edge : int
        Index of the edge that goes away.

    Returns
    -------
    ndarray
        Shape (n_rings - 1,).
    """
    merged = np.delete(values, edge)
    merged[edge - 1] += values[edge]
    return merged
