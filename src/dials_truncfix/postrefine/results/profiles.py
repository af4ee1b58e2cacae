"""Observed beside calculated partialities, and I/σ against r_h, in bins for figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from dials_truncfix.parallel import Map
from dials_truncfix.postrefine.cycles.block import full_equivalents
from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.cycles.passes import BLOCK
from dials_truncfix.postrefine.input.observations import (
    LatticeSource,
    ObservationBlock,
    cut,
)
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import (
    BoolArray,
    FloatArray,
    IntArray,
    Lattices,
)
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import LOG_G, LOG_RS, B
from dials_truncfix.postrefine.merge.references import (
    ExternalReference,
    OtherLattices,
    Reference,
)
from dials_truncfix.postrefine.merge.scaling import FullEquivalents

PARTIALITY_EDGES = np.linspace(0.0, 1.0, 21)
#: Of r_h/rs; at its ends the Lorentzian still has 1/33.
EXCITATION_EDGES = np.linspace(-4.0, 4.0, 65)
#: Even on both sides of zero near it, and logarithmic far from it.
I_OVER_SIGMA_EDGES = np.sinh(np.linspace(np.arcsinh(-10.0), np.arcsinh(1000.0), 49))
_TRUMPET_WIDTH = 4.0
_N_TRUMPET = 48


@dataclass(frozen=True)
class Profile:
    """Parts of reflections that were recorded, in bins of another quantity.

    Attributes
    ----------
    edges : ndarray, shape (n_bins + 1,)
        Of the bins.
    n : ndarray, shape (n_bins,), int64
        Observations.
    observed, observed_sd : ndarray, shape (n_bins,)
        Slope of the observed on the calculated full intensities, and its standard
        deviation; NaN where there are too few.
    calculated : ndarray, shape (n_bins,)
        Calculated partialities with the same weights.
    n_negative : ndarray, shape (n_bins,), int64
        Observations below zero.
    expected_negative : ndarray, shape (n_bins,)
        How many there should be by calculated intensities and uncertainties.
    """

    edges: FloatArray
    n: IntArray
    observed: FloatArray
    observed_sd: FloatArray
    calculated: FloatArray
    n_negative: IntArray
    expected_negative: FloatArray


@dataclass(frozen=True)
class Trumpet:
    """Numbers of observations in bins of r_h and I/σ; those of larger r_h are in none.

    Attributes
    ----------
    r_h_edges, i_over_sigma_edges : ndarray
        Of the bins; r_h in Å⁻¹. The outermost bins of I/σ take what is beyond.
    n : ndarray, shape (n_i_over_sigma, n_r_h), int64
        Observations.
    """

    r_h_edges: FloatArray
    i_over_sigma_edges: FloatArray
    n: IntArray


@dataclass(frozen=True)
class Profiles:
    """What the figures of partiality need.

    Attributes
    ----------
    by_partiality : Profile
        In bins of calculated partiality.
    by_excitation_error : Profile
        In bins of r_h/rs.
    trumpet : Trumpet
        I/σ as measured, against r_h.
    """

    by_partiality: Profile
    by_excitation_error: Profile
    trumpet: Trumpet


@dataclass(frozen=True)
class ProfileTask:
    """Lattices of a block with their fits, to be binned.

    Attributes
    ----------
    observations : ObservationBlock
        What was measured.
    reference : Reference
        What it is compared with.
    fits : LatticeFits
        Of these lattices.
    taken : ndarray, shape (n,), bool
        Observations to bin.
    model : Model
        Partiality.
    r_h_edges : ndarray
        Of the trumpet.
    """

    observations: ObservationBlock
    reference: Reference
    fits: LatticeFits
    taken: BoolArray
    model: Model
    r_h_edges: FloatArray


@dataclass(frozen=True)
class ProfileSums:
    """What blocks add up to."""

    by_partiality: FloatArray
    by_excitation: FloatArray
    trumpet: IntArray

    def __add__(self, other: ProfileSums) -> ProfileSums:
        """Add those of other lattices."""
        return ProfileSums(
            self.by_partiality + other.by_partiality,
            self.by_excitation + other.by_excitation,
            self.trumpet + other.trumpet,
        )


def profiles(
    observations: LatticeSource,
    outcome: Outcome,
    external: ExternalReference | None,
    apply: Map,
) -> Profiles | None:
    """Compare the observations of accepted lattices with what was calculated.

    Outliers are left out; observations of small partiality, which are not merged, are not.

    Parameters
    ----------
    observations : LatticeSource
        What was measured.
    outcome : Outcome
        What became of it.
    external : ExternalReference or None
        None for the mean of the other lattices.
    apply : callable
        Applies a function to tasks.

    Returns
    -------
    Profiles or None
        None if no lattice was accepted.
    """
    if not outcome.accepted.any():
        return None
    radius = float(np.exp(np.median(outcome.fits.parameters[outcome.accepted, LOG_RS])))
    r_h_edges = radius * np.linspace(-_TRUMPET_WIDTH, _TRUMPET_WIDTH, _N_TRUMPET + 1)
    merged = outcome.merged

    def tasks() -> Iterator[ProfileTask]:
        for lattices in cut(observations.offsets, BLOCK):
            block = observations.block(lattices)
            scaled = outcome.store.read(lattices)
            yield ProfileTask(
                block,
                external or OtherLattices(merged, scaled),
                outcome.fits.part(lattices),
                outcome.accepted[lattices][block.row] & ~scaled.outlier,
                outcome.model,
                r_h_edges,
            )

    total: ProfileSums | None = None
    for part in apply(profile_sums, tasks()):
        total = part if total is None else total + part
    assert total is not None
    n_rows = len(I_OVER_SIGMA_EDGES) - 1
    return Profiles(
        _profile(PARTIALITY_EDGES, total.by_partiality),
        _profile(EXCITATION_EDGES, total.by_excitation),
        Trumpet(
            r_h_edges, I_OVER_SIGMA_EDGES, total.trumpet.reshape(n_rows, _N_TRUMPET)
        ),
    )


def profile_sums(task: ProfileTask) -> ProfileSums:
    """Bin the observations of a block."""
    block = task.observations
    reference, variance = task.reference.of(block)
    known = np.isfinite(reference) & np.isfinite(variance)
    lattices = block.lattices(reference, variance, known)
    full = full_equivalents(lattices, task.fits, task.model)
    rows = np.flatnonzero(task.taken & known)
    terms = _terms(lattices, full, task.fits, rows)
    p, r_h = full.partiality[rows], full.r_h[rows]
    rs = np.exp(task.fits.parameters[block.row[rows], LOG_RS])
    size = block.intensity[rows] / np.sqrt(block.variance[rows])
    cell = _bin(size, I_OVER_SIGMA_EDGES) * _N_TRUMPET + _bin(r_h, task.r_h_edges)
    cell = cell[np.abs(r_h) <= task.r_h_edges[-1]]
    n_cells = (len(I_OVER_SIGMA_EDGES) - 1) * _N_TRUMPET
    return ProfileSums(
        _binned(terms, p, PARTIALITY_EDGES),
        _binned(terms, r_h / rs, EXCITATION_EDGES),
        np.bincount(cell, minlength=n_cells),
    )


def _terms(
    lattices: Lattices, full: FullEquivalents, fits: LatticeFits, rows: IntArray
) -> FloatArray:
    """Calculate what is summed in each bin, shape (9, n)."""
    x = fits.parameters[lattices.row[rows]]
    factor = np.exp(x[:, LOG_G] - 0.5 * x[:, B] * lattices.q_squared[rows])
    whole = factor * lattices.reference[rows]
    doubt = np.square(factor) * lattices.reference_variance[rows]
    p, intensity = full.partiality[rows], lattices.intensity[rows]
    variance = lattices.variance[rows] * np.square(full.spread[rows])
    weight = 1.0 / variance
    # the square of a noisy reference is too large by its variance
    square = weight * (np.square(whole) - doubt)
    weighted = np.square(weight * whole)
    # the noise of the reference is in its intensities already
    sd = np.sqrt(np.maximum(variance - doubt * np.square(p), 0.25 * variance))
    return np.stack(
        [
            np.ones(len(rows)),
            weight * whole * intensity,
            square,
            square * p,
            weighted * np.square(intensity),
            weighted * whole * intensity,
            weighted * np.square(whole),
            (intensity < 0).astype(float),
            ndtr(-whole * p / sd),
        ]
    )


def _bin(values: FloatArray, edges: FloatArray) -> IntArray:
    """Bin of each value, the outermost for what is beyond."""
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)


def _binned(terms: FloatArray, values: FloatArray, edges: FloatArray) -> FloatArray:
    inside = (values >= edges[0]) & (values <= edges[-1])
    place = _bin(values[inside], edges)
    return np.stack(
        [
            np.bincount(place, term[inside], minlength=len(edges) - 1).astype(float)
            for term in terms
        ]
    )


def _profile(edges: FloatArray, sums: FloatArray) -> Profile:
    n, product, square, calculated, ii, if_, ff, negative, expected = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (n > 1) & (square > 0)
        observed = np.where(known, product / square, np.nan)
        # from the scatter of the residuals, whatever its cause
        scatter = np.maximum(ii - 2.0 * observed * if_ + np.square(observed) * ff, 0.0)
        sd = np.sqrt(scatter) / np.where(known, square, np.nan)
        mean = np.where(known, calculated / square, np.nan)
    return Profile(
        edges=edges,
        n=n.astype(np.int64),
        observed=observed,
        observed_sd=sd,
        calculated=mean,
        n_negative=negative.astype(np.int64),
        expected_negative=expected,
    )
