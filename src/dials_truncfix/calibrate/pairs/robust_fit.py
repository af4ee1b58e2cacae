"""Linear least squares of places that outlying tiles do not spoil."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Tukey's biweight reaches so many standard deviations.
_REACH = 5.0
_LEAST_SCATTER = 1e-4
#: Wide at first, so that what the model explains is not taken for outliers.
_WIDENINGS = (4.0, 2.0, *[1.0] * 8)


@dataclass(frozen=True)
class RobustFit:
    """A fit to places of tiles.

    Attributes
    ----------
    parameters : ndarray, shape (p,)
        As fitted.
    covariance : ndarray, shape (p, p)
        From the residuals.
    residuals : ndarray, shape (n, 2)
        Found minus fitted, pixels.
    kept : ndarray, shape (n,), bool
        Tiles that agree with the rest.
    """

    parameters: Array
    covariance: Array
    residuals: Array
    kept: BoolArray


def robust_fit(
    design: Array, observed: Array, weights: Array, start: Array
) -> RobustFit:
    """Fit by iteratively reweighted least squares.

    Parameters
    ----------
    design : ndarray, shape (n, 2, p)
        Derivatives of what is observed by the parameters.
    observed : ndarray, shape (n, 2)
        Pixels.
    weights : ndarray, shape (n,)
        Relative inverse variances.
    start : ndarray, shape (n, 2)
        Residuals at the start.

    Returns
    -------
    RobustFit

    References
    ----------
    MacKinnon, J. G. & White, H. (1985). J. Econometrics 29, 305-325,
    doi:10.1016/0304-4076(85)90158-7, equation 12: uncertainties from the residuals.
    """
    weight = weights / weights.mean()
    residual = start
    for widening in _WIDENINGS:
        size = np.linalg.norm(residual, axis=1)
        spread = max(float(np.median(size)) / 1.1774, _LEAST_SCATTER)
        far = size / (widening * _REACH * spread)
        robust = np.where(far < 1, (1 - far**2) ** 2, 0.0)
        total = weight * robust
        inverse = np.linalg.pinv(np.einsum("n,nip,niq->pq", total, design, design))
        right = np.einsum("n,nip,ni->p", total, design, observed)
        parameters = inverse @ right
        residual = observed - design @ parameters
    kept = robust > 0
    leverage = np.einsum("n,nip,pq,niq->n", total, design, inverse, design) / 2
    loose = residual / np.maximum(1 - leverage, 0.1)[:, None]
    score = np.einsum("n,nip,ni->np", total, design, loose)
    # mean derivative of the biweight, along and across a residual
    slope = np.where(kept, (1 - far**2) * (1 - 3 * far**2), 0.0)
    bread = np.linalg.pinv(np.einsum("n,nip,niq->pq", weight * slope, design, design))
    covariance = bread @ (score.T @ score) @ bread
    return RobustFit(parameters, covariance, residual, kept)
