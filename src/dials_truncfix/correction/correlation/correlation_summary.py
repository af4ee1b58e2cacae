"""What the correlation of the noise in some images says of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.correlation.noise_correlation import NoiseCorrelation

Array = npt.NDArray[np.float64]

#: Edge of the boxes whose sums are spoken of: about that of a reflection, pixels.
BOX = 13
_FEWEST_IMAGES = 3


@dataclass(frozen=True)
class SweepCorrelation:
    """
    Correlation of the noise of neighbouring pixels, averaged over images.

    Attributes
    ----------
    n_images, n_significant : int
        Images that were measured, and those whose correlation is more than chance.
    lags : ndarray, shape (n_lags, 2), int64
        Distances (slow, fast), pixels.
    correlation, correlation_sd : ndarray, shape (n_lags,), float64
        Correlation of the normal scores, and the standard deviation of this average.
    neighbour, neighbour_sd : float
        Of direct neighbours.
    box_variance : float
        Variance of sums over 13 × 13 pixels over that of independent pixels.
    level : ndarray, shape (n_classes,), float64
        Mean of the pixels of dark to bright parts of the images, ADU.
    by_brightness : ndarray, shape (n_classes,), float64
        Correlation of direct neighbours there.
    """

    n_images: int
    n_significant: int
    lags: npt.NDArray[np.int64]
    correlation: Array
    correlation_sd: Array
    neighbour: float
    neighbour_sd: float
    box_variance: float
    level: Array
    by_brightness: Array

    @property
    def significant(self) -> bool:
        """Whether most images say so."""
        return 2 * self.n_significant > self.n_images


def summarise_correlations(
    images: Sequence[NoiseCorrelation],
) -> SweepCorrelation | None:
    """
    Average the correlations of some images.

    Parameters
    ----------
    images : sequence of NoiseCorrelation
        In the order of the images.

    Returns
    -------
    SweepCorrelation or None
        None without images.
    """
    if not images:
        return None
    lags = images[0].lags
    direct = np.abs(lags).sum(axis=1) == 1
    each = np.array([image.pooled for image in images])
    within = np.array([image.pooled_sd for image in images])
    mean = each.mean(axis=0)
    neighbours = each[:, direct].mean(axis=1)
    if len(images) >= _FEWEST_IMAGES:
        sd = each.std(axis=0, ddof=1) / np.sqrt(len(images))
        neighbour_sd = neighbours.std(ddof=1) / np.sqrt(len(images))
    else:
        sd = np.sqrt((within**2).sum(axis=0)) / len(images)
        neighbour_sd = sd[direct].mean()
    n_classes = len(images[len(images) // 2].level)
    alike = [image for image in images if len(image.level) == n_classes]
    by_class = np.mean([image.by_class for image in alike], axis=0)
    return SweepCorrelation(
        n_images=len(images),
        n_significant=sum(image.significant for image in images),
        lags=lags,
        correlation=mean,
        correlation_sd=sd,
        neighbour=float(neighbours.mean()),
        neighbour_sd=float(neighbour_sd),
        box_variance=box_variance(lags, mean),
        level=np.mean([image.level for image in alike], axis=0),
        by_brightness=by_class[:, direct].mean(axis=1),
    )


def box_variance(
    lags: npt.NDArray[np.int64], correlation: Array, edge: int = BOX
) -> float:
    """
    Variance of sums over square boxes, over that of independent pixels.

    Parameters
    ----------
    lags : ndarray, shape (n_lags, 2)
        One of each pair of opposite lags.
    correlation : ndarray, shape (n_lags,)
        Correlations.
    edge : int
        Edge of the boxes, pixels.

    Returns
    -------
    float
    """
    overlap = np.prod(np.maximum(1.0 - np.abs(lags) / edge, 0.0), axis=1)
    return float(1.0 + 2.0 * overlap @ correlation)
