"""Decide from a few images whether their zeros are truncated values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.verdict.evidence import Evidence
from dials_truncfix.correction.verdict.kinds import (
    VerdictClass,
    few_levels,
    no_or_isolated_zeros,
    without_zeros_question,
)
from dials_truncfix.correction.verdict.levels import (
    at_levels,
    level_step,
    zeros_stand_apart,
)
from dials_truncfix.correction.verdict.panjer import ZeroExcess, zero_excess
from dials_truncfix.correction.verdict.votes import Votes, vote, weighted_median

_TRUNCATED_SHARE = 0.7
_COUNTING_SHARE = 0.5
_FEWEST_DEVIATIONS = 2.0
# Rarer zeros are dead pixels or chance.
_ISOLATED_FRACTION = 1e-5
_DEAD_FRACTION = 0.01
_FEW_LEVELS = 6
_FEW_SPACED_LEVELS = 16
_ANISOTROPY_LIMIT = 1.0
_N_LOW_COUNTS = 24


@dataclass(frozen=True)
class RegionZeros:
    """
    Zeros of a region of similar brightness against those of a counting detector.

    Attributes
    ----------
    n_pixels, n_zero : int
        Pixels, and those recorded as zero.
    n_predicted : float
        Zeros that a counting detector would have; NaN where nothing can be predicted.
    sd_log : float
        Standard deviation of the logarithm of the ratio of the two; infinite where
        nothing can be predicted.
    low_counts : tuple of int
        Pixels of the lowest levels, zero first.
    """

    n_pixels: int
    n_zero: int
    n_predicted: float
    sd_log: float
    low_counts: tuple[int, ...]


@dataclass(frozen=True)
class Verdict:
    """
    The decision and what it rests on.

    Attributes
    ----------
    verdict_class : VerdictClass
        Kind of data.
    reason : str
        One sentence with the numbers that decided.
    statistics : Mapping
        Numbers by name; see `judge`.
    regions : tuple of RegionZeros
        From the darkest to the brightest region that has pixels.
    """

    verdict_class: VerdictClass
    reason: str
    statistics: Mapping[str, float]
    regions: tuple[RegionZeros, ...] = ()

    @property
    def words(self) -> str:
        """Kind of data in a word or two."""
        return self.verdict_class.value.replace("_", " ")


def judge(evidence: Evidence) -> Verdict:
    """
    Decide whether zeros stand for truncated values.

    The zeros of each region of similar brightness are compared with what its other
    low counts predict for a counting detector, see `panjer`; the regions then vote.

    Parameters
    ----------
    evidence : Evidence
        From `evidence.collect_evidence`.

    Returns
    -------
    Verdict
        Its statistics: ``zero_fraction`` (outside solid areas),
        ``solid_zero_fraction``, ``zero_excess`` (E, weighted median over the
        regions), ``zero_excess_lowest``, ``zero_excess_highest``,
        ``share_truncated`` (of the regions, weighted), ``curvature``
        (S = H(0) H(2) / H(1)², weighted median), ``n_regions``, ``n_levels``,
        ``step`` (distance of the levels), ``lowest``, ``highest``, ``n_negative``,
        ``anisotropy``, ``n_images``, ``n_pixels``. NaN where there is no such number.

    References
    ----------
    Panjer, H. H. (1981). ASTIN Bulletin 12, 22-26,
    doi:10.1017/S0515036100006796 (recursion of the counting laws).
    """
    total = evidence.histograms.sum(axis=0)
    n_zero, n_used = int(total[0]), int(total.sum())
    step = level_step(total)
    levels = at_levels(evidence.histograms, step)
    excess = zero_excess(levels)
    votes = vote(levels)
    statistics = _statistics(evidence, excess, votes, step)
    regions = _regions(levels, excess)

    def verdict(kind: VerdictClass, reason: str) -> Verdict:
        return Verdict(kind, reason, statistics, regions)

    early = without_zeros_question(evidence)
    if early is not None:
        return verdict(*early)
    fraction = n_zero / n_used if n_used else 0.0
    if fraction < _ISOLATED_FRACTION or (
        zeros_stand_apart(total) and fraction < _DEAD_FRACTION
    ):
        return verdict(*no_or_isolated_zeros(evidence, n_zero))
    if zeros_stand_apart(total) and step == 1:
        return verdict(
            VerdictClass.COUNTING,
            f"{_percent(fraction)} of the pixels are zero, but hardly any has a value "
            "next to zero: these are counts multiplied by a factor, and their zeros "
            "are real",
        )
    spaced = not levels[:, 1:3].any(axis=0).all()
    if evidence.n_levels <= (_FEW_SPACED_LEVELS if spaced else 2):
        return verdict(*few_levels(evidence))
    if votes.n_regions == 0:
        return verdict(
            VerdictClass.CANNOT_TELL,
            f"{n_zero} zeros ({_percent(fraction)}) in {evidence.n_images} image(s) "
            "and the counts beside them are too few to tell whether values were "
            "truncated",
        )
    return verdict(*_by_votes(evidence, votes, fraction, step))


def _by_votes(
    evidence: Evidence, votes: Votes, fraction: float, step: int
) -> tuple[VerdictClass, str]:
    """
    Decide by what the zeros of the regions exceed.

    Parameters
    ----------
    evidence : Evidence
        All of it.
    votes : Votes
        From `vote`.
    fraction : float
        Fraction of zeros outside solid areas.
    step : int
        Distance of the levels.

    Returns
    -------
    tuple of VerdictClass and str
        Class and reason.
    """
    zeros = f"{_percent(fraction)} of the pixels are zero"
    if votes.isolated_share > 0.5:
        return (
            VerdictClass.CANNOT_TELL,
            f"{zeros}, {votes.excess:.3g} times what counting predicts and more than "
            "the values just above zero allow for truncation: many may be dead or "
            "masked pixels",
        )
    if votes.share <= _COUNTING_SHARE:
        if not np.isfinite(votes.excess) or votes.steep_share > 0.5:
            detail = "values of two and three are rarer than any read noise allows"
        else:
            detail = (
                f"{votes.excess:.2f} times what the other low counts predict for a "
                "counting detector"
            )
        scaled = f" (values are multiples of {step})" if step > 1 else ""
        return VerdictClass.COUNTING, f"{zeros}, {detail}{scaled}: the zeros are real"
    excess = (
        f"{votes.excess:.1f} times what the counts just above zero predict for a "
        "counting detector"
    )
    if votes.share < _TRUNCATED_SHARE:
        return (
            VerdictClass.CANNOT_TELL,
            f"{zeros}, but only {_percent(votes.share)} of the regions hold more than "
            f"counting predicts (from {votes.lowest:.2f} to {votes.highest:.2f} times)",
        )
    if votes.deviations < _FEWEST_DEVIATIONS:
        return (
            VerdictClass.CANNOT_TELL,
            f"{zeros}, {excess}, but by only {votes.deviations:.1f} standard "
            "deviations more than such a detector can have: look at more images",
        )
    if step > 1:
        return (
            VerdictClass.CANNOT_TELL,
            f"{zeros}, {excess}, but all values are multiples of {step}: divide them "
            "first",
        )
    if evidence.n_levels <= _FEW_LEVELS:
        return few_levels(evidence)
    if not evidence.zeros_trusted:
        return (
            VerdictClass.ZEROS_MASKED,
            f"{zeros}, {excess}, but the image format declares zeros to be no "
            "measurement, and DIALS masks them",
        )
    if evidence.anisotropy > _ANISOTROPY_LIMIT:
        return (
            VerdictClass.CANNOT_TELL,
            f"{zeros}, {excess}, but the background varies around the rings by "
            f"{evidence.anisotropy:.1f} times its noise: is the beam centre right?",
        )
    return VerdictClass.TRUNCATED, f"{zeros}, {excess}: values below zero were cut off"


def _regions(
    levels: npt.NDArray[np.int64], excess: ZeroExcess
) -> tuple[RegionZeros, ...]:
    """Collect the low counts and the zeros of each region for the record."""
    with np.errstate(divide="ignore", invalid="ignore"):
        predicted = excess.n_zero / excess.ratio
    return tuple(
        RegionZeros(
            n_pixels=int(excess.n_pixels[i]),
            n_zero=int(excess.n_zero[i]),
            n_predicted=float(predicted[i]),
            sd_log=float(excess.sd_log[i]),
            low_counts=tuple(levels[i, :_N_LOW_COUNTS].tolist()),
        )
        for i in np.flatnonzero(excess.n_pixels)
    )


def _statistics(
    evidence: Evidence, excess: ZeroExcess, votes: Votes, step: int
) -> dict[str, float]:
    """Collect the numbers for the record."""
    known = np.isfinite(excess.curvature)
    n_zero = float(excess.n_zero.sum())
    return {
        "zero_fraction": n_zero / max(float(excess.n_pixels.sum()), 1.0),
        "solid_zero_fraction": evidence.n_solid_zeros / max(evidence.n_pixels, 1),
        "zero_excess": votes.excess,
        "zero_excess_lowest": votes.lowest,
        "zero_excess_highest": votes.highest,
        "share_truncated": votes.share,
        "curvature": weighted_median(excess.curvature[known], excess.n_zero[known]),
        "n_regions": votes.n_regions,
        "n_levels": evidence.n_levels,
        "step": step,
        "lowest": evidence.lowest,
        "highest": evidence.highest,
        "n_negative": evidence.n_negative,
        "anisotropy": evidence.anisotropy,
        "n_images": evidence.n_images,
        "n_pixels": evidence.n_pixels,
    }


def _percent(fraction: float) -> str:
    """
    Word a fraction for a reader.

    Parameters
    ----------
    fraction : float
        Fraction, 0 to 1.

    Returns
    -------
    str
        Three significant digits and a percent sign.
    """
    return f"{100 * fraction:.3g} %"
