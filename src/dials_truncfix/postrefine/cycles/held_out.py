"""Which model of partiality predicts observations that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray, Lattices
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import calculate
from dials_truncfix.postrefine.merge.references import Reference

#: Residuals beyond so many spreads count linearly in the score.
_LIMIT = 2.0


@dataclass(frozen=True)
class HeldOut:
    """How well a model predicts what it has not seen.

    Attributes
    ----------
    model : Model
        Partiality.
    n_free : int
        Observations held out.
    r_free, cc_free : float
        Σ|I_obs - I_calc|/Σ|I_obs| and correlation over them.
    r_work, cc_work : float
        The same over the others.
    score : float
        Mean negative logarithm of the likelihood of the observations held out, up to a
        constant, outliers counted less. The least is the best.
    """

    model: Model
    n_free: int
    r_free: float
    cc_free: float
    r_work: float
    cc_work: float
    score: float


@dataclass(frozen=True)
class HeldOutTask:
    """Lattices of which some known observations are not used, and their positions."""

    lattices: Lattices
    free: IntArray
    options: RefinementOptions


@dataclass(frozen=True)
class HeldOutSums:
    """What blocks add up to: one row for each model."""

    observed: list[FloatArray]
    calculated: list[FloatArray]
    work_observed: list[FloatArray]
    work_calculated: list[FloatArray]
    loss: list[FloatArray]


def held_out_task(
    block: ObservationBlock,
    reference: Reference,
    numbers: slice,
    options: RefinementOptions,
    part: float,
    seed: int,
) -> HeldOutTask:
    """Hold out a random part of the observations of each lattice.

    Parameters
    ----------
    block : ObservationBlock
        Lattices to take.
    reference : Reference
        What they are refined against.
    numbers : slice
        Which lattices of the data set they are.
    options : RefinementOptions
        How to refine.
    part : float
        How much to hold out.
    seed : int
        Of the choice, together with the number of the lattice.
    """
    chosen = np.concatenate(
        [
            np.random.default_rng([seed, number]).random(size) < part
            for number, size in zip(
                range(numbers.start, numbers.stop), np.diff(block.offsets)
            )
        ]
    )
    intensity, variance = reference.of(block)
    known = np.isfinite(intensity) & np.isfinite(variance)
    lattices = block.lattices(intensity, variance, known)
    lattices = replace(lattices, used=known & ~chosen)
    return HeldOutTask(lattices, np.flatnonzero(known & chosen), options)


def predict_held_out(task: HeldOutTask) -> HeldOutSums:
    """Refine by each model without the observations held out, and predict these."""
    lattices, free = task.lattices, task.free
    work = np.flatnonzero(lattices.used)
    result = HeldOutSums([], [], [], [], [])
    for model in Model:
        fits = refine_lattices(lattices, model, task.options)
        calculated = calculate(lattices, fits.parameters, model).intensity
        result.observed.append(lattices.intensity[free])
        result.calculated.append(calculated[free])
        result.work_observed.append(lattices.intensity[work])
        result.work_calculated.append(calculated[work])
        result.loss.append(_loss(lattices, fits, calculated)[free])
    return result


def _loss(lattices: Lattices, fits: LatticeFits, calculated: FloatArray) -> FloatArray:
    sigma = fits.spread[lattices.row] * np.sqrt(lattices.variance)
    size = np.abs(lattices.intensity - calculated) / sigma
    limited = np.minimum(size, _LIMIT)
    return np.asarray(limited * (size - 0.5 * limited) + np.log(sigma))


def compare_models(sums: Sequence[HeldOutSums]) -> list[HeldOut]:
    """Put the predictions of all blocks together.

    Returns
    -------
    list of HeldOut
        One for each model; empty if too little was held out to tell.
    """
    result = []
    for number, model in enumerate(Model):
        observed, calculated, work_observed, work_calculated, loss = (
            np.concatenate([getattr(part, name)[number] for part in sums])
            for name in HeldOutSums.__dataclass_fields__
        )
        if len(observed) < 30:
            return []
        result.append(
            HeldOut(
                model=model,
                n_free=len(observed),
                r_free=_r(observed, calculated),
                cc_free=float(np.corrcoef(observed, calculated)[0, 1]),
                r_work=_r(work_observed, work_calculated),
                cc_work=float(np.corrcoef(work_observed, work_calculated)[0, 1]),
                score=float(loss.mean()),
            )
        )
    return result


def _r(observed: FloatArray, calculated: FloatArray) -> float:
    return float(np.abs(observed - calculated).sum() / np.abs(observed).sum())


def best_model(compared: Sequence[HeldOut]) -> Model:
    """Model with the least score; the Gaussian if there are none to compare."""
    if not compared:
        return Model.GAUSSIAN
    return min(compared, key=lambda held_out: held_out.score).model
