"""Repeats of an image, with what they are uncertain by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """Repeats of an image.

    Attributes
    ----------
    axes : ndarray, shape (2, 2)
        The two repeats, rows (fast, slow), pixels.
    origin : ndarray, shape (2,)
        A point at which a repeat begins (fast, slow), pixels; the first pixel reaches
        from 0 to 1.
    covariance : ndarray, shape (4, 4)
        Of their elements in this order, pixels².
    places : ndarray, shape (n, 2)
        Middles of areas of the image (fast, slow), pixels.
    shifts : ndarray, shape (n, 2)
        How far each area is from where the lattice puts it (fast, slow), pixels.
    n_repeats : tuple of int
        Repeats along both axes between the outermost parts.
    mean_cell : ndarray, shape (m, m)
        Mean of all repeats, over the local mean of the image, at fractions i/m of the
        first axis and j/m of the second.
    converged : bool
        Whether the last cycle moved nothing.
    """

    axes: Array
    origin: Array
    covariance: Array
    places: Array
    shifts: Array
    n_repeats: tuple[int, int]
    mean_cell: Array
    converged: bool

    @property
    def lengths(self) -> Array:
        """Lengths of the axes, pixels."""
        return np.asarray(np.linalg.norm(self.axes, axis=1))

    @property
    def length_errors(self) -> Array:
        """Their standard uncertainties, pixels."""
        return self._errors_along(self.axes / self.lengths[:, None])

    @property
    def directions(self) -> Array:
        """Directions of the axes, fast towards slow, rad."""
        return np.asarray(np.arctan2(self.axes[:, 1], self.axes[:, 0]))

    @property
    def direction_errors(self) -> Array:
        """Their standard uncertainties, rad."""
        across = np.column_stack([-self.axes[:, 1], self.axes[:, 0]])
        return self._errors_along(across / self.lengths[:, None]) / self.lengths

    @property
    def rmsd(self) -> float:
        """Root mean square of the shifts, pixels."""
        return float(np.sqrt(np.mean(np.sum(self.shifts**2, axis=1))))

    def _errors_along(self, directions: Array) -> Array:
        parts = [self.covariance[:2, :2], self.covariance[2:, 2:]]
        return np.array([np.sqrt(d @ part @ d) for d, part in zip(directions, parts)])
