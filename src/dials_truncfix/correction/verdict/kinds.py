"""Kinds of images, and those that are told without statistics of their zeros."""

from __future__ import annotations

from enum import Enum

import numpy as np

from dials_truncfix.correction.verdict.evidence import Evidence


class VerdictClass(str, Enum):
    """What kind of data the images are; only `TRUNCATED` calls for the correction."""

    TRUNCATED = "truncated"
    COUNTING = "counting"
    SIGNED = "signed"
    OFFSET = "offset"
    NO_ZEROS = "no_zeros"
    FEW_LEVELS = "few_levels"
    ONE_LEVEL = "one_level"
    ALL_ZEROS = "all_zeros"
    ZEROS_MASKED = "zeros_masked"
    CANNOT_TELL = "cannot_tell"


def without_zeros_question(evidence: Evidence) -> tuple[VerdictClass, str] | None:
    """Settle the cases in which no statistics of the zeros are needed."""
    e = evidence
    if e.n_pixels == 0:
        return VerdictClass.CANNOT_TELL, "every pixel is masked"
    if e.lowest == e.highest:
        if e.lowest == 0:
            return VerdictClass.ALL_ZEROS, f"all {e.n_pixels} pixels are zero"
        return (
            VerdictClass.ONE_LEVEL,
            f"all {e.n_pixels} pixels have the same value, {e.lowest}",
        )
    if e.pedestal > 0:
        return (
            VerdictClass.OFFSET,
            f"the images state an offset of {e.pedestal:g} ADU, so that nothing was "
            "cut off at zero",
        )
    # A few negative values are overflows of 16-bit integers or marked pixels.
    n_zero = int(e.histograms[:, 0].sum())
    if e.n_negative > max(1e-5 * e.n_pixels, 1e-3 * n_zero):
        return (
            VerdictClass.SIGNED,
            f"{e.n_negative} of {e.n_pixels} pixels are negative, down to {e.lowest} "
            "ADU: nothing was cut off at zero",
        )
    return None


def no_or_isolated_zeros(evidence: Evidence, n_zero: int) -> tuple[VerdictClass, str]:
    """Tell data on an offset from data that are bright everywhere."""
    apart = f"apart from {n_zero} isolated zeros, " if n_zero else ""
    offset, reason = _photon_transfer_offset(evidence)
    if offset:
        return VerdictClass.OFFSET, apart + reason
    solid = " outside solid areas" if evidence.n_solid_zeros else ""
    return (
        VerdictClass.NO_ZEROS,
        f"{apart}no pixel{solid} is zero in {evidence.n_images} image(s): there is "
        "nothing to repair",
    )


def _photon_transfer_offset(evidence: Evidence) -> tuple[bool, str]:
    """Look for an offset in how the variance depends on the mean."""
    known = np.isfinite(evidence.mean) & np.isfinite(evidence.variance)
    if not known.any():
        return False, ""
    mean, variance = evidence.mean[known], evidence.variance[known]
    dark = int(np.argmin(mean))
    # Electrons give at least one ADU each, so that their variance is at least the
    # mean. Half of it allows for blurring by the optics.
    if mean[dark] > 5 and variance[dark] < 0.25 * mean[dark]:
        return True, (
            f"the darkest region has a mean of {mean[dark]:.1f} ADU and a variance of "
            f"only {variance[dark]:.1f} ADU²: the values lie on an offset"
        )
    if len(mean) < 4 or mean.max() < 1.2 * mean.min() or mean[dark] <= 5:
        return False, ""
    slope, intercept = np.polyfit(mean, variance, 1)
    scatter = np.std(variance - slope * mean - intercept)
    if slope <= 0 or scatter > 0.2 * np.ptp(variance):
        return False, ""
    origin = -intercept / slope
    if origin > 5 and origin > 0.3 * mean[dark]:
        return True, (
            f"the variance falls to nothing at a mean of {origin:.0f} ADU: the values "
            "lie on an offset"
        )
    return False, ""


def few_levels(evidence: Evidence) -> tuple[VerdictClass, str]:
    """Word the refusal of data with too few grey levels."""
    spaced = evidence.highest - evidence.lowest >= evidence.n_levels
    why = "the values were scaled for display, and how" if spaced else "how"
    return (
        VerdictClass.FEW_LEVELS,
        f"only {evidence.n_levels} different values between {evidence.lowest} and "
        f"{evidence.highest} occur: {why} they are distributed near zero cannot be "
        "seen",
    )
