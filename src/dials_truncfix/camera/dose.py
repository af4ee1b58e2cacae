"""Rates and doses of electrons from the counts of an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.camera.coincidence import LossCurve

FloatArray = npt.NDArray[np.float64]


def dose_rate(
    mean_counts: npt.ArrayLike,
    counts_per_electron: float,
    exposure: float,
    binning: float = 1.0,
    loss: LossCurve | None = None,
) -> FloatArray:
    """Rate of electrons that made an image.

    Parameters
    ----------
    mean_counts : array_like
        Mean of the image, counts per recorded pixel.
    counts_per_electron : float
        Counts that stand for one electron, or for one that was counted, in one exposure
        (the scaling of stored frames).
    exposure : float
        Time, s.
    binning : float
        Edge of a recorded pixel in physical ones; 0.5 in super-resolution.
    loss : LossCurve, optional
        Of a camera that counts: its losses are undone. Needs the whole image at one
        rate, such as a flat beam without a specimen.

    Returns
    -------
    ndarray
        e⁻ per physical pixel and second.

    Raises
    ------
    ValueError
        If a divisor is not positive, or no rate gives so many counts.
    """
    for name, value in (
        ("counts_per_electron", counts_per_electron),
        ("exposure", exposure),
        ("binning", binning),
    ):
        if not value > 0:
            raise ValueError(f"{name} {value} is not positive")
    counted = np.asarray(mean_counts, float)
    counted = counted / (counts_per_electron * exposure * binning**2)
    return np.asarray(counted) if loss is None else loss.true_rate(counted)


def specimen_dose(
    rate: npt.ArrayLike, exposure: float, pixel_spacing: float
) -> FloatArray:
    """Dose on the specimen of an image of it (not of a diffraction pattern).

    Parameters
    ----------
    rate : array_like
        e⁻ per physical pixel and second, see `dose_rate`.
    exposure : float
        Time, s.
    pixel_spacing : float
        Edge of a physical pixel at the specimen, Å.

    Returns
    -------
    ndarray
        e⁻/Å².

    Raises
    ------
    ValueError
        If the pixel has no size.
    """
    if not pixel_spacing > 0:
        raise ValueError(f"pixel_spacing {pixel_spacing} is not positive")
    return np.asarray(np.asarray(rate, float) * exposure / pixel_spacing**2)
