"""The distortion that makes one specimen of all images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.calibrate.distortion_maps import DistortionMaps
from dials_truncfix.calibrate.pairs.robust_fit import RobustFit, robust_fit

Array = npt.NDArray[np.float64]

#: Of singular values of the design with columns of unit length.
_LEAST_SINGULAR = 3e-3
_LEAST_BREADTH = 0.2
#: Points of the grid, along each side, on which a field is judged.
_GRID = 21


@dataclass(frozen=True)
class TilePair:
    """Places of the same features in two images.

    Attributes
    ----------
    images : tuple of int
        Numbers of the images, from 0.
    first, second : ndarray, shape (n, 2)
        (fast, slow), pixels.
    weights : ndarray, shape (n,)
        Relative inverse variances.
    """

    images: tuple[int, int]
    first: Array
    second: Array
    weights: Array


@dataclass(frozen=True)
class Distortion:
    """A field, and how well it is known.

    Attributes
    ----------
    terms : Terms
        The model.
    fit : RobustFit
        Parameters of the terms first, then the shift of each pair (fast, slow).
    plain : RobustFit
        The same without a distortion: shifts alone.
    pairs : tuple of TilePair
        What it was fitted to.
    """

    terms: Terms
    fit: RobustFit
    plain: RobustFit
    pairs: tuple[TilePair, ...]

    @property
    def parameters(self) -> Array:
        """Of the terms, pixels at the corner."""
        return self.fit.parameters[: len(self.terms.names)]

    @property
    def covariance(self) -> Array:
        """Of `parameters`, pixels²."""
        n = len(self.terms.names)
        return self.fit.covariance[:n, :n]

    @property
    def shifts(self) -> Array:
        """Of each pair without the distortion, pixels, shape (m, 2)."""
        return self.fit.parameters[len(self.terms.names) :].reshape(-1, 2)

    def at(self, places: Array) -> Array:
        """Place on the image minus place without distortion, pixels, shape (n, 2)."""
        return np.asarray(self.terms.design(places) @ self.parameters)

    def errors_at(self, places: Array) -> Array:
        """Propagate uncertainties to places: standard ones of `at`, pixels, shape (n, 2)."""
        design = self.terms.design(places)
        variance = np.einsum("nip,pq,niq->ni", design, self.covariance, design)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    @property
    def grid(self) -> Array:
        """Places all over the image, (fast, slow), pixels."""
        slow, fast = self.terms.shape
        x, y = np.meshgrid(np.linspace(0, fast, _GRID), np.linspace(0, slow, _GRID))
        return np.column_stack([x.ravel(), y.ravel()])

    def rmsd(self, fit: RobustFit) -> float:
        """Root mean square residual of the tiles that the fit with the field kept."""
        return float(
            np.sqrt(np.mean(np.sum(fit.residuals[self.fit.kept] ** 2, axis=1)))
        )

    def maps(self) -> DistortionMaps:
        """Offsets of all pixels."""
        slow, fast = self.terms.shape
        x, y = np.meshgrid(np.arange(fast) + 0.5, np.arange(slow) + 0.5)
        rows = [self.at(np.column_stack([one, two])) for one, two in zip(x, y)]
        field = np.array(rows)
        return DistortionMaps(field[..., 0].copy(), field[..., 1].copy())


def fit_distortion(terms: Terms, pairs: Sequence[TilePair]) -> Distortion:
    """Fit a field and the shifts of all pairs.

    A feature at x in the first image is at x' in the second. Without the distortion D
    both are one shift t apart: x' - D(x') = x - D(x) + t, which is linear.

    Parameters
    ----------
    terms : Terms
        The model.
    pairs : sequence of TilePair
        Shifted in two directions at least.

    Returns
    -------
    Distortion

    Raises
    ------
    ValueError
        If the shifts or the tiles do not tell all terms.
    """
    if not pairs:
        raise ValueError("no two images overlap: give images that do, by a half or so")
    means = np.array([np.median(p.second - p.first, axis=0) for p in pairs])
    extent = np.linalg.svd(means, compute_uv=False)
    if len(pairs) < 2 or extent[-1] < _LEAST_BREADTH * extent[0]:
        raise ValueError(
            "the images are shifted along one line, which does not tell how the image is "
            "distorted across: give images shifted along both sides"
        )
    owner = np.concatenate([np.full(len(p.first), k) for k, p in enumerate(pairs)])
    shift = np.zeros((len(owner), 2, 2 * len(pairs)))
    rows = np.arange(len(owner))
    shift[rows, 0, 2 * owner] = shift[rows, 1, 2 * owner + 1] = 1.0
    field = np.concatenate(
        [terms.design(p.second) - terms.design(p.first) for p in pairs]
    )
    moved = np.concatenate([p.second - p.first for p in pairs])
    weights = np.concatenate([p.weights for p in pairs])
    design = np.concatenate([field, shift], axis=2)
    n = design.shape[2]
    if 2 * len(moved) < 2 * n:
        raise ValueError(f"{len(moved)} tiles are too few for {n} unknowns")
    flat = design.reshape(-1, n)
    length = np.linalg.norm(flat, axis=0)
    if length.min() == 0 or _smallest(flat / length) < _LEAST_SINGULAR:
        raise ValueError(
            f"the images do not tell all terms of distortion.model={terms.model}: give "
            "more images, shifted in more directions, or a model of fewer terms"
        )
    start = moved - means[owner]
    return Distortion(
        terms,
        robust_fit(design, moved, weights, start),
        robust_fit(shift, moved, weights, start),
        tuple(pairs),
    )


def _smallest(columns: Array) -> float:
    return float(np.linalg.svd(columns, compute_uv=False)[-1])
