"""Quantile tables of the values that were recorded as zero.

A zero pixel is given the quantile of x | x < threshold at a random u. The tables are
interpolated linearly in radius between ring centroids, so that no ring edge shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.joint_camera import camera_model
from dials_truncfix.correction.joint_camera.camera_zeros import zero_law
from dials_truncfix.correction.laws.distributions import Distribution, distribution
from dials_truncfix.correction.laws.intervals import THRESHOLDS

Array = NDArray[np.float64]

_NODES = 384
# Grids end where F is this fraction of the smallest u of their table.
_DEEPEST_FRACTION = 0.25
_BRACKETS_PER_OCTAVE = 4
_BRACKET_OCTAVES = (-12, 16)
# Annuli of equal area have at most 1/8; more would make the system ill-conditioned.
_LARGEST_OFF_DIAGONAL = 0.2


@dataclass(frozen=True)
class QuantileTables:
    """Quantiles of the unrounded value x given that it was recorded as zero.

    Attributes
    ----------
    radius : NDArray[np.float64]
        (n_rows,) centroid of each row's ring in the caller's radial coordinate,
        ascending. Rings without a fit have no row.
    coarse : NDArray[np.float32]
        (n_rows, n) x at u = (j + 1/2) / n, ADU; ascending along u.
    tail : NDArray[np.float32]
        (n_rows, n) the first cell of `coarse` magnified: x at u = (j + 1/2) / n².
    threshold : float
        Values stay below this one: 1/2 for rounding, 1 for floor, ADU.
    """

    radius: NDArray[np.float64]
    coarse: NDArray[np.float32]
    tail: NDArray[np.float32]
    threshold: float


def conditional_tables(fits: RingFits, radius: Array, n: int = 4096) -> QuantileTables:
    """Tabulate the quantiles of x | x < threshold of each fitted ring.

    Parameters
    ----------
    fits : RingFits
        Fits of one image, one row per ring.
    radius : NDArray[np.float64]
        (n_rings,) centroid of each ring, over its zero pixels where there are any,
        ascending. Not used for rings without a fit.
    n : int
        Cells of each table.

    Returns
    -------
    QuantileTables
        One row per fitted ring. Where a family's support lies above the threshold,
        so that it knows no zeros, the row is 0 throughout.

    Raises
    ------
    ValueError
        If `fits` holds more than one image, the radii of fitted rings do not
        ascend, or n is below 2.
    """
    rows = np.flatnonzero(fits.fitted)
    if fits.status.ndim != 1:
        raise ValueError(
            f"fits of one image expected, not of shape {fits.status.shape}"
        )
    if n < 2:
        raise ValueError(f"a quantile table needs at least 2 cells, not {n}")
    knots = np.asarray(radius, dtype=np.float64)[rows]
    if (np.diff(knots) <= 0).any() or not np.isfinite(knots).all():
        raise ValueError(f"radii of rings must ascend: {knots}")
    threshold = THRESHOLDS[fits.rounding]
    coarse = np.zeros((len(rows), n), dtype=np.float32)
    tail = np.zeros((len(rows), n), dtype=np.float32)
    for family in np.unique(fits.family[rows]):
        mine = np.flatnonzero(fits.family[rows] == family)
        if family == camera_model.NAME:
            law = zero_law(fits.required_camera, fits.theta[rows[mine], 0])
            for table, log_u in zip((coarse, tail), log_cells(n)):
                table[mine] = law.quantiles(log_u)
            continue
        _invert(
            distribution(str(family)),
            fits.theta[rows[mine]],
            threshold,
            (coarse, tail),
            mine,
        )
    return tables_of_quantiles(knots, coarse, tail, threshold)


def tables_of_quantiles(
    radius: Array,
    coarse: NDArray[np.floating[Any]],
    tail: NDArray[np.floating[Any]],
    threshold: float,
) -> QuantileTables:
    """Make tables of quantiles, kept below the threshold where they are narrowed.

    Parameters
    ----------
    radius : NDArray[np.float64]
        (n_rows,) coordinate of each row.
    coarse, tail : NDArray[np.floating[Any]]
        (n_rows, n) quantiles at the u of `QuantileTables`, ADU.
    threshold : float
        Upper limit, ADU.

    Returns
    -------
    QuantileTables
    """
    below = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    return QuantileTables(
        radius,
        np.minimum(coarse.astype(np.float32), below),
        np.minimum(tail.astype(np.float32), below),
        threshold,
    )


def mean_preserving_knots(
    tables: QuantileTables, mean_deviation: Array
) -> QuantileTables:
    """Sharpen the tables so that interpolation in radius keeps each ring's own.

    Interpolating between centroids averages a ring with its neighbours. With r the
    radius of a ring's zero pixels and ρ their mean, the average weights of the two
    neighbours are d / (2 Δ), with d the mean distance of r from ρ and Δ the distance of the
    centroids; the end rings extrapolate their own line and average to themselves.
    Solving this tridiagonal system gives tables whose interpolated average over each
    ring's zero pixels is the ring's table.

    Parameters
    ----------
    tables : QuantileTables
        Tables at the centroids of the rings' zero pixels.
    mean_deviation : NDArray[np.float64]
        (n_rows,) mean absolute deviation from `tables.radius` of the radii of each
        ring's zero pixels.

    Returns
    -------
    QuantileTables
        Knots to interpolate: still ascending along u and below the threshold, which
        takes precedence over the average where they meet.

    Raises
    ------
    ValueError
        If there is not one deviation per row.
    """
    deviation = np.asarray(mean_deviation, dtype=np.float64)
    n_rows = len(tables.radius)
    if deviation.shape != (n_rows,):
        raise ValueError(
            f"one mean deviation for each of {n_rows} rows expected, not shape "
            f"{deviation.shape}"
        )
    if n_rows < 3:
        return tables
    # Solvers for general matrices wake the threads of OpenBLAS, which then wait busily
    # for longer than the rest of an image takes; LAPACK's for tridiagonal ones does not.
    bands = _averaging_bands(tables.radius, deviation)
    inverse = solve_banded((1, 1), bands, np.eye(n_rows))
    n = tables.coarse.shape[1]
    both = np.concatenate((tables.tail, tables.coarse), axis=1)
    knots = np.zeros_like(both)
    for row in range(n_rows):
        for neighbour in range(n_rows):
            knots[row] += np.float32(inverse[row, neighbour]) * both[neighbour]
    below = np.nextafter(np.float32(tables.threshold), np.float32(-np.inf))
    return replace(
        tables,
        tail=np.minimum(np.maximum.accumulate(knots[:, :n], axis=1), below),
        coarse=np.minimum(np.maximum.accumulate(knots[:, n:], axis=1), below),
    )


def _averaging_bands(radius: Array, deviation: Array) -> Array:
    """Return the average weight of each knot in each ring, as `solve_banded` wants it.

    Row 1 holds the diagonal, rows 0 and 2 the diagonals above and below it.
    """
    step = np.diff(radius)
    half = 0.5 * deviation[1:-1]
    outward = np.minimum(half / step[1:], _LARGEST_OFF_DIAGONAL)
    inward = np.minimum(half / step[:-1], _LARGEST_OFF_DIAGONAL)
    bands = np.zeros((3, len(radius)))
    bands[0, 2:] = outward
    bands[1] = 1.0
    bands[1, 1:-1] -= outward + inward
    bands[2, :-2] = inward
    return bands


def _invert(
    family: Distribution,
    theta: Array,
    threshold: float,
    tables: tuple[NDArray[np.float32], NDArray[np.float32]],
    rows: NDArray[np.intp],
) -> None:
    """Fill the rows of the tables by inverting log F on grids that span them.

    One grid reaches from the threshold to the depth of the coarse table's first
    cell, the other on to the depth of the tail's; linear interpolation in log u.
    """
    n = tables[0].shape[1]
    at_threshold = family.log_cdf(np.array([threshold]), theta)
    known = np.flatnonzero(np.isfinite(at_threshold[:, 0]))
    theta, at_threshold = theta[known], at_threshold[known]
    log_u = log_cells(n)
    scale = np.sqrt(family.variance(theta))[:, None]
    depths = scale * _bracket_depths()
    log_ratio = family.log_cdf(threshold - depths, theta) - at_threshold
    ends = np.zeros((len(theta), 1))
    for table, targets in zip(tables, log_u):
        beyond = np.argmax(log_ratio < targets[0] + np.log(_DEEPEST_FRACTION), axis=1)
        start, ends = ends, np.take_along_axis(depths, beyond[:, None], axis=1)
        if table is tables[1]:
            first = np.argmax(log_ratio < targets[-1] + np.log(2.0), axis=1)
            start = np.take_along_axis(
                depths, np.maximum(first - 1, 0)[:, None], axis=1
            )
        grid = threshold - (ends + (start - ends) * np.linspace(0.0, 1.0, _NODES))
        values = family.log_cdf(grid, theta) - at_threshold
        for row, abscissa, ordinate in zip(rows[known], values, grid):
            inside = np.isfinite(abscissa)
            table[row] = np.interp(targets, abscissa[inside], ordinate[inside])


def _bracket_depths() -> Array:
    """Return distances below the threshold in units of the standard deviation."""
    first, last = _BRACKET_OCTAVES
    octaves = np.arange(first, last, 1.0 / _BRACKETS_PER_OCTAVE)
    return np.asarray(np.exp2(octaves))


@lru_cache(maxsize=4)
def log_cells(n: int) -> tuple[Array, Array]:
    """Return log u of the cells of the coarse table and of its magnified first cell."""
    log_cells = np.log((np.arange(n) + 0.5) / n)
    return log_cells, log_cells - np.log(n)
