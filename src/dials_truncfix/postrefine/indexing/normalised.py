"""Intensities of partial reflections as deviations from what their resolution lets expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import FloatArray
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.start import start_parameters
from dials_truncfix.postrefine.lattice.target import calculate

_SHELLS = 20
#: Deviations are cut here, so that single observations do not decide.
_LIMIT = 3.0


@dataclass(frozen=True)
class ShellMeans:
    """Mean intensity of full reflections against resolution.

    Attributes
    ----------
    limits : ndarray, shape (n_shells - 1,)
        Inner limits in 1/d², Å⁻².
    mean : ndarray, shape (n_shells,)
        On any scale, positive.
    """

    limits: FloatArray
    mean: FloatArray

    def at(self, d: FloatArray) -> FloatArray:
        """Mean at each resolution."""
        return np.asarray(self.mean[np.searchsorted(self.limits, d**-2.0)])


def means_of(d: FloatArray, total: FloatArray, weight: FloatArray) -> ShellMeans:
    """Divide sums over shells of about as many reflections each.

    Parameters
    ----------
    d : ndarray, shape (n,)
        Resolution, Å.
    total, weight : ndarray, shape (n,)
        What each adds to numerator and denominator.
    """
    parts = np.linspace(0, 1, _SHELLS + 1)[1:-1]
    limits = np.unique(np.quantile(d**-2.0, parts))
    shell = np.searchsorted(limits, d**-2.0)
    n = len(limits) + 1
    numerator = np.bincount(shell, total, minlength=n)
    denominator = np.bincount(shell, weight, minlength=n)
    overall = max(float(total.sum()) / float(weight.sum()), np.finfo(float).tiny)
    good = (numerator > 0) & (denominator > 0)
    mean = np.divide(numerator, denominator, out=np.full(n, overall), where=good)
    return ShellMeans(limits, mean)


def start_partiality(block: ObservationBlock) -> FloatArray:
    """Calculate the partialities of unrefined lattices, shape (n,)."""
    unknown = np.zeros(len(block))
    lattices = block.lattices(unknown, unknown, np.zeros(len(block), dtype=bool))
    start = start_parameters(lattices, Model.GAUSSIAN)
    return calculate(lattices, start, Model.GAUSSIAN).partiality


def shell_means(block: ObservationBlock, d: FloatArray) -> ShellMeans:
    """Average the data themselves, all lattices on one scale."""
    p = start_partiality(block)
    return means_of(d, block.intensity * p, p * p)


def deviations(block: ObservationBlock, d: FloatArray, means: ShellMeans) -> FloatArray:
    """How far intensities are from their expectation, weighted by how much that says.

    With e = G p ⟨I⟩ expected, where G is the scale of the lattice, (I - e)e/(e² + σ²): the
    intensity of an acentric reflection has a standard deviation of e, to which σ is added.

    Parameters
    ----------
    block : ObservationBlock
        Observations.
    d : ndarray, shape (n,)
        Their resolution, Å.
    means : ShellMeans
        What to expect.

    Returns
    -------
    ndarray, shape (n,)
        Between -1 and 3.
    """
    full = start_partiality(block) * means.at(d)
    starts, row = block.offsets[:-1], block.row
    scale = np.add.reduceat(block.intensity * full, starts)
    scale = np.maximum(scale, 0.0) / np.add.reduceat(full * full, starts)
    expected = scale[row] * full
    size = expected**2 + block.variance
    ratio = (block.intensity - expected) * expected / size
    return np.asarray(np.clip(ratio, -_LIMIT, _LIMIT))
