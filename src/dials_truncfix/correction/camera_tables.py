"""What a camera recorded as zero: quantile tables and moments as functions of rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.camera_law import (
    coarsest_step,
    grid_to,
    tilted_masses,
    tilted_model,
)
from dials_truncfix.correction.camera_model import CameraModel
from dials_truncfix.correction.quantiles import QuantileTables, log_cells

Array = NDArray[np.float64]

# Linear interpolation of log F between edges then moves quantiles by σ / 10⁴.
_STEPS_PER_SD = 32.0
_TILT_ITERATIONS = 30
# Rows of one transform: some megabytes.
_ROWS = 256


@dataclass(frozen=True)
class ZeroLaw:
    """Distribution of the readings that were recorded as zero, one row per rate.

    Attributes
    ----------
    edges : NDArray[np.float64]
        (m + 1,) ascending readings up to the threshold, ADU.
    below : NDArray[np.float64]
        (n, m + 1) probability of less than each edge, given a zero: 0 … 1.
    log_p : NDArray[np.float64]
        (n,) logarithm of the probability of a zero.
    """

    edges: Array
    below: Array
    log_p: Array


@dataclass(frozen=True)
class RecordedMoments:
    """Moments of recorded and of lost integers, each of shape (n,).

    Attributes
    ----------
    p_zero : NDArray[np.float64]
        Probability of being recorded as zero.
    mean_zero, square_zero : NDArray[np.float64]
        Mean and mean square of the integer that a pixel recorded as zero would have
        shown, ADU and ADU².
    mean_recorded, square_recorded : NDArray[np.float64]
        Mean and mean square of the recorded, clipped integer, ADU and ADU².
    """

    p_zero: Array
    mean_zero: Array
    square_zero: Array
    mean_recorded: Array
    square_recorded: Array


def zero_law(model: CameraModel, rate: Array) -> ZeroLaw:
    """Return the distributions of the readings that were recorded as zero.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n,) rates, e⁻.

    Returns
    -------
    ZeroLaw
        n rows, exact however rare a zero is. A row does not depend on the others.

    Raises
    ------
    ValueError
        For rates that are negative or no numbers.
    """
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    if not (rate >= 0).all() or not np.isfinite(rate).all():
        raise ValueError(f"rates must be at least 0: {rate}")
    step = coarsest_step(model.read_noise, _STEPS_PER_SD)
    low = grid_to(model, model.threshold, step).low
    n_low = round((model.threshold - low) / step)
    tilt = _tilts(model, rate)
    tilted = tilted_model(model, rate, tilt)
    below = np.zeros((len(rate), n_low + 1))
    # a grid as long as each row needs, whatever the other rows
    size = np.array([grid_to(model, high, step).n_cells for high in tilted.highest])
    for n_cells in np.unique(size):
        rows = np.flatnonzero(size == n_cells)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            grid = grid_to(model, low + n_cells * step, step)
            p = tilted_masses(model, rate[part], tilt[part], grid)[:, :n_low]
            below[part, 1:] = np.cumsum(np.maximum(p, 0.0), axis=1)
    total = below[:, -1].copy()
    return ZeroLaw(
        edges=low + step * np.arange(n_low + 1),
        below=below / total[:, None],
        log_p=np.minimum(np.log(total) + tilted.log_factor, 0.0),
    )


def recorded_moments(model: CameraModel, rate: Array) -> RecordedMoments:
    """Return the moments of the recorded and of the lost integers.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n,) rates, e⁻.

    Returns
    -------
    RecordedMoments
        n values each.

    Raises
    ------
    ValueError
        As `zero_law`.
    """
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    law = zero_law(model, rate)
    per_unit = round(1.0 / (law.edges[1] - law.edges[0]))
    # P(integer <= -j | zero), j = 1, 2, …: the mean is minus their sum
    deeper = law.below[:, -1 - per_unit :: -per_unit]
    j = np.arange(1, deeper.shape[1] + 1)
    mean_zero = -deeper.sum(axis=1)
    square_zero = (deeper * (2 * j - 1)).sum(axis=1)
    p_zero = np.exp(law.log_p)
    mean = model.mean(rate) - (model.threshold - 0.5)
    square = model.variance(rate) + 1.0 / 12.0 + mean * mean
    return RecordedMoments(
        p_zero=p_zero,
        mean_zero=mean_zero,
        square_zero=square_zero,
        mean_recorded=mean - p_zero * mean_zero,
        square_recorded=square - p_zero * square_zero,
    )


def camera_tables(model: CameraModel, rate: Array, n: int = 4096) -> QuantileTables:
    """Tabulate the quantiles of the readings that were recorded as zero.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n_rows,) rates, e⁻.
    n : int
        Cells of each table.

    Returns
    -------
    QuantileTables
        One row per rate, with the rate in the place of the radius. A row does not
        depend on the others.

    Raises
    ------
    ValueError
        As `zero_law`, and if n is below 2.
    """
    if n < 2:
        raise ValueError(f"a quantile table needs at least 2 cells, not {n}")
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    law = zero_law(model, rate)
    tables = [np.empty((len(rate), n), dtype=np.float32) for _ in range(2)]
    with np.errstate(divide="ignore"):
        log_below = np.log(law.below)
    for row, log_u in enumerate(log_below):
        inside = slice(int(np.argmax(np.isfinite(log_u))), None)
        for table, targets in zip(tables, log_cells(n)):
            table[row] = np.interp(targets, log_u[inside], law.edges[inside])
    below = np.nextafter(np.float32(model.threshold), np.float32(-np.inf))
    coarse, tail = (np.minimum(table, below) for table in tables)
    return QuantileTables(rate, coarse, tail, model.threshold)


def _tilts(model: CameraModel, rate: Array) -> Array:
    """Return the tilts that bring the means down to the threshold, ADU⁻¹, (n,).

    0 where the mean lies below. The mean is a falling, convex function of the tilt,
    so that Newton's method approaches its root from one side.
    """
    tilt = np.zeros_like(rate)
    # always as many, so that a row does not depend on the others
    for _ in range(_TILT_ITERATIONS):
        tilted = tilted_model(model, rate, tilt)
        excess = tilted.mean - model.threshold
        tilt = tilt + np.maximum(excess, 0.0) / tilted.variance
    return tilt
