"""Means and variances of a series of images, by pairs or by laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.flat_checks import (
    ImageLevel,
    check_different,
    same_light,
)
from dials_truncfix.calibrate.gain.flat_pairs import (
    correlation_map,
    difference_image,
    pair_points,
)
from dials_truncfix.calibrate.gain.known import Known
from dials_truncfix.calibrate.gain.photon_transfer import TransferPoints
from dials_truncfix.calibrate.gain.truncated_levels import (
    FEW_ZEROS,
    Level,
    law_points,
    level_correlation,
    measure_level,
    score_covariance,
)
from dials_truncfix.calibrate.recorded_images import RecordedImage

Array = npt.NDArray[np.float64]


def measured_image(
    image: RecordedImage, shift: int, number: int, even: bool
) -> tuple[npt.NDArray[Any], Level]:
    """Read an image; its values above a dark level, and their histograms.

    Parameters
    ----------
    image : RecordedImage
        What to read.
    shift : int
        Dark level, ADU.
    number : int
        For the drift of the dark level.
    even : bool
        Whether it is evenly lit.

    Returns
    -------
    pixels : ndarray, shape (ny, nx)
        ADU.
    level : Level
        See `measure_level`.
    """
    pixels, valid, saturated = image.read()
    above = np.asarray(pixels - shift)
    return above, measure_level(above, valid & ~saturated, number, even)


def series_points(
    images: Sequence[RecordedImage], levels: Sequence[ImageLevel], known: Known
) -> tuple[list[TransferPoints], int, Array | None]:
    """Pair images and measure them; laws take the place of what was cut off.

    Parameters
    ----------
    images : sequence of RecordedImage
        In the order of recording.
    levels : sequence of ImageLevel
        What they are like.
    known : Known
        Of all of them.

    Returns
    -------
    points : list of TransferPoints
        Of each pair, or of each image with zeros that were cut off.
    n_pairs : int
        Pairs whose difference was taken.
    correlation : ndarray or None
        Of pixels with those around them, in the brightest pair of evenly lit images.

    Raises
    ------
    ValueError
        When two images are the same.
    """
    parts: list[TransferPoints] = []
    n_pairs, brightest = 0, -math.inf
    correlation: Array | None = None
    waiting: list[int] = []
    for i, level in enumerate(levels):
        if known.truncated and level.zeros >= FEW_ZEROS:
            above, measured = measured_image(images[i], 0, i, known.options.flat)
            parts.append(law_points(measured, i, level_correlation(above, measured)))
            continue
        partner = _partner(waiting, levels, i, known)
        if partner is None:
            waiting.append(i)
            continue
        waiting.remove(partner)
        first, second = images[partner].read(), images[i].read()
        check_different(levels[partner].name, level.name, first[0], second[0])
        valid = first[1] & second[1] & ~first[2] & ~second[2]
        parts.append(_of_pair(first[0], second[0], valid, i, known))
        n_pairs += 1
        if known.options.flat and level.mean > brightest:
            brightest = level.mean
            difference = difference_image(first[0], second[0], valid)
            correlation = correlation_map(difference, valid)
    return parts, n_pairs, correlation


def _partner(
    waiting: Sequence[int], levels: Sequence[ImageLevel], i: int, known: Known
) -> int | None:
    """Find an earlier image of the same light; of a sweep, the one before."""
    for j in reversed(waiting):
        if known.options.flat and same_light(levels[j], levels[i], known.zero):
            return j
        if not known.options.flat and j == i - 1:
            return j
    return None


def _of_pair(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    number: int,
    known: Known,
) -> TransferPoints:
    found = pair_points(first, second, valid)
    n = len(found.mean)
    covariance = found.covariance
    if not known.options.flat:
        # spots too weak to be left out differ between the images, and vary together
        covariance = np.full(n, math.nan)
        if first.dtype.kind in "iu":
            above = first - known.shift
            measured = measure_level(above, valid, number, even=False)
            correlation = level_correlation(above, measured)
            if correlation is not None:
                share = score_covariance(correlation, found.mean - known.shift)
                covariance = share * found.variance
    points = TransferPoints(
        found.mean,
        found.variance,
        covariance,
        found.n_pixels,
        np.full(n, number, dtype=np.int64),
        np.zeros(n),
        np.zeros(n, dtype=bool),
        np.full(n, not known.options.flat),
    )
    return points.take(found.zeros < FEW_ZEROS) if known.truncated else points
