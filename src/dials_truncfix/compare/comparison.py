"""Two integrations of the same images beside each other, and beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cctbx import crystal, miller

from dials_truncfix.compare.agreement import (
    INTENSITY_LIMITS,
    Agreement,
    agreement,
    capture,
    intensity_bins,
    resolution_bins,
)
from dials_truncfix.compare.equivalents import group_equivalents, possible_reflections
from dials_truncfix.compare.merging import (
    MergedShell,
    half_set_correlations,
    merge,
    merging_shells,
)
from dials_truncfix.compare.observations import FloatArray, Observations
from dials_truncfix.compare.pairs import Pairs, pair
from dials_truncfix.compare.shells import Change, changes, shell_limits, shell_of
from dials_truncfix.compare.truth import (
    KnownTruth,
    indexed_alike,
    reference_truth,
    simulated_truth,
)
from dials_truncfix.simulate.truth import Truth

#: Positions on the rotation may differ by this many images.
_MAX_IMAGES = 3.0


@dataclass(frozen=True)
class Side:
    """One of the two integrations.

    Attributes
    ----------
    observations : Observations
        Its good reflections.
    axes : tuple of ndarray, shape (3, 3)
        A of each crystal, Å⁻¹.
    widths : tuple of float
        Rotation in an image of each crystal, degrees; infinite for stills.
    symmetry : cctbx.crystal.symmetry
        Cell of the first crystal, and the space group in which to merge.
    """

    observations: Observations
    axes: tuple[npt.NDArray[np.float64], ...]
    widths: tuple[float, ...]
    symmetry: crystal.symmetry


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and how.

    Attributes
    ----------
    n_shells : int
        Number of resolution shells.
    d_max, d_min : float or None
        Range of resolution, Å; None for that of the reflections.
    n_divisions : int
        Random divisions into half sets.
    seed : int
        Their seed.
    intensity_limits : tuple of float or None
        Limits of the bins of true intensity; None chooses them.
    """

    n_shells: int = 12
    d_max: float | None = None
    d_min: float | None = None
    n_divisions: int = 20
    seed: int = 0
    intensity_limits: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TruthFigures:
    """How the reflections that both tables hold agree with the truth.

    Attributes
    ----------
    captured : float
        Part of the true intensity that integration captures.
    shells : list of Agreement
        In resolution shells, and all together in a last entry.
    bins : list of Agreement
        In bins of the true intensity.
    """

    captured: float
    shells: list[Agreement]
    bins: list[Agreement]


@dataclass(frozen=True)
class Comparison:
    """All figures.

    Attributes
    ----------
    limits : ndarray, shape (n_shells + 1,)
        Limits of the resolution shells, Å.
    changes : list of Change
        Before against after.
    merged_before, merged_after : list of MergedShell
        Merged data.
    truth_before, truth_after : TruthFigures or None
        Against the truth, where it is known.
    truth_unit : str
        Unit of true intensities: e⁻, or ADU with the Lorentz factor L taken out.
    scale : float
        Factor by which the intensities of `after` were multiplied.
    """

    limits: FloatArray
    changes: list[Change]
    merged_before: list[MergedShell]
    merged_after: list[MergedShell]
    truth_before: TruthFigures | None
    truth_after: TruthFigures | None
    truth_unit: str
    scale: float


def compare(
    before: Side,
    after: Side,
    options: CompareOptions,
    truth: Truth | miller.array | None = None,
) -> Comparison:
    """Compare two integrations of the same images.

    Parameters
    ----------
    before, after : Side
        The integrations.
    options : CompareOptions
        How to compare.
    truth : Truth or cctbx.miller.array, optional
        Of the simulation, or unique intensities of the structure.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the two, or the truth, are not of the same crystals.
    """
    pairs = pair(
        before.observations,
        after.observations,
        before.axes,
        after.axes,
        [_MAX_IMAGES * width for width in after.widths],
    )
    _check_symmetry(before.symmetry, after.symmetry)
    scale = 1.0
    if pairs.after.is_scaled:
        scale = _scale(pairs)
        pairs = replace(pairs, after=pairs.after.times(scale))
    limits = shell_limits(
        np.concatenate([pairs.d_before, pairs.d_after]),
        options.n_shells,
        options.d_max,
        options.d_min,
    )
    known = [None, None] if truth is None else _look_up(truth, pairs, after)
    figures = _truth_figures(known, pairs, limits, options, truth)
    n_possible = possible_reflections(after.symmetry, limits)
    merged = [
        _merged(observations, true, after.symmetry, limits, n_possible, options)
        for observations, true in zip((pairs.before, pairs.after), known)
    ]
    return Comparison(
        limits=limits,
        changes=changes(pairs, limits),
        merged_before=merged[0],
        merged_after=merged[1],
        truth_before=figures[0],
        truth_after=figures[1],
        truth_unit="e⁻" if isinstance(truth, Truth) else "ADU/L",
        scale=scale,
    )


def _check_symmetry(before: crystal.symmetry, after: crystal.symmetry) -> None:
    """Refuse to merge in two Laue groups."""
    laue = [s.space_group().build_derived_laue_group() for s in (before, after)]
    if laue[0] != laue[1]:
        raise ValueError(
            f"the space group is {before.space_group_info()} before and "
            f"{after.space_group_info()} after: give the one in which to merge as "
            "merging.space_group"
        )


def _scale(pairs: Pairs) -> float:
    """Factor that brings strong reflections of `after` to those of `before`."""
    old = pairs.before.value[pairs.row_before]
    new = pairs.after.value[pairs.row_after]
    return float(np.sum(old * new) / np.sum(new**2))


def _look_up(
    truth: Truth | miller.array, pairs: Pairs, after: Side
) -> list[KnownTruth | None]:
    if isinstance(truth, Truth):
        if len(after.axes) > 1:
            raise ValueError(
                f"the truth is of one crystal, and the tables hold {len(after.axes)}"
            )
        return [
            simulated_truth(truth, observations, after.axes[0])
            for observations in (pairs.before, pairs.after)
        ]
    reference = indexed_alike(truth, pairs.after, after.symmetry)
    return [
        reference_truth(reference, pairs.before, pairs.d_before),
        reference_truth(reference, pairs.after, pairs.d_after),
    ]


def _truth_figures(
    known: Sequence[KnownTruth | None],
    pairs: Pairs,
    limits: FloatArray,
    options: CompareOptions,
    truth: Truth | miller.array | None,
) -> list[TruthFigures | None]:
    figures: list[TruthFigures | None] = []
    bin_limits = options.intensity_limits
    for true, rows in zip(known, (pairs.row_before, pairs.row_after)):
        if true is None:
            figures.append(None)
            continue
        matched = true.of(rows)
        matched = matched.between(float(limits[0]), float(limits[-1]))
        if bin_limits is None:
            if isinstance(truth, Truth):
                bin_limits = INTENSITY_LIMITS
            else:
                fifths = np.quantile(matched.expected, np.linspace(0, 1, 6))
                bin_limits = tuple(float(x) for x in fifths)
        captured = capture(matched)
        whole = agreement(matched, float(limits[0]), float(limits[-1]), captured)
        figures.append(
            TruthFigures(
                captured,
                [*resolution_bins(matched, limits.tolist(), captured), whole],
                intensity_bins(matched, bin_limits, captured),
            )
        )
    return figures


def _merged(
    observations: Observations,
    true: KnownTruth | None,
    symmetry: crystal.symmetry,
    limits: FloatArray,
    n_possible: npt.NDArray[np.int64],
    options: CompareOptions,
) -> list[MergedShell]:
    equal = observations.comparable()
    groups = group_equivalents(equal.miller_index, symmetry)
    merged = merge(
        groups, equal.value, equal.sigma, None if true is None else true.comparable
    )
    correlations = half_set_correlations(
        groups,
        equal.value,
        equal.sigma,
        shell_of(merged.d, limits),
        len(limits) - 1,
        options.n_divisions,
        options.seed,
    )
    return merging_shells(merged, correlations, n_possible, limits)
