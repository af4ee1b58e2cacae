"""Uncertainties of what rings share, and of each ring, from the scatter between blocks.

A block is a ring, or several that overlap, in one sector.

References
----------
Liang, K.-Y. & Zeger, S. L. (1986). Biometrika 73, 13-22, equation 8 (covariance from the
scores of independent blocks), doi:10.1093/biomet/73.1.13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.rings.ring_model import Window

Array = npt.NDArray[np.float64]


def block_curvature(
    residuals: Callable[[Array], list[Array]],
    at: Array,
    step: Array,
    which: npt.NDArray[np.int64],
) -> tuple[Array, Array]:
    """Curvature of half the sum of squares, and its gradient block by block.

    Parameters
    ----------
    residuals : callable
        Residuals of all windows, each of shape (n_sectors, n_bins), from parameters.
    at, step : ndarray, shape (n,)
        Parameters, and steps for differences.
    which : ndarray of int, shape (m,)
        Parameters to differentiate by.

    Returns
    -------
    curvature : ndarray, shape (m, m)
    score : ndarray, shape (n_blocks, m)
    """
    centre = residuals(at)
    derivative: list[list[Array]] = [[] for _ in centre]
    for k in which:
        forward, backward = at.copy(), at.copy()
        forward[k] += step[k]
        backward[k] -= step[k]
        for store, high, low in zip(
            derivative, residuals(forward), residuals(backward)
        ):
            store.append((high - low) / (2 * step[k]))
    curvature = np.zeros((len(which), len(which)))
    scores = []
    for store, residual in zip(derivative, centre):
        jacobian = np.stack(store, axis=-1)
        curvature += np.einsum("sbi,sbj->ij", jacobian, jacobian)
        scores.append(np.einsum("sbi,sb->si", jacobian, residual))
    return curvature, np.concatenate(scores)


def biweight_inflation(windows: Sequence[Window]) -> float:
    """Mean weight over mean slope of the influence function ψ = weight × residual.

    The curvature of a robust target is ψ', not the weight: for normal residuals the
    biweight makes uncertainties 1.2 times too small without this.
    """
    parts = []
    for window in windows:
        used = window.full_weight > 0
        parts.append(window.weight[used] / window.full_weight[used])
    weight = np.concatenate(parts)
    root = np.sqrt(weight)
    slope = np.where(weight > 0, root * (5 * root - 4), 0.0)
    return float(weight.mean() / max(slope.mean(), 0.1 * weight.mean()))


def ring_deviations(curvature: Array, score: Array) -> tuple[Array, Array]:
    """Shift of each ring that the residuals ask for, all else fixed."""
    bread = np.linalg.pinv(curvature, hermitian=True)
    # the residual falls where the ring moves towards the data
    shift = -bread @ score.sum(axis=0)
    covariance = bread @ (score.T @ score) @ bread
    return shift, np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
