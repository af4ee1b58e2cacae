"""Pixels of stretches of rings, with the heights and background that fit them best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.ellipse import strain_matrix
from dials_truncfix.calibrate.rings.cake import Pixels, polar
from dials_truncfix.calibrate.rings.ring_model import (
    N_SECTORS,
    SHAPE,
    WIDTH,
    RingGeometry,
    Window,
    pseudo_voigt,
    pseudo_voigt_slope,
    widths,
)

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Difference of p and q for derivatives.
_STRAIN_STEP = 1e-5
#: Stretches differ in height by at least this part of the mean: films have grains.
_LEAST_TEXTURE = 0.05


@dataclass
class Stretch:
    """Pixels of one stretch of a ring, or of several that overlap.

    Attributes
    ----------
    rings : ndarray of int, shape (n_rings,)
        Which rings.
    pixels : Pixels
        Those about them, n.
    cell : ndarray of int, shape (n,)
        Cells, one pixel wide across the rings, which are judged as a whole.
    polynomial : ndarray, shape (n, n_terms)
        Of the background.
    weight : ndarray, shape (n,)
        1/variance, ADU⁻²; 0 for pixels that are left out.
    prior, precision : ndarray, shape (n_rings,)
        Heights (ADU) that are expected, and 1/variance about them.
    """

    rings: IntArray
    pixels: Pixels
    cell: IntArray
    polynomial: Array
    weight: Array
    prior: Array
    precision: Array


@dataclass(frozen=True)
class StretchFit:
    """A stretch at a geometry.

    Attributes
    ----------
    mean, residual : ndarray, shape (n,)
        Expected, and the pixel minus that, ADU.
    heights : ndarray, shape (n_rings,)
        ADU.
    noise : ndarray, shape (n_rings, n_rings)
        Covariance of the heights' noise.
    score : ndarray, shape (n_parameters,)
        Derivative of the quasi-likelihood by the parameters.
    curvature : ndarray, shape (n_parameters, n_parameters)
        Expectation of its second derivative, negative.
    """

    mean: Array
    residual: Array
    heights: Array
    noise: Array
    score: Array
    curvature: Array


def cut_stretches(
    pixels: Pixels, windows: Sequence[Window], frame: RingGeometry
) -> list[Stretch]:
    """Share out the pixels.

    Parameters
    ----------
    pixels : Pixels
        The image.
    windows : sequence of Window
        Cells; shadows and stretches that tell nothing are left out of them.
    frame : RingGeometry
        In whose polar coordinates the cells lie.

    Returns
    -------
    list of Stretch
        Of weight 1.
    """
    radius, azimuth = polar(pixels, frame.centre, frame.undo)
    sector = np.minimum(
        (azimuth * (N_SECTORS / (2 * np.pi))).astype(int), N_SECTORS - 1
    )
    stretches = []
    for window in windows:
        bins = np.floor((radius - window.low) / pixels.size).astype(int)
        n_bins = window.clear.shape[1]
        near = np.flatnonzero((bins >= 0) & (bins < n_bins))
        near = near[window.clear[sector[near], bins[near]]]
        row = sector[near] // window.join
        order = np.argsort(row, kind="stable")
        near, row = near[order], row[order]
        ends = np.searchsorted(row, np.arange(N_SECTORS // window.join + 1))
        scaled = (radius - window.low) / (n_bins * pixels.size) - 0.5
        power = np.arange(window.polynomial.shape[-1])
        for place in window.rows:
            members = near[ends[place] : ends[place + 1]]
            n = len(window.rings)
            stretches.append(
                Stretch(
                    rings=window.rings,
                    pixels=Pixels(
                        pixels.x[members],
                        pixels.y[members],
                        pixels.value[members],
                        pixels.size,
                    ),
                    cell=bins[members],
                    polynomial=scaled[members, None] ** power,
                    weight=np.ones(len(members)),
                    prior=np.zeros(n),
                    precision=np.zeros(n),
                )
            )
    return stretches


def fit_stretch(
    stretch: Stretch,
    tangent: Array,
    geometry: RingGeometry,
    shape: Array,
    by_ring: bool = False,
) -> StretchFit:
    """Fit heights and background, and differentiate.

    Parameters
    ----------
    stretch : Stretch
        Pixels.
    tangent : ndarray, shape (n,)
        Radius of each ring over the camera length.
    geometry : RingGeometry
        Where rings lie.
    shape : ndarray, shape (3,)
        Parameters of the profile.
    by_ring : bool
        Whether the parameters are the radii of the rings (mm), or centre x and y (mm),
        logarithm of the camera length, p and q.

    Returns
    -------
    StretchFit
    """
    rings = stretch.rings
    radius, _ = polar(stretch.pixels, geometry.centre, geometry.undo)
    place = geometry.distance * tangent[rings]
    width = widths(shape, place)
    z = (radius[:, None] - place) / width
    mixing = shape[SHAPE - WIDTH]
    design = np.column_stack([pseudo_voigt(z, mixing), stretch.polynomial])
    n = len(rings)
    weighted = design * stretch.weight[:, None]
    prior, precision = np.zeros((2, design.shape[1]))
    prior[:n], precision[:n] = stretch.prior, stretch.precision
    normal = weighted.T @ design
    inverse = np.linalg.pinv(normal + np.diag(precision), hermitian=True)
    linear = inverse @ (weighted.T @ stretch.pixels.value + precision * prior)
    mean = design @ linear
    residual = stretch.pixels.value - mean
    noise = (inverse @ normal @ inverse)[:n, :n]
    slope = pseudo_voigt_slope(z, mixing) / width
    if by_ring:
        unit = -slope[:, :, None] * np.eye(n)
    else:
        moved = _radius_derivatives(stretch.pixels, geometry)[:, None, :]
        moved = np.repeat(moved, n, axis=1)
        moved[:, :, 2] -= place
        unit = slope[:, :, None] * moved
    flat = unit.reshape(len(radius), -1)
    across = weighted.T @ flat
    pairs = (flat * stretch.weight[:, None]).T @ flat - across.T @ inverse @ across
    n_parameters = unit.shape[2]
    pairs = pairs.reshape(n, n_parameters, n, n_parameters)
    # the square of a noisy height is too large by its variance
    squares = np.outer(linear[:n], linear[:n]) - noise
    return StretchFit(
        mean=mean,
        residual=residual,
        heights=linear[:n],
        noise=noise,
        score=np.einsum("r,nrk,n->k", linear[:n], unit, stretch.weight * residual),
        curvature=np.einsum("rs,risj->ij", squares, pairs),
    )


def _radius_derivatives(pixels: Pixels, geometry: RingGeometry) -> Array:
    """Of the radius without distortion by the five parameters, shape (n, 5), mm."""
    undo = geometry.undo
    x, y = pixels.x - geometry.centre[0], pixels.y - geometry.centre[1]
    position = np.stack([x, y])
    straight = undo @ position
    toward = -(undo.T @ (straight / np.maximum(np.linalg.norm(straight, axis=0), 1e-9)))
    result = np.zeros((len(x), 5))
    result[:, :2] = toward.T
    for k in range(2):
        ends = []
        for sign in (1, -1):
            strain = np.array(geometry.strain)
            strain[k] += sign * _STRAIN_STEP
            ends.append(np.linalg.norm(strain_matrix(*-strain) @ position, axis=0))
        result[:, 3 + k] = (ends[0] - ends[1]) / (2 * _STRAIN_STEP)
    return result


def pool_heights(stretches: Sequence[Stretch], fits: Sequence[StretchFit]) -> None:
    """Expect of each height what the others of its ring and their scatter tell.

    Mean and variance are those of DerSimonian & Laird (1986), Control. Clin. Trials 7,
    177-188, doi:10.1016/0197-2456(86)90046-2.

    Parameters
    ----------
    stretches : sequence of Stretch
        Changed: prior and precision.
    fits : sequence of StretchFit
        Without priors.
    """
    ring = np.concatenate([s.rings for s in stretches])
    height = np.concatenate([f.heights for f in fits])
    variance = np.maximum(np.concatenate([f.noise.diagonal() for f in fits]), 1e-12)
    prior, precision = np.zeros(len(ring)), np.zeros(len(ring))
    for number in np.unique(ring):
        own = ring == number
        h, w = height[own], 1 / variance[own]
        mean = np.sum(w * h) / w.sum()
        excess = np.sum(w * (h - mean) ** 2) - (len(h) - 1)
        between = excess / max(w.sum() - np.sum(w**2) / w.sum(), 1e-300)
        between = max(between, (_LEAST_TEXTURE * mean) ** 2, 1e-12)
        w = 1 / (variance[own] + between)
        prior[own], precision[own] = np.sum(w * h) / w.sum(), 1 / between
    ends = np.cumsum([len(s.rings) for s in stretches])[:-1]
    for stretch, p, q in zip(
        stretches, np.split(prior, ends), np.split(precision, ends)
    ):
        stretch.prior, stretch.precision = p, q
