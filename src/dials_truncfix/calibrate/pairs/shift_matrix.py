"""Displacement on the image by image shift or stage, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

Array = npt.NDArray[np.float64]

#: Shorter over longer axis of the shifts that were made.
_LEAST_BREADTH = 0.1
#: Displacements are never known better, pixels.
_BEST_ERROR = 1e-3


@dataclass(frozen=True)
class ShiftMatrix:
    """What the image does when it is shifted.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        Displacement (fast, slow) of what is imaged, pixels, by a shift (x, y) of 1 µm.
    drift : ndarray, shape (2,), or None
        Pixels per minute; None where it could not be told.
    covariance : ndarray, shape (4, 4) or (6, 6)
        Of the matrix's elements by rows, then of the drift.
    residuals : ndarray, shape (n, 2)
        Found minus fitted displacements, pixels.
    scatter : float
        What single images are off by along each axis, beyond noise, pixels.
    """

    matrix: Array
    drift: Array | None
    covariance: Array
    residuals: Array
    scatter: float

    @property
    def rmsd(self) -> float:
        """Root mean square residual, pixels."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=1))))

    @property
    def lengths(self) -> Array:
        """Displacement by 1 µm of x and of y, pixels."""
        return np.asarray(np.linalg.norm(self.matrix, axis=0))

    @property
    def length_errors(self) -> Array:
        """Their standard uncertainties, pixels."""
        return self._errors(self.matrix / self.lengths)

    @property
    def directions(self) -> Array:
        """Of the displacements by x and y, fast towards slow, rad."""
        return np.asarray(np.arctan2(self.matrix[1], self.matrix[0]))

    @property
    def direction_errors(self) -> Array:
        """Their standard uncertainties, rad."""
        across = np.array([-self.matrix[1], self.matrix[0]])
        return self._errors(across / self.lengths**2)

    def _errors(self, slopes: Array) -> Array:
        """Of a quantity of each column, by its derivatives (2, 2) by the column."""
        errors = []
        for k in range(2):
            part = self.covariance[np.ix_([k, 2 + k], [k, 2 + k])]
            errors.append(np.sqrt(slopes[:, k] @ part @ slopes[:, k]))
        return np.array(errors)

    @property
    def size(self) -> float:
        """Root of the determinant: displacement by 1 µm, mean of all directions, pixels."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def size_error(self) -> float:
        """Its standard uncertainty, pixels."""
        m = self.matrix
        cofactor = np.array([m[1, 1], -m[1, 0], -m[0, 1], m[0, 0]])
        slope = cofactor / (2 * self.size)
        return float(np.sqrt(slope @ self.covariance[:4, :4] @ slope))

    @property
    def is_mirrored(self) -> bool:
        """Whether y lies on the other side of x than slow of fast."""
        return bool(np.linalg.det(self.matrix) < 0)


def fit_shift_matrix(
    pairs: Sequence[tuple[int, int]],
    shifts: Array,
    displacements: Array,
    covariances: Array,
    minutes: Array | None = None,
) -> ShiftMatrix:
    """Fit a matrix, and a steady drift where times tell, by generalised least squares.

    Pairs that have an image in common have its noise in common, and what it was shifted
    beside the mark.

    Parameters
    ----------
    pairs : sequence of (int, int)
        Images between which the rest is, from 0.
    shifts : ndarray, shape (n, 2)
        Made between two images (x, y), µm.
    displacements : ndarray, shape (n, 2)
        Found between them (fast, slow), pixels.
    covariances : ndarray, shape (n, 2, 2)
        Of the displacements, pixels².
    minutes : ndarray, shape (n,), optional
        Between them.

    Returns
    -------
    ShiftMatrix

    Raises
    ------
    ValueError
        If the shifts are too few, or lie on a line.

    References
    ----------
    Paule, R. C. & Mandel, J. (1982). J. Res. Natl Bur. Stand. 87, 377-385,
    doi:10.6028/jres.087.022: the scatter beyond the uncertainties.
    """
    refuse_poor_shifts(shifts)
    n = len(shifts)
    design = np.concatenate([np.kron(np.eye(2), shift) for shift in shifts])
    if minutes is not None and _tells_drift(shifts, minutes):
        drift = np.concatenate([m * np.eye(2) for m in minutes])
        design = np.hstack([design, drift])
    observed = displacements.ravel()
    spare = len(observed) - design.shape[1]
    ends = np.zeros((n, 1 + max(max(pair) for pair in pairs)))
    for k, (first, second) in enumerate(pairs):
        ends[k, first], ends[k, second] = -1.0, 1.0
    shared = np.kron(ends @ ends.T, np.eye(2))
    root = np.zeros((2 * n, 2 * n))
    for k, part in enumerate(covariances + _BEST_ERROR**2 * np.eye(2)):
        root[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = np.linalg.cholesky(part)
    # each of two images brings half of the variance
    noise = root @ (shared / 2) @ root.T + 1e-3 * root @ root.T

    def fit(scatter: float) -> tuple[Array, Array, float]:
        whiten = np.linalg.inv(np.linalg.cholesky(noise + scatter**2 * shared))
        left, right = whiten @ design, whiten @ observed
        inverse = np.linalg.inv(left.T @ left)
        found = inverse @ left.T @ right
        return found, inverse, float(np.sum((right - left @ found) ** 2))

    scatter = 0.0
    if spare > 0 and fit(0.0)[2] > spare:
        top = max(float(np.abs(observed).max()), 1.0)
        scatter = optimize.brentq(lambda s: fit(s)[2] - spare, 0.0, top, xtol=1e-5)
    found, inverse, _ = fit(scatter)
    residuals = (observed - design @ found).reshape(-1, 2)
    return ShiftMatrix(
        matrix=found[:4].reshape(2, 2),
        drift=found[4:] if len(found) > 4 else None,
        covariance=inverse,
        residuals=residuals,
        scatter=scatter,
    )


def refuse_poor_shifts(shifts: Array) -> None:
    """Raise a ValueError where shifts are too few, or lie on a line.

    Parameters
    ----------
    shifts : ndarray, shape (n, 2)
        Made between two images (x, y), µm.
    """
    made = int(np.sum(np.any(shifts != 0, axis=1)))
    if made < 2:
        raise ValueError(
            f"{made} shifts were made, and at least 2 in different directions are needed: "
            "record more images"
        )
    extent = np.linalg.svd(shifts, compute_uv=False)
    if extent[1] < _LEAST_BREADTH * extent[0]:
        raise ValueError(
            "all shifts lie along one line, which tells nothing of the direction across: "
            "record images with shifts in x and in y"
        )


def _tells_drift(shifts: Array, minutes: Array) -> bool:
    """Whether the time is no sum of the shifts, and something is left to check."""
    if len(shifts) < 4 or not np.any(minutes):
        return False
    columns = np.column_stack([shifts, minutes])
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    return bool(np.linalg.svd(columns, compute_uv=False)[-1] > _LEAST_BREADTH)
