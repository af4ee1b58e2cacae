"""What merged data look like, in shells of resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dials_truncfix.compare.equivalents import possible_reflections
from dials_truncfix.compare.merging import correlation
from dials_truncfix.compare.shells import shell_limits, shell_of
from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.merge.merging import Merged

NAN = float("nan")


@dataclass(frozen=True)
class Shell:
    """Figures of one shell, or of all together.

    Attributes
    ----------
    d_max, d_min : float
        Limits, Å.
    n_observed, n_unique, n_possible : int
        Observations merged, reflections, and those there could be.
    i_over_sigma : float
        Mean I/σ of merged reflections.
    cc_half, r_split : float
        Between half sets of lattices; R_split as in White et al. (2012).
    n_pairs : int
        Reflections in both half sets.
    cc_before, cc_after : float
        Correlation of the observations with what they were refined against, and of their
        full equivalents.
    r_iso, cc_reference : float
        Σ|I - k I_ref|/Σ k I_ref and correlation of merged data to a reference from elsewhere,
        which the factor k brings to their scale; NaN without one.

    References
    ----------
    White, T. A. et al. (2012). J. Appl. Cryst. 45, 335-341.
    https://doi.org/10.1107/S0021889812002312
    """

    d_max: float
    d_min: float
    n_observed: int
    n_unique: int
    n_possible: int
    i_over_sigma: float
    cc_half: float
    r_split: float
    n_pairs: int
    cc_before: float
    cc_after: float
    r_iso: float
    cc_reference: float

    @property
    def completeness(self) -> float:
        """Merged over possible reflections."""
        return self.n_unique / self.n_possible if self.n_possible else NAN

    @property
    def multiplicity(self) -> float:
        """Observations of a merged reflection."""
        return self.n_observed / self.n_unique if self.n_unique else NAN


def shell_figures(
    d: FloatArray,
    outcome: Outcome,
    symmetry: Any,
    n_shells: int,
    external: FloatArray | None,
) -> list[Shell]:
    """Describe each shell, and all together in a last entry.

    Parameters
    ----------
    d : ndarray, shape (n_unique,)
        Resolution, Å.
    outcome : Outcome
        What became of the data set.
    symmetry : cctbx.crystal.symmetry
        Cell and space group.
    n_shells : int
        Number of shells, even in 1/d².
    external : ndarray, shape (n_unique,), or None
        Reference intensities from elsewhere.

    Returns
    -------
    list of Shell
        Empty if nothing was merged.
    """
    merged, halves = outcome.merged, outcome.halves
    present = merged.n_observed > 0
    if not np.any(present):
        return []
    limits = shell_limits(d[present], n_shells)
    unique_shell = shell_of(d, limits)
    possible = possible_reflections(symmetry, limits)
    result = []
    for first, last in [*((i, i) for i in range(n_shells)), (0, n_shells - 1)]:
        inside = (unique_shell >= first) & (unique_shell <= last)
        mine = inside & present
        cc_half, r_split, n_pairs = _halves(halves, inside)
        before, after = outcome.final.moments.correlations(mine)
        r_iso, cc_reference = NAN, NAN
        if external is not None:
            r_iso, cc_reference = _against(merged.intensity, external, mine)
        result.append(
            Shell(
                d_max=float(limits[first]),
                d_min=float(limits[last + 1]),
                n_observed=int(merged.n_observed[mine].sum()),
                n_unique=int(mine.sum()),
                n_possible=int(possible[first : last + 1].sum()),
                i_over_sigma=(
                    float(np.mean(merged.intensity[mine] / merged.sigma[mine]))
                    if mine.any()
                    else NAN
                ),
                cc_half=cc_half,
                r_split=r_split,
                n_pairs=n_pairs,
                cc_before=before,
                cc_after=after,
                r_iso=r_iso,
                cc_reference=cc_reference,
            )
        )
    return result


def _halves(
    halves: tuple[Merged, Merged], inside: BoolArray
) -> tuple[float, float, int]:
    both = inside & (halves[0].n_observed > 0) & (halves[1].n_observed > 0)
    a, b = (half.intensity[both] for half in halves)
    size = float(np.sum(a + b))
    r_split = float(np.sum(np.abs(a - b)) * np.sqrt(2.0) / size) if size > 0 else NAN
    return correlation(a, b), r_split, int(both.sum())


def _against(
    intensity: FloatArray, external: FloatArray, mine: BoolArray
) -> tuple[float, float]:
    """R and CC of merged intensities to reference intensities brought to their scale."""
    both = mine & np.isfinite(external)
    ours, theirs = intensity[both], external[both]
    if not np.sum(theirs * theirs) > 0 or not np.sum(np.abs(ours)) > 0:
        return NAN, NAN
    theirs = theirs * (np.sum(ours * theirs) / np.sum(theirs * theirs))
    r = np.sum(np.abs(ours - theirs)) / np.sum(np.abs(theirs))
    return float(r), correlation(ours, theirs)
