"""Ring histograms in, fitted distributions of the unclipped pixel values out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_model import NAME as CAMERA
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_rates import fit_rates
from dials_truncfix.correction.joint_camera.camera_zeros import zero_law
from dials_truncfix.correction.laws.choice import prefers_emg
from dials_truncfix.correction.laws.distributions import FAMILIES, distribution
from dials_truncfix.correction.laws.family_fit import FamilyFit, fit_family
from dials_truncfix.correction.laws.intervals import (
    THRESHOLDS,
    UPPER_FRACTION,
    UPPER_FRACTION_OF_RATES,
    Intervals,
    make_intervals,
)
from dials_truncfix.correction.laws.summaries import (
    mean_nonpositive,
    p_nonpositive,
    reduced_chi_square,
    rmsd,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RingFits:
    """Fitted distributions, one row per ring.

    Every array has the shape of the histograms without their last axis:
    (n_rings,), or (n_images, n_rings) where several images were fitted at once.
    Rings whose `status` is not "fitted" hold NaN in every floating point field.

    Attributes
    ----------
    rounding : str
        "round" or "floor": how the camera made integers.
    family : NDArray[np.str_]
        "lognormal", "emg", "paper" (a lognormal by the paper's eq. 4) or "camera".
    status : NDArray[np.str_]
        "fitted", "no_pixels", "one_level", "few_levels" or "overflow".
    theta : NDArray[np.float64]
        (..., 3) parameters of the family; see `lognormal` and `emg`, ADU. The
        camera's only one is the rate, e⁻; the others are NaN.
    nll : NDArray[np.float64]
        Negative log-likelihood per pixel in the fitted range, nat.
    i_max : NDArray[np.int64]
        Largest value taken into the fit, ADU; -1 where there was no fit.
    converged : NDArray[np.bool_]
        The optimiser met its tolerance.
    n_pixels, n_zero : NDArray[np.int64]
        Pixels in the ring, and pixels recorded as zero.
    p_nonpositive : NDArray[np.float64]
        Fitted probability that a pixel is recorded as zero.
    mean, variance : NDArray[np.float64]
        Moments of the fitted distribution, ADU and ADU².
    mean_nonpositive : NDArray[np.float64]
        Expected true integer of a pixel recorded as zero, ADU (never positive).
    rmsd : NDArray[np.float64]
        Root mean square deviation of observed from fitted counts per grey level
        above the first interval, up to `i_max`.
    chi_square : NDArray[np.float64]
        Pearson's χ² per degree of freedom of the counts up to `i_max`.
    camera : CameraModel or None
        Camera of the rows of family "camera".
    """

    rounding: str
    family: NDArray[np.str_]
    status: NDArray[np.str_]
    theta: NDArray[np.float64]
    nll: NDArray[np.float64]
    i_max: NDArray[np.int64]
    converged: NDArray[np.bool_]
    n_pixels: NDArray[np.int64]
    n_zero: NDArray[np.int64]
    p_nonpositive: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    mean_nonpositive: NDArray[np.float64]
    rmsd: NDArray[np.float64]
    chi_square: NDArray[np.float64]
    camera: CameraModel | None = None

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Rings that have a distribution."""
        return np.asarray(self.status == "fitted")

    @property
    def required_camera(self) -> CameraModel:
        """The camera, where rows of its family need one.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.camera is None:
            raise ValueError("fits of the family 'camera' need a camera")
        return self.camera

    def __getitem__(self, index: int) -> RingFits:
        """Return the fits of one image of a batch."""
        columns = [
            field.name
            for field in fields(self)
            if field.name not in ("rounding", "camera")
        ]
        return replace(self, **{name: getattr(self, name)[index] for name in columns})


def fit_histograms(
    histograms: NDArray[np.integer[Any]],
    family: str = "auto",
    rounding: str = "round",
    ring: NDArray[np.integer[Any]] | None = None,
    camera: CameraModel | None = None,
) -> RingFits:
    """Fit the distribution of the unclipped values of each ring.

    Parameters
    ----------
    histograms : NDArray[np.integer[Any]]
        (n_rings, n_bins) or (n_images, n_rings, n_bins) pixels of each value; the
        last bin holds all larger values. Rings run from the centre outwards.
    family : str
        "lognormal", "emg", "paper", or "auto": what the rings of an image vote for,
        see `choice.prefers_emg`; or "camera": the rate of each ring under `camera`.
    rounding : str
        "round": value k means k - 1/2 <= x < k + 1/2; "floor": k <= x < k + 1.
    ring : NDArray[np.integer[Any]], optional
        (n_rings,) ring that each histogram is a part of, where rings are divided: the
        parts of a ring have one vote.
    camera : CameraModel, optional
        Needed for the family "camera", and of no use for others.

    Returns
    -------
    RingFits
        One row per ring, in the shape of the histograms. Nothing in an image's rows
        depends on the other images.

    Raises
    ------
    ValueError
        For histograms of another shape or type, negative counts, an unknown family
        or rounding, or a camera that is missing or of another rounding.
    """
    flat = _checked(histograms)
    if rounding not in THRESHOLDS:
        raise ValueError(f"rounding must be 'round' or 'floor', not {rounding!r}")
    threshold = THRESHOLDS[rounding]
    n_rings = histograms.shape[-2]
    upper = UPPER_FRACTION_OF_RATES if family == CAMERA else UPPER_FRACTION
    intervals = make_intervals(flat, threshold, upper)
    rows = np.flatnonzero(intervals.status == "fitted")
    chosen = intervals.take(rows)
    columns = _empty_columns(len(flat))
    columns["i_max"][rows] = chosen.i_max
    if family == CAMERA:
        described = _camera_columns(camera, rounding, chosen, flat.shape[1])
        for name, values in described.items():
            columns[name][rows] = values
    else:
        voters = None if ring is None else np.asarray(ring)[rows % n_rings]
        for use, fit in _families(family, chosen, rows // n_rings, voters):
            described = _describe(fit, use, chosen.take(use), threshold)
            for name, values in described.items():
                columns[name][rows[use]] = values
    columns["status"] = intervals.status
    columns["n_pixels"] = flat.sum(axis=-1, dtype=np.int64)
    columns["n_zero"] = flat[:, 0].astype(np.int64)
    shape = histograms.shape[:-1]
    shaped: dict[str, Any] = {
        name: values.reshape(shape + values.shape[1:])
        for name, values in columns.items()
    }
    return RingFits(
        rounding=rounding, **shaped, camera=camera if family == CAMERA else None
    )


def _families(
    family: str,
    intervals: Intervals,
    image: NDArray[np.intp],
    voters: NDArray[np.integer[Any]] | None,
) -> list[tuple[NDArray[np.intp], FamilyFit]]:
    """Return fits of families and the rings that take them."""
    if family != "auto":
        return [(np.arange(len(image)), fit_family(family, intervals, image))]
    fits = [fit_family(name, intervals, image) for name in FAMILIES]
    emg = prefers_emg(fits[0], fits[1], intervals.n_fitted, image, voters)
    return [(np.flatnonzero(~emg), fits[0]), (np.flatnonzero(emg), fits[1])]


def _empty_columns(n: int) -> dict[str, NDArray[Any]]:
    """Return the columns of n rings without a fit."""
    columns: dict[str, NDArray[Any]] = {
        name: np.full(n, np.nan)
        for name in (
            "nll",
            "p_nonpositive",
            "mean",
            "variance",
            "mean_nonpositive",
            "rmsd",
            "chi_square",
        )
    }
    columns["theta"] = np.full((n, 3), np.nan)
    columns["family"] = np.full(n, "", dtype="<U9")
    columns["converged"] = np.zeros(n, dtype=bool)
    columns["i_max"] = np.full(n, -1, dtype=np.int64)
    return columns


def _describe(
    fit: FamilyFit, use: NDArray[np.intp], intervals: Intervals, threshold: float
) -> dict[str, Any]:
    """Return the columns of the chosen rings of one family."""
    functions = distribution(fit.family)
    theta = fit.theta[use]
    below = functions.cdf(intervals.edges, theta)
    return {
        "family": fit.family,
        "theta": theta,
        "nll": fit.nll[use],
        "converged": fit.converged[use],
        "p_nonpositive": p_nonpositive(fit.family, theta, threshold),
        "mean": functions.mean(theta),
        "variance": functions.variance(theta),
        "mean_nonpositive": mean_nonpositive(fit.family, theta, threshold),
        "rmsd": rmsd(below, intervals),
        "chi_square": reduced_chi_square(below, intervals, theta.shape[1]),
    }


def _camera_columns(
    camera: CameraModel | None, rounding: str, intervals: Intervals, n_values: int
) -> dict[str, Any]:
    """Return the columns of rings under a known camera."""
    if camera is None:
        raise ValueError("the family 'camera' needs a camera")
    if camera.rounding != rounding:
        raise ValueError(
            f"a camera with rounding={camera.rounding} does not belong to "
            f"rounding={rounding}"
        )
    fit = fit_rates(camera, intervals, n_values)
    law = zero_law(camera, fit.rate)
    theta = np.full((len(fit.rate), 3), np.nan)
    theta[:, 0] = fit.rate
    return {
        "family": CAMERA,
        "theta": theta,
        "nll": fit.nll,
        "converged": fit.converged,
        "p_nonpositive": np.exp(law.log_p),
        "mean": camera.mean(fit.rate),
        "variance": camera.variance(fit.rate),
        "mean_nonpositive": law.mean,
        "rmsd": rmsd(fit.below, intervals),
        "chi_square": reduced_chi_square(fit.below, intervals, 1),
    }


def _checked(histograms: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the histograms as (n, n_bins), or say what is wrong with them."""
    if histograms.ndim not in (2, 3) or histograms.shape[-1] < 3:
        raise ValueError(
            "histograms must be (n_rings, n_bins >= 3) or (n_images, n_rings, "
            f"n_bins >= 3), not {histograms.shape}"
        )
    if not np.issubdtype(histograms.dtype, np.integer):
        raise ValueError(f"histograms must hold integers, not {histograms.dtype}")
    if histograms.size and histograms.min() < 0:
        raise ValueError(f"histograms hold a negative count: {histograms.min()}")
    return histograms.reshape(-1, histograms.shape[-1])
