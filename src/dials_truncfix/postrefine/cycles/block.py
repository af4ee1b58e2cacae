"""Blocks of lattices as tasks for any number of processes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray, Lattices
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.start import start_parameters
from dials_truncfix.postrefine.lattice.target import LOG_G, calculate
from dials_truncfix.postrefine.merge.merging import HalfSums, half_sums
from dials_truncfix.postrefine.merge.references import Reference
from dials_truncfix.postrefine.merge.rejection import Verdict, judge
from dials_truncfix.postrefine.merge.scaling import FullEquivalents, Scaled, scale_block


@dataclass(frozen=True)
class BlockTask:
    """Lattices to refine, and how.

    Attributes
    ----------
    observations : ObservationBlock
        What was measured of them.
    reference : Reference
        What it is compared with.
    half : ndarray, shape (n_lattices,), int
        Half set of each lattice, 0 or 1.
    model : Model
        Partiality.
    options : CycleOptions
        How to refine, judge and scale.
    freedom : ndarray, shape (n_lattices,), or None
        Degrees of freedom of each lattice, where the reference is a mean of the data.
    n_unique : int
        Number of unique reflections of the data set.
    """

    observations: ObservationBlock
    reference: Reference
    half: IntArray
    model: Model
    options: CycleOptions
    freedom: FloatArray | None
    n_unique: int


@dataclass(frozen=True)
class BlockResult:
    """What becomes of the lattices of a block.

    Attributes
    ----------
    fits : LatticeFits
        Of every lattice.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        Which are accepted.
    scaled : Scaled
        Full intensities.
    sums : HalfSums
        Of the accepted lattices.
    """

    fits: LatticeFits
    verdicts: npt.NDArray[np.object_]
    scaled: Scaled
    sums: HalfSums


def refine_block(task: BlockTask) -> BlockResult:
    """Refine the lattices of a block, judge them, and sum what is accepted."""
    observations, options = task.observations, task.options
    reference, variance = task.reference.of(observations)
    used = np.isfinite(reference) & np.isfinite(variance)
    lattices = observations.lattices(reference, variance, used)
    fits = refine_lattices(lattices, task.model, options.refinement)
    wanted = np.any(options.refinement.rounds(), axis=0)
    verdicts = judge(fits, options.limits, wanted, task.freedom)
    scaled = scale_block(
        observations,
        full_equivalents(lattices, fits, task.model),
        np.asarray(verdicts == Verdict.ACCEPTED),
        reference,
        variance,
        min_partiality=options.min_partiality,
        max_deviation=options.max_deviation,
    )
    return BlockResult(fits, verdicts, scaled, _sums(task, scaled))


def start_block(task: BlockTask) -> tuple[Scaled, HalfSums]:
    """Full intensities before any refinement, with G = 1 and B = 0."""
    observations = task.observations
    unknown = np.full(len(observations), np.nan)
    lattices = observations.lattices(
        unknown, unknown, np.zeros(len(observations), dtype=bool)
    )
    parameters = start_parameters(lattices, task.model)
    parameters[:, LOG_G] = 0.0
    nothing = np.zeros((*parameters.shape, parameters.shape[1]))
    scaled = scale_block(
        observations,
        _full_equivalents(
            lattices, parameters, nothing, np.ones(len(parameters)), task.model
        ),
        np.ones(len(parameters), dtype=bool),
        unknown,
        unknown,
        min_partiality=task.options.min_partiality,
        max_deviation=math.inf,
    )
    return scaled, _sums(task, scaled)


def _sums(task: BlockTask, scaled: Scaled) -> HalfSums:
    observations = task.observations
    return half_sums(
        observations.group, scaled, task.half[observations.row], task.n_unique
    )


def full_equivalents(
    lattices: Lattices, fits: LatticeFits, model: Model
) -> FullEquivalents:
    """Scales of observations by the fits of their lattices.

    Parameters
    ----------
    lattices : Lattices
        Observations, those that did not enter the target too.
    fits : LatticeFits
        Fits of these lattices.
    model : Model
        Partiality.

    Returns
    -------
    FullEquivalents
    """
    return _full_equivalents(
        lattices, fits.parameters, fits.covariance, fits.spread, model
    )


def _full_equivalents(
    lattices: Lattices,
    parameters: FloatArray,
    covariance: FloatArray,
    spread: FloatArray,
    model: Model,
) -> FullEquivalents:
    row = lattices.row
    unit = replace(lattices, reference=np.ones(len(row)))
    calculated = calculate(unit, parameters, model)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = calculated.jacobian / calculated.scale
    doubt = np.zeros(len(row))
    for j in range(len(slopes)):
        for k in range(j + 1):
            part = covariance[row, j, k] * slopes[j] * slopes[k]
            doubt += part if j == k else 2.0 * part
    return FullEquivalents(
        scale=calculated.scale,
        partiality=calculated.partiality,
        r_h=calculated.r_h,
        doubt=np.where(calculated.scale > 0, np.maximum(doubt, 0.0), 0.0),
        spread=spread[row],
    )
