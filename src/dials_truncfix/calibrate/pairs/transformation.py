"""Shift, magnification and rotation between two images, fitted to local displacements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pairs.robust_fit import robust_fit

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: What may differ between two images besides the shift.
MODELS = ("translation", "similarity", "affine")
_N_PARAMETERS = {"translation": 2, "similarity": 4, "affine": 6}


@dataclass(frozen=True)
class Transformation:
    """Where a feature of the first image is in the second.

    A feature at x is found at centre + matrix (x - centre) + shift.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        Magnification and rotation, (fast, slow).
    shift : ndarray, shape (2,)
        (fast, slow), pixels.
    centre : ndarray, shape (2,)
        Middle of the images (fast, slow), pixels; the first pixel reaches from 0 to 1.
    """

    matrix: Array
    shift: Array
    centre: Array

    def __call__(self, places: Array) -> Array:
        """Carry places, shape (..., 2), from the first image to the second."""
        return np.asarray(
            self.centre + (places - self.centre) @ self.matrix.T + self.shift
        )

    def averaged(self, step: int, shape: tuple[int, int]) -> Transformation:
        """Say the same of images averaged over squares of pixels.

        Parameters
        ----------
        step : int
            Pixels along the side of a square.
        shape : tuple of int
            Of the averaged images (slow, fast).
        """
        centre = np.array(shape[::-1]) / 2
        # pixels that do not fill a square are lost on one side
        moved = self(step * centre) / step
        return Transformation(self.matrix, moved - centre, centre)

    @property
    def magnification(self) -> float:
        """Root of the ratio of areas, second over first image."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def rotation(self) -> float:
        """Of the second image against the first, fast towards slow, rad."""
        m = self.matrix
        return float(np.arctan2(m[1, 0] - m[0, 1], m[0, 0] + m[1, 1]))

    @property
    def stretch(self) -> float:
        """Ratio of the largest to the smallest magnification."""
        singular = np.linalg.svd(self.matrix, compute_uv=False)
        return float(singular[0] / singular[1])


def similarity(
    magnification: float, rotation: float, shift: npt.ArrayLike, shape: tuple[int, int]
) -> Transformation:
    """Magnify, turn (rad, fast towards slow) and shift (fast, slow) an image."""
    c, s = magnification * np.cos(rotation), magnification * np.sin(rotation)
    return Transformation(
        np.array([[c, -s], [s, c]]),
        np.asarray(shift, float),
        np.array(shape[::-1]) / 2,
    )


@dataclass(frozen=True)
class FittedTransformation:
    """A transformation and how well it is known.

    Attributes
    ----------
    transformation : Transformation
        As fitted.
    covariance : ndarray, shape (6, 6)
        Of shift (fast, slow), then of the matrix's elements by rows; zero for what the
        model fixes.
    residuals : ndarray, shape (n, 2)
        Found minus fitted places of all tiles, pixels.
    kept : ndarray, shape (n,), bool
        Tiles that agree with the rest.
    """

    transformation: Transformation
    covariance: Array
    residuals: Array
    kept: BoolArray

    @property
    def shift_covariance(self) -> Array:
        """Of the shift, pixels², shape (2, 2)."""
        return np.asarray(self.covariance[:2, :2])

    @property
    def rmsd(self) -> float:
        """Of the places of the tiles that were kept, pixels."""
        kept = self.residuals[self.kept]
        return float(np.sqrt(np.mean(np.sum(kept**2, axis=1))))

    @property
    def magnification_error(self) -> float:
        """Standard uncertainty of the magnification."""
        m = self.transformation.matrix
        cofactor = np.array([m[1, 1], -m[1, 0], -m[0, 1], m[0, 0]])
        slope = np.sign(np.linalg.det(m)) * cofactor
        return self._error(slope / (2 * self.transformation.magnification))

    @property
    def rotation_error(self) -> float:
        """Standard uncertainty of the rotation, rad."""
        m = self.transformation.matrix
        y, x = m[1, 0] - m[0, 1], m[0, 0] + m[1, 1]
        return self._error(np.array([-y, -x, x, -y]) / (x * x + y * y))

    def _error(self, slope: Array) -> float:
        return float(np.sqrt(max(float(slope @ self.covariance[2:, 2:] @ slope), 0.0)))


def _design(model: str, offset: Array) -> Array:
    """Derive displacements by parameters, shape (n, 2, parameters)."""
    one, zero = np.ones(len(offset)), np.zeros(len(offset))
    x, y = offset.T
    rows = [[one, zero], [zero, one]]
    if model == "similarity":
        rows = [[one, zero, x, -y], [zero, one, y, x]]
    elif model == "affine":
        rows = [[one, zero, x, y, zero, zero], [zero, one, zero, zero, x, y]]
    return np.moveaxis(np.array(rows), 2, 0)


def _expand(model: str) -> Array:
    """Parameters of a model to shift and elements of the matrix minus unity."""
    expand = np.zeros((6, _N_PARAMETERS[model]))
    expand[0, 0] = expand[1, 1] = 1
    if model == "similarity":
        expand[2, 2] = expand[5, 2] = expand[4, 3] = 1
        expand[3, 3] = -1
    elif model == "affine":
        expand[2:, 2:] = np.eye(4)
    return expand


def fit_transformation(
    first: Array,
    second: Array,
    weights: Array,
    centre: Array,
    model: str,
) -> FittedTransformation:
    """Fit places of tiles by iteratively reweighted least squares.

    Parameters
    ----------
    first, second : ndarray, shape (n, 2)
        Where the tiles are in both images (fast, slow), pixels.
    weights : ndarray, shape (n,)
        Relative inverse variances.
    centre : ndarray, shape (2,)
        Middle of the images, pixels.
    model : str
        One of `MODELS`.

    Returns
    -------
    FittedTransformation

    Raises
    ------
    ValueError
        If there are fewer tiles than the model takes.
    """
    n_parameters = _N_PARAMETERS[model]
    if 2 * len(first) < n_parameters + 4:
        raise ValueError(f"{len(first)} tiles are too few to fit a {model}")
    scale = max(float(np.abs(first - centre).max()), 1.0)
    design = _design(model, (first - centre) / scale)
    moved = second - first
    # a start that half of the tiles cannot spoil
    start = moved - np.median(moved, axis=0)
    fit = robust_fit(design, moved, weights, start)
    expand = _expand(model)
    expand[2:] /= scale
    full = expand @ fit.parameters
    fitted = Transformation(np.eye(2) + full[2:].reshape(2, 2), full[:2], centre)
    return FittedTransformation(
        fitted, expand @ fit.covariance @ expand.T, second - fitted(first), fit.kept
    )
