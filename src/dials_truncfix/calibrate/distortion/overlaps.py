"""Which images overlap, and where the same features are in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.distortion.distortion_fit import (
    Distortion,
    TilePair,
    fit_distortion,
)
from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.calibrate.pairs.image_checks import (
    check_different,
    check_image,
    check_same_size,
)
from dials_truncfix.calibrate.pairs.registration import register_shift

Array = npt.NDArray[np.float64]

#: Tiles of images shifted by less, as a part of the image, tell next to nothing.
_LEAST_SHIFT = 0.05
#: Tiles that correlate by less found something else, or noise.
_LEAST_COEFFICIENT = 0.15


@dataclass(frozen=True)
class DistortionCalibration:
    """A distortion with the images that told it.

    Attributes
    ----------
    distortion : Distortion
        The field.
    names : tuple of str
        Of the images.
    left_out : tuple of str
        What is wrong with the pairs that were not used.
    """

    distortion: Distortion
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def calibrate_distortion(
    images: Sequence[Array], names: Sequence[str], model: str
) -> DistortionCalibration:
    """Compare all images that overlap and fit a field.

    Parameters
    ----------
    images : sequence of ndarray, shape (slow, fast)
        At least three of one specimen, shifted along both sides.
    names : sequence of str
        Theirs, for messages.
    model : str
        One of `distortion_terms.MODELS`.

    Returns
    -------
    DistortionCalibration

    Raises
    ------
    ValueError
        If something is wrong with an image, or the images do not tell the field.
    """
    for image, name in zip(images, names):
        check_image(image, name)
    check_same_size(images, names)
    check_different(images, names)
    if len(images) < 3:
        raise ValueError(
            f"{len(images)} image{'s were' if len(images) > 1 else ' was'} given: give at "
            "least 3, shifted along both sides"
        )
    pairs, left_out = [], []
    for i, j in combinations(range(len(images)), 2):
        both = f"{names[i]} and {names[j]}"
        try:
            found = register_shift(images[i], images[j], both, model="affine")
        except ValueError as error:
            left_out.append(str(error))
            continue
        shift = found.fitted.transformation.shift / images[0].shape[::-1]
        if np.abs(shift).max() < _LEAST_SHIFT:
            left_out.append(f"{both} are hardly shifted against each other")
            continue
        good = found.coefficients > _LEAST_COEFFICIENT
        pairs.append(
            TilePair((i, j), found.first[good], found.second[good], found.weights[good])
        )
    terms = Terms(model, (images[0].shape[0], images[0].shape[1]))
    return DistortionCalibration(
        fit_distortion(terms, pairs), tuple(names), tuple(left_out)
    )
