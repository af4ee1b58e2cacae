"""Integrated intensities against the truth of a simulated sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dials_truncfix.compare.matching import Matched

#: Resolution limits of `resolution_bins`, Å.
RESOLUTION_LIMITS = (20.0, 4.0, 3.0, 2.2, 1.8, 1.65, 1.5)
#: Limits of `intensity_bins`, e⁻.
INTENSITY_LIMITS = (50.0, 200.0, 1000.0, 5000.0)


@dataclass(frozen=True)
class Agreement:
    """How a set of reflections agrees with the truth.

    Attributes
    ----------
    low, high : float
        Limits of the set: resolution (Å) or true intensity (e⁻).
    n : int
        Number of reflections.
    slope : float
        Slope of the line through the origin, least squares of observed on true.
    slope_error : float
        Its standard deviation, by the scatter about the line.
    ratio : float
        Sum of observed over sum of true intensities.
    bias : float
        Mean of observed minus true, e⁻.
    bias_error : float
        Its standard error, e⁻.
    z_sd : float
        Standard deviation of (observed - capture × true)/σ.
    correlation : float
        Pearson's coefficient between observed and true.
    r_factor : float
        Sum of |observed - capture × true| over that of capture × true.
    """

    low: float
    high: float
    n: int
    slope: float
    slope_error: float
    ratio: float
    bias: float
    bias_error: float
    z_sd: float
    correlation: float
    r_factor: float


def capture(matched: Matched) -> float:
    """Part of the intensity that integration captures: weighted slope, by 1/σ².

    Summation leaves out what lies beyond its box, profile fitting what its profiles
    leave out; neither is a bias.
    """
    weight = 1.0 / matched.sigma**2
    return float(
        np.sum(weight * matched.observed * matched.expected)
        / np.sum(weight * matched.expected**2)
    )


def agreement(
    matched: Matched, low: float, high: float, captured: float | None = None
) -> Agreement:
    """Compare a set of reflections with the truth.

    Parameters
    ----------
    matched : Matched
        The set.
    low, high : float
        Its limits, to be noted.
    captured : float, optional
        Part of the true intensity that is expected, for `z_sd` and `r_factor`; the
        ratio of sums of this set if not given.

    Returns
    -------
    Agreement
        NaN where there are fewer than three reflections.
    """
    if len(matched) < 3:
        nan = float("nan")
        return Agreement(low, high, len(matched), *(nan,) * 8)
    observed, expected = matched.observed, matched.expected
    difference = observed - expected
    ratio = float(observed.sum() / expected.sum())
    slope = float(np.sum(observed * expected) / np.sum(expected**2))
    scatter = (observed - slope * expected) * expected
    model = (ratio if captured is None else captured) * expected
    return Agreement(
        low=low,
        high=high,
        n=len(matched),
        slope=slope,
        slope_error=float(np.sqrt(np.sum(scatter**2)) / np.sum(expected**2)),
        ratio=ratio,
        bias=float(difference.mean()),
        bias_error=float(difference.std(ddof=1) / np.sqrt(len(matched))),
        z_sd=float(((observed - model) / matched.sigma).std(ddof=1)),
        correlation=float(np.corrcoef(observed, expected)[0, 1]),
        r_factor=float(np.abs(observed - model).sum() / np.abs(model).sum()),
    )


def resolution_bins(
    matched: Matched,
    limits: Sequence[float] = RESOLUTION_LIMITS,
    captured: float | None = None,
) -> list[Agreement]:
    """Agreement in shells between falling limits, Å."""
    return [
        agreement(matched.between(d_max, d_min), d_max, d_min, captured)
        for d_max, d_min in zip(limits, limits[1:])
    ]


def intensity_bins(
    matched: Matched,
    limits: Sequence[float] = INTENSITY_LIMITS,
    captured: float | None = None,
) -> list[Agreement]:
    """Agreement between rising limits of the true intensity, e⁻."""
    return [
        agreement(
            matched.select((matched.expected >= low) & (matched.expected < high)),
            low,
            high,
            captured,
        )
        for low, high in zip(limits, limits[1:])
    ]


def slope_ratio(
    matched: Matched,
    low_resolution: tuple[float, float] = (20.0, 4.0),
    high_resolution: tuple[float, float] = (1.65, 1.5),
) -> float:
    """Slope on truth at low resolution over that at high resolution.

    Above 1 where weak intensities come out too low. The default ranges are those of
    the figures that the documentation quotes.
    """
    low = agreement(matched.between(*low_resolution), *low_resolution)
    high = agreement(matched.between(*high_resolution), *high_resolution)
    return low.slope / high.slope
