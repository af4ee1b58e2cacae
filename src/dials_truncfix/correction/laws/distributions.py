"""The families of distributions that can be fitted, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws import emg, lognormal

Array = NDArray[np.float64]

FAMILIES = ("lognormal", "emg")


@dataclass(frozen=True)
class Distribution:
    """Functions of one three-parameter family; theta has shape (..., 3), x (..., n).

    Attributes
    ----------
    name : str
        Name of the family.
    cdf, log_cdf, pdf : Callable
        (x, theta) -> (..., n).
    cdf_and_gradient : Callable
        (x, theta) -> (..., n) probabilities and (3, ..., n) derivatives.
    mean, variance : Callable
        theta -> (...), ADU and ADU².
    theta_from_working : Callable
        The optimiser's (location, log scale, shape) -> theta.
    working_gradient : Callable
        Derivatives with respect to theta -> those with respect to the
        optimiser's parameters.
    standard_quantile : Callable
        (normal scores, shape) -> quantiles at location 0 and scale 1.
    shape_bounds : tuple of float
        Smallest and largest shape.
    start_shapes : tuple of float
        Shapes tried for a start.
    """

    name: str
    cdf: Callable[[Array, Array], Array]
    log_cdf: Callable[[Array, Array], Array]
    pdf: Callable[[Array, Array], Array]
    cdf_and_gradient: Callable[[Array, Array], tuple[Array, Array]]
    mean: Callable[[Array], Array]
    variance: Callable[[Array], Array]
    theta_from_working: Callable[[Array], Array]
    working_gradient: Callable[[Array, Array], Array]
    standard_quantile: Callable[[Array, float], Array]
    shape_bounds: tuple[float, float]
    start_shapes: tuple[float, ...]


LOGNORMAL = Distribution(
    name=lognormal.NAME,
    cdf=lognormal.cdf,
    log_cdf=lognormal.log_cdf,
    pdf=lognormal.pdf,
    cdf_and_gradient=lognormal.cdf_and_gradient,
    mean=lognormal.mean,
    variance=lognormal.variance,
    theta_from_working=lognormal.theta_from_working,
    working_gradient=lognormal.working_gradient,
    standard_quantile=lognormal.standard_quantile,
    shape_bounds=lognormal.SHAPE_BOUNDS,
    start_shapes=lognormal.START_SHAPES,
)
EMG = Distribution(
    name=emg.NAME,
    cdf=emg.cdf,
    log_cdf=emg.log_cdf,
    pdf=emg.pdf,
    cdf_and_gradient=emg.cdf_and_gradient,
    mean=emg.mean,
    variance=emg.variance,
    theta_from_working=emg.theta_from_working,
    working_gradient=emg.working_gradient,
    standard_quantile=emg.standard_quantile,
    shape_bounds=emg.SHAPE_BOUNDS,
    start_shapes=emg.START_SHAPES,
)


def distribution(family: str) -> Distribution:
    """Return the functions of a family.

    Parameters
    ----------
    family : str
        "lognormal" or "emg"; "paper" is a lognormal that was fitted differently.

    Raises
    ------
    ValueError
        For any other name.
    """
    if family == "emg":
        return EMG
    if family in ("lognormal", "paper"):
        return LOGNORMAL
    raise ValueError(f"unknown family of distributions: {family!r}")
