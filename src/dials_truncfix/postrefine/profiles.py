"""Observed beside calculated partialities, and I/σ against r_h, in bins for figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from dials_truncfix.postrefine.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.merging import reference_of_others
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.outcome import ExternalReference, Outcome
from dials_truncfix.postrefine.target import LOG_G, LOG_RS, B

#: Observations that are binned at a time, for the memory.
_CHUNK = 1_000_000
_N_SUMS = 9

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
    """Numbers of observations in bins of r_h and I/σ; the outermost take what is beyond.

    Attributes
    ----------
    r_h_edges, i_over_sigma_edges : ndarray
        Of the bins; r_h in Å⁻¹.
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


def profiles(
    observations: Observations, outcome: Outcome, external: ExternalReference | None
) -> Profiles | None:
    """Compare the observations of accepted lattices with what was calculated.

    Outliers are left out; observations of small partiality, which are not merged, are not.

    Parameters
    ----------
    observations : Observations
        What was measured.
    outcome : Outcome
        What became of it.
    external : ExternalReference or None
        None for the mean of the other lattices.

    Returns
    -------
    Profiles or None
        None if no lattice was accepted.
    """
    if not outcome.accepted.any():
        return None
    if external is None:
        reference, variance = reference_of_others(observations, outcome.scaled)
    else:
        reference = external.intensity[observations.group]
        variance = external.variance[observations.group]
    taken = np.flatnonzero(
        outcome.accepted[observations.row]
        & ~outcome.scaled.outlier
        & np.isfinite(reference)
        & np.isfinite(variance)
    )
    radius = float(np.exp(np.median(outcome.fits.parameters[outcome.accepted, LOG_RS])))
    r_h_edges = radius * np.linspace(-_TRUMPET_WIDTH, _TRUMPET_WIDTH, _N_TRUMPET + 1)
    n_rows = len(I_OVER_SIGMA_EDGES) - 1
    by_partiality = np.zeros((_N_SUMS, len(PARTIALITY_EDGES) - 1))
    by_excitation = np.zeros((_N_SUMS, len(EXCITATION_EDGES) - 1))
    trumpet = np.zeros(n_rows * _N_TRUMPET, dtype=np.int64)
    for first in range(0, len(taken), _CHUNK):
        rows = taken[first : first + _CHUNK]
        sums = _terms(observations, outcome, reference[rows], variance[rows], rows)
        p, r_h = outcome.scaled.full.partiality[rows], outcome.scaled.full.r_h[rows]
        rs = np.exp(outcome.fits.parameters[observations.row[rows], LOG_RS])
        by_partiality += _binned(sums, p, PARTIALITY_EDGES)
        by_excitation += _binned(sums, r_h / rs, EXCITATION_EDGES)
        size = observations.intensity[rows] / np.sqrt(observations.variance[rows])
        cell = _bin(size, I_OVER_SIGMA_EDGES) * _N_TRUMPET + _bin(r_h, r_h_edges)
        trumpet += np.bincount(cell, minlength=len(trumpet))
    return Profiles(
        _profile(PARTIALITY_EDGES, by_partiality),
        _profile(EXCITATION_EDGES, by_excitation),
        Trumpet(r_h_edges, I_OVER_SIGMA_EDGES, trumpet.reshape(n_rows, _N_TRUMPET)),
    )


def _terms(
    observations: Observations,
    outcome: Outcome,
    reference: FloatArray,
    reference_variance: FloatArray,
    rows: IntArray,
) -> FloatArray:
    """Calculate what is summed in each bin, shape (9, n)."""
    lattice = observations.row[rows]
    full_scaled = outcome.scaled.full
    x = outcome.fits.parameters[lattice]
    d_star_squared = observations.d[observations.group[rows]] ** -2.0
    factor = np.exp(x[:, LOG_G] - 0.5 * x[:, B] * d_star_squared)
    full, doubt = factor * reference, np.square(factor) * reference_variance
    p, intensity = full_scaled.partiality[rows], observations.intensity[rows]
    variance = observations.variance[rows] * np.square(full_scaled.spread[rows])
    weight = 1.0 / variance
    # the square of a noisy reference is too large by its variance
    square = weight * (np.square(full) - doubt)
    weighted = np.square(weight * full)
    # the noise of the reference is in its intensities already
    sd = np.sqrt(np.maximum(variance - doubt * np.square(p), 0.25 * variance))
    return np.stack(
        [
            np.ones(len(rows)),
            weight * full * intensity,
            square,
            square * p,
            weighted * np.square(intensity),
            weighted * full * intensity,
            weighted * np.square(full),
            (intensity < 0).astype(float),
            ndtr(-full * p / sd),
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
