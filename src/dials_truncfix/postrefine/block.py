"""Blocks of lattices as tasks for any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from dials_truncfix.postrefine.fits import LatticeFits
from dials_truncfix.postrefine.lattices import FloatArray, Lattices
from dials_truncfix.postrefine.merging import FullEquivalents
from dials_truncfix.postrefine.options import RefinementOptions
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.refine import refine_lattices
from dials_truncfix.postrefine.start import start_parameters
from dials_truncfix.postrefine.target import LOG_G, N_PARAMETERS, calculate


@dataclass(frozen=True)
class BlockTask:
    """Lattices to refine, and how."""

    lattices: Lattices
    model: Model
    options: RefinementOptions


@dataclass(frozen=True)
class BlockResult:
    """Fits of the lattices of a block, and the full equivalents of its observations."""

    fits: LatticeFits
    full: FullEquivalents


def refine_block(task: BlockTask) -> BlockResult:
    """Refine the lattices of a block."""
    fits = refine_lattices(task.lattices, task.model, task.options)
    return BlockResult(fits, full_equivalents(task.lattices, fits, task.model))


def start_block(task: BlockTask) -> FullEquivalents:
    """Full equivalents before any refinement, with G = 1 and B = 0."""
    parameters = start_parameters(task.lattices, task.model)
    parameters[:, LOG_G] = 0.0
    nothing = np.zeros((len(parameters), N_PARAMETERS, N_PARAMETERS))
    return _full_equivalents(
        task.lattices, parameters, nothing, np.ones(len(parameters)), task.model
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
    for j in range(N_PARAMETERS):
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


def join_full(parts: Sequence[FullEquivalents]) -> FullEquivalents:
    """Put the full equivalents of several blocks one after the other."""
    return FullEquivalents(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(FullEquivalents)
        }
    )
