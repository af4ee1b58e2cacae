"""Full equivalents of partial reflections."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray


@dataclass(frozen=True)
class FullEquivalents:
    """What each observation says about the full reflection.

    Attributes
    ----------
    scale : ndarray, shape (n,)
        G exp(-B d*²/2) p: observed over full intensity.
    partiality : ndarray, shape (n,)
        p.
    r_h : ndarray, shape (n,)
        Excitation error, Å⁻¹.
    doubt : ndarray, shape (n,)
        Variance of the logarithm of `scale` from the covariance of the parameters.
    spread : ndarray, shape (n,)
        Spread of the weighted residuals of the lattice.
    """

    scale: FloatArray
    partiality: FloatArray
    r_h: FloatArray
    doubt: FloatArray
    spread: FloatArray


@dataclass(frozen=True)
class Scaled:
    """Full intensities on one scale.

    Attributes
    ----------
    intensity, variance : ndarray, shape (n,)
        Of the full reflections; 0 and 1 where not partial enough.
    fit_variance : ndarray, shape (n,)
        Part of the variance that the uncertainty of the parameters adds.
    partial : ndarray, shape (n,), bool
        Whether enough of the reflection was recorded.
    used : ndarray, shape (n,), bool
        Whether an observation is merged.
    outlier : ndarray, shape (n,), bool
        Whether it was left out because it deviates.
    """

    intensity: FloatArray
    variance: FloatArray
    fit_variance: FloatArray
    partial: BoolArray
    used: BoolArray
    outlier: BoolArray

    def multiplied(self, factor: FloatArray) -> Scaled:
        """Take the intensities times a factor, shape (n,)."""
        return replace(
            self,
            intensity=self.intensity * factor,
            variance=self.variance * factor * factor,
            fit_variance=self.fit_variance * factor * factor,
        )


def scale_block(
    block: ObservationBlock,
    full: FullEquivalents,
    accepted: BoolArray,
    reference: FloatArray,
    reference_variance: FloatArray,
    *,
    min_partiality: float,
    max_deviation: float,
) -> Scaled:
    """Divide observations by their scales, and find those that deviate.

    Parameters
    ----------
    block : ObservationBlock
        What was measured.
    full : FullEquivalents
        Scales.
    accepted : ndarray, shape (n_lattices,), bool
        Lattices to merge.
    reference, reference_variance : ndarray, shape (n,)
        Full intensities expected, NaN where unknown, and their variances.
    min_partiality : float
        Observations of a smaller partiality are not used.
    max_deviation : float
        Nor are those further from the reference, in standard deviations.

    Returns
    -------
    Scaled
    """
    partial = full.partiality >= min_partiality
    scale = np.where(partial, full.scale, 1.0)
    intensity = np.where(partial, block.intensity / scale, 0.0)
    known = np.isfinite(reference) & np.isfinite(reference_variance)
    expected = np.where(known, reference, intensity)
    # lattices that lost all their signal are left out for that, with any variance
    with np.errstate(over="ignore", invalid="ignore"):
        fit_variance = np.where(partial, full.doubt * np.square(expected), 0.0)
        counted = block.variance * np.square(full.spread / scale)
    variance = np.where(partial, counted + fit_variance, 1.0)
    total = variance + np.where(known, reference_variance, 0.0)
    candidate = partial & accepted[block.row]
    deviates = np.abs(intensity - expected) > max_deviation * np.sqrt(total)
    return Scaled(
        intensity,
        variance,
        fit_variance,
        partial,
        candidate & ~deviates,
        candidate & deviates,
    )
