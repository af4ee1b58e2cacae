"""Ring histograms in, fitted distributions of the unclipped pixel values out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        "lognormal", "emg" or "paper" (a lognormal by the paper's eq. 4).
    status : NDArray[np.str_]
        "fitted", "no_pixels", "one_level", "few_levels" or "overflow".
    theta : NDArray[np.float64]
        (..., 3) parameters of the family; see `lognormal` and `emg`. ADU.
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

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Rings that have a distribution."""
        return np.asarray(self.status == "fitted")

    def __getitem__(self, index: int) -> RingFits:
        """Return the fits of one image of a batch."""
        return RingFits(
            self.rounding,
            *(getattr(self, name)[index] for name in list(self.__annotations__)[1:]),
        )
