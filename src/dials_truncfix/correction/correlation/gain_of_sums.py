"""Gain and pedestal for sums of pixels whose noise is correlated.

What spreads the light of an electron over several pixels lowers the variance of each of
them, but not that of their sum. Integration sums pixels, so it needs the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dials_truncfix.correction.correlation.noise_covariance import NoiseCovariance
from dials_truncfix.correction.gain import GainEstimate

_FEWEST_POINTS = 3
_CHANCE_DEVIATIONS = 3.0


def gain_of_sums(
    estimate: GainEstimate, covariances: Sequence[NoiseCovariance]
) -> GainEstimate:
    """
    Add the covariance of neighbouring pixels to the variance of pixels.

    With V = gain · (x - pedestal) the variance of pixels of mean x, and C the sum of
    the covariances of one with all others, sums have the variance V + C for each of
    their pixels. C is fitted by a straight line of x, through zero unless it clearly is not.

    Parameters
    ----------
    estimate : GainEstimate
        From the variance of single pixels.
    covariances : sequence of NoiseCovariance
        Of some images of the sweep.

    Returns
    -------
    GainEstimate
        The one given, where it is not reliable, or the images have one brightness.
    """
    if not estimate.reliable or not covariances:
        return estimate
    x = np.concatenate([c.level for c in covariances])
    covariance = np.concatenate([c.covariance for c in covariances])
    variance = estimate.gain * (x - estimate.pedestal)
    # covariances scatter as the variances are large
    w = 1.0 / variance**2
    middle = float((w * x).sum() / w.sum())
    spread = float((w * (x - middle) ** 2).sum())
    if len(x) < _FEWEST_POINTS or spread < 1e-6 * float((w * x**2).sum()):
        return estimate
    slope = float((w * (x - middle) * covariance).sum()) / spread
    at_zero = float((w * covariance).sum() / w.sum()) - slope * middle
    rest = covariance - at_zero - slope * x
    scatter = float((w * rest**2).sum()) / (len(x) - 2)
    slope_sd = np.sqrt(scatter / spread)
    at_zero_sd = np.sqrt(scatter * (1.0 / w.sum() + middle**2 / spread))
    if abs(at_zero) < _CHANCE_DEVIATIONS * at_zero_sd:
        # read noise hardly ever is correlated
        slope = float((w * x * covariance).sum() / (w * x**2).sum())
        slope_sd = np.sqrt(scatter / (w * x**2).sum())
        at_zero, at_zero_sd = 0.0, 0.0
    gain = estimate.gain + slope
    if gain <= 0:
        return estimate
    read_variance = max(estimate.read_noise**2 + at_zero, 0.0)
    # that of a camera that was given is not known
    gain_sd = float(np.hypot(np.nan_to_num(estimate.gain_sd), slope_sd))
    pedestal = -read_variance / gain
    return replace(
        estimate,
        gain=gain,
        pedestal=pedestal,
        gain_sd=gain_sd,
        pedestal_sd=float(np.hypot(pedestal * gain_sd, at_zero_sd) / gain),
        read_noise=float(np.sqrt(read_variance)),
    )
