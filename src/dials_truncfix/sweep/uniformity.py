"""How uniform the background of a sweep is around its annuli."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dials_truncfix.correction.regions.anisotropy import Anisotropy, anisotropy
from dials_truncfix.sweep.measure import ImageFits

# Regions with fewer zeros say little about the law of the zeros.
_SMALLEST_FRACTION = 0.1
# Of a normal distribution, half of it cut off. With the noise of the electrons, which
# grows with their number, it is less.
_STEEPEST = 0.36


def ring_anisotropy(images: Sequence[ImageFits]) -> list[Anisotropy]:
    """Test how uniform the annuli are, on the images of the sample.

    Parameters
    ----------
    images : sequence of ImageFits
        All images of a sweep.

    Returns
    -------
    list of Anisotropy
        One for each annulus, from the centre outwards; none without images.
    """
    sampled = [image for image in images if image.regions.zeros is not None]
    counts = [
        image.regions.zeros for image in sampled if image.regions.zeros is not None
    ]
    return anisotropy(counts, _slope(sampled)) if counts else []


def _slope(images: Sequence[ImageFits]) -> float:
    """Change of the mean of the zeros with the mean of the pixels, over the regions."""
    mean, of_zeros, n_zero = (
        np.concatenate([getattr(image.fits, name) for image in images])
        for name in ("mean", "mean_nonpositive", "n_zero")
    )
    fraction = np.concatenate([image.fits.p_nonpositive for image in images])
    known = np.isfinite(mean) & np.isfinite(of_zeros)
    known[known] &= fraction[known] >= _SMALLEST_FRACTION
    mean, of_zeros, n_zero = mean[known], of_zeros[known], n_zero[known]
    if n_zero.sum() == 0:
        return _STEEPEST
    away = mean - np.average(mean, weights=n_zero)
    spread = np.average(away**2, weights=n_zero)
    if spread <= 0:
        return _STEEPEST
    slope = np.average(away * of_zeros, weights=n_zero) / spread
    return float(np.clip(slope, 0.0, _STEEPEST))
