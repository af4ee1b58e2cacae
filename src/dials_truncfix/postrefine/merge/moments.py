"""Correlations of observations with their reference, from sums that add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray

#: Fewer pairs give no coefficient.
_FEWEST_PAIRS = 10


@dataclass(frozen=True)
class ReferenceMoments:
    """Sums over the observations of each unique reflection.

    Attributes
    ----------
    sums : ndarray, shape (9, n_unique)
        Of 1; of the reference and its square; of the observed intensities, their squares and
        products with the reference; and of the same three of the full intensities.
    """

    sums: FloatArray

    def __add__(self, other: ReferenceMoments) -> ReferenceMoments:
        """Add those of other observations."""
        return ReferenceMoments(self.sums + other.sums)

    def correlations(self, chosen: BoolArray) -> tuple[float, float]:
        """Correlate observed and full intensities with the reference.

        Parameters
        ----------
        chosen : ndarray, shape (n_unique,), bool
            Reflections to take.

        Returns
        -------
        before, after : float
            NaN for too few observations, or without scatter.
        """
        sums = self.sums[:, chosen].sum(axis=1)
        return _correlation(sums, 3), _correlation(sums, 6)


def reference_moments(
    group: IntArray,
    observed: FloatArray,
    full: FloatArray,
    reference: FloatArray,
    n_unique: int,
) -> ReferenceMoments:
    """Sum over observations.

    Parameters
    ----------
    group : ndarray, shape (n,), int
        Which unique reflection an observation is of.
    observed, full, reference : ndarray, shape (n,)
        Partial and full intensities, and what these were refined against.
    n_unique : int
        Number of unique reflections.
    """
    terms = (
        np.ones(len(group)),
        reference,
        reference * reference,
        observed,
        observed * observed,
        observed * reference,
        full,
        full * full,
        full * reference,
    )
    return ReferenceMoments(np.stack([np.bincount(group, t, n_unique) for t in terms]))


def _correlation(sums: FloatArray, first: int) -> float:
    n, r, rr = sums[:3]
    x, xx, xr = sums[first : first + 3]
    if n < _FEWEST_PAIRS:
        return float("nan")
    size = (xx - x * x / n) * (rr - r * r / n)
    return float((xr - x * r / n) / np.sqrt(size)) if size > 0 else float("nan")
