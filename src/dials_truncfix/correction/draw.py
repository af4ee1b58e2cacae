"""Replace the zeros of an image by values that the camera could have recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.annuli import OUTSIDE
from dials_truncfix.correction.quantiles import QuantileTables
from dials_truncfix.correction.radial_grid import RadialGrid, radial_grid
from dials_truncfix.correction.random_bits import (
    further_bits,
    next_bits,
    start_stream,
)
from dials_truncfix.correction.zeros import find_zeros

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

_THRESHOLDS = {"round": 0.5, "floor": 1.0}
# No camera reads so far below zero.
_LOWEST = np.iinfo(np.int16).min
# Beyond the outermost centroids the tables go on linearly for at most this many
# centroid distances.
_LARGEST_EXTRAPOLATION = 2.0
# Pixels handled at once: a block's temporaries fit into the second-level cache.
_BLOCK = 1 << 17


def replace_zeros(
    image: IntArray,
    eligible: BoolArray,
    radius: FloatArray,
    tables: QuantileTables,
    *,
    seed: int,
    image_number: int,
    assign: str = "random",
    rounding: str = "round",
) -> npt.NDArray[np.int32]:
    """
    Give each eligible zero a non-positive value from the distribution at its radius.

    The tables are interpolated linearly in the radius, so that annuli leave no edges.
    A pixel's value depends on the tables, its radius, the seed, the image number and
    its index, and on no other pixel.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    eligible : ndarray, shape (ny, nx), bool
        True for the pixels whose zeros may be replaced.
    radius : ndarray, shape (ny, nx), float
        Radial coordinate, in the unit of the tables.
    tables : QuantileTables
        Quantiles, ADU, of the values recorded as zero; without rows the image is
        returned as it is.
    seed : int
        0 <= seed < 2**64.
    image_number : int
        Absolute number of the image in its sweep.
    assign : {'random', 'expected'}
        'random' draws from the distribution. 'expected' takes its mean, rounded up
        or down at random in the proportion that keeps the mean.
    rounding : {'round', 'floor'}
        How the camera made integers.

    Returns
    -------
    ndarray, shape (ny, nx), int32
        The image with its zeros replaced, ADU. Other pixels are unchanged.

    Raises
    ------
    ValueError
        If the shapes differ, `assign` or `rounding` is unknown, the tables were made
        for another rounding, or the seed is out of range.

    References
    ----------
    Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016).
    J. Appl. Cryst. 49, 1029-1034, doi:10.1107/S1600576716007196.
    """
    if image.shape != eligible.shape:
        raise ValueError(
            f"image {image.shape} and eligible {eligible.shape} differ in shape"
        )
    labels = np.where(eligible, np.int16(0), np.int16(OUTSIDE))
    return draw_zeros(
        image,
        find_zeros(image, labels),
        radial_grid(radius, *_reach(tables)),
        tables,
        seed=seed,
        image_number=image_number,
        assign=assign,
        rounding=rounding,
    )


def _reach(tables: QuantileTables) -> tuple[float, float]:
    """Radii as far out as the tables may be extrapolated."""
    knots = tables.radius
    if len(knots) < 2:
        return (float(knots[0]),) * 2 if len(knots) else (0.0, 0.0)
    return (
        float(knots[0] - _LARGEST_EXTRAPOLATION * (knots[1] - knots[0])),
        float(knots[-1] + _LARGEST_EXTRAPOLATION * (knots[-1] - knots[-2])),
    )


def draw_zeros(
    image: IntArray,
    zeros: npt.NDArray[np.intp],
    grid: RadialGrid,
    tables: QuantileTables,
    *,
    seed: int,
    image_number: int,
    assign: str = "random",
    rounding: str = "round",
) -> npt.NDArray[np.int32]:
    """
    Replace zeros that have been found before; `replace_zeros` explains it.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    zeros : ndarray, shape (n,), intp
        Ascending indices of the pixels to replace.
    grid : RadialGrid
        Radii at which the tables are interpolated, in their unit.
    tables, seed, image_number, assign, rounding
        As for `replace_zeros`.

    Returns
    -------
    ndarray, shape (ny, nx), int32

    Raises
    ------
    ValueError
        As for `replace_zeros`.
    """
    if image.shape != grid.node.shape:
        raise ValueError(
            f"image {image.shape} and radius {grid.node.shape} differ in shape"
        )
    _check(tables, seed, assign, rounding)
    result = image.astype(np.int32, order="C")
    if len(tables.radius) == 0 or len(zeros) == 0:
        return result
    levels = _levels(tables.coarse, tables, grid.radius)
    expected = assign == "expected"
    mean = _means(levels, tables, grid.radius) if expected else np.empty(0)
    generator = start_stream(seed, image_number, 0)
    flat, node = result.ravel(), grid.node.ravel()
    lowest_cell: list[npt.NDArray[np.intp]] = []
    starts = range(0, flat.size, _BLOCK)
    ends = np.searchsorted(zeros, [*starts, flat.size])
    for number, start in enumerate(starts):
        bits = next_bits(generator, min(_BLOCK, flat.size - start))
        mine = zeros[ends[number] : ends[number + 1]]
        bits = bits.take(mine - start)
        if expected:
            flat[mine] = np.floor(mean[node.take(mine)] + (bits + 0.5) / 65536.0)
            continue
        cell = bits.astype(np.uint32)
        cell *= np.uint32(levels.shape[1])
        cell >>= np.uint32(16)
        lowest_cell.append(mine[cell == 0])
        row = node.take(mine).astype(np.uint32)
        row *= np.uint32(levels.shape[1])
        row += cell
        flat[mine] = levels.ravel().take(row)
    if not expected:
        rare = np.concatenate(lowest_cell)
        flat[rare] = _tail_values(
            tables,
            grid.radius[node.take(rare)],
            further_bits(seed, image_number, rare),
        )
    return result


def _check(tables: QuantileTables, seed: int, assign: str, rounding: str) -> None:
    """
    Refuse arguments that make no sense.

    Parameters
    ----------
    tables, seed, assign, rounding
        As for `replace_zeros`.

    Raises
    ------
    ValueError
        If they do not.
    """
    if assign not in ("random", "expected"):
        raise ValueError(f"assign must be 'random' or 'expected', not {assign!r}")
    if rounding not in _THRESHOLDS:
        raise ValueError(f"rounding must be 'round' or 'floor', not {rounding!r}")
    if tables.threshold != _THRESHOLDS[rounding]:
        raise ValueError(
            f"tables with threshold {tables.threshold} do not belong to "
            f"rounding={rounding}"
        )
    if not 0 <= seed < 2**64:
        raise ValueError(f"the seed must be at least 0 and below 2**64, not {seed}")


def _levels(
    quantiles: npt.NDArray[np.float32],
    tables: QuantileTables,
    node_radius: npt.NDArray[np.float64],
) -> npt.NDArray[np.int16]:
    """
    Interpolate a whole table in the radius and round as the camera would have.

    Parameters
    ----------
    quantiles : ndarray, shape (n_rows, n), float32
        One of the tables, ADU.
    tables : QuantileTables
        Radii and threshold.
    node_radius : ndarray, shape (n_nodes,)
        Where to interpolate.

    Returns
    -------
    ndarray, shape (n_nodes, n), int16
        Never positive, ADU; so narrow that all of it stays in the cache.
    """
    low, weight = radial_weights(tables.radius, node_radius)
    high = np.minimum(low + 1, len(quantiles) - 1)
    x = quantiles[high] - quantiles[low]
    x *= weight.astype(np.float32)[:, None]
    x += quantiles[low]
    return _rounded(x, tables.threshold)


def _tail_values(
    tables: QuantileTables, at: FloatArray, bits: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int16]:
    """
    Draw from the magnified lowest cell of the tables.

    Parameters
    ----------
    tables : QuantileTables
        Quantiles.
    at : ndarray, shape (n,)
        Radii of the pixels.
    bits : ndarray, shape (n,), uint64
        Random bits of the pixels.

    Returns
    -------
    ndarray, shape (n,), int16
        Never positive, ADU.
    """
    low, weight = radial_weights(tables.radius, at)
    high = np.minimum(low + 1, len(tables.tail) - 1)
    n_cells = np.uint64(tables.tail.shape[1])
    cell = (((bits >> np.uint64(32)) * n_cells) >> np.uint64(32)).astype(np.int64)
    x = tables.tail[low, cell]
    x = x + (tables.tail[high, cell] - x) * weight.astype(np.float32)
    return _rounded(x, tables.threshold)


def _means(
    levels: npt.NDArray[np.int16],
    tables: QuantileTables,
    node_radius: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """
    Average the values that `replace_zeros` would draw.

    Parameters
    ----------
    levels : ndarray, shape (n_nodes, n), int16
        From `_levels` of the coarse table, ADU.
    tables : QuantileTables
        Quantiles.
    node_radius : ndarray, shape (n_nodes,)
        Radii of the rows of `levels`.

    Returns
    -------
    ndarray, shape (n_nodes,), float64
        Never positive, ADU.
    """
    tail = _levels(tables.tail, tables, node_radius)
    total = levels[:, 1:].sum(axis=1, dtype=np.float64) + tail.mean(axis=1)
    return np.asarray(total / levels.shape[1])


def _rounded(x: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.int16]:
    """Round as the camera would have, and see to it that nothing becomes positive."""
    x += np.float32(1.0 - threshold)
    np.floor(x, out=x)
    np.clip(x, np.float32(_LOWEST), np.float32(0.0), out=x)
    return x.astype(np.int16)


def radial_weights(
    knots: FloatArray, at: FloatArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """
    Linear interpolation between knots, and extrapolation of bounded length.

    Parameters
    ----------
    knots : ndarray, shape (n_knots,)
        Ascending radii.
    at : ndarray, shape (n,)
        Where to interpolate.

    Returns
    -------
    tuple of ndarray
        Index of the lower knot, at most ``n_knots - 2``, and weight of the upper
        one, below 0 or above 1 outside; both 0 for a single knot.
    """
    if len(knots) < 2:
        return np.zeros(len(at), dtype=np.int64), np.zeros(len(at))
    low = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    weight = (at - knots[low]) / (knots[low + 1] - knots[low])
    beyond = _LARGEST_EXTRAPOLATION
    return low, np.asarray(np.clip(weight, -beyond, 1.0 + beyond), dtype=np.float64)
