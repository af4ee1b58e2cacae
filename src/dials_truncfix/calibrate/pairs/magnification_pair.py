"""Magnification and rotation of one image against another of the same specimen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pairs.correlation import refuse_chance
from dials_truncfix.calibrate.pairs.image_checks import (
    check_different,
    check_image,
    check_same_size,
    without_defects,
)
from dials_truncfix.calibrate.pairs.registration import Registration, register
from dials_truncfix.calibrate.pairs.similarity_search import search_similarity
from dials_truncfix.calibrate.pairs.transformation import FittedTransformation

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MagnificationPair:
    """What a pair tells.

    Attributes
    ----------
    registration : Registration
        Magnification, rotation and shift.
    affine : FittedTransformation
        The same tiles with a stretch.
    names : tuple of str
        First and second image.
    shape : tuple of int
        (slow, fast).
    """

    registration: Registration
    affine: FittedTransformation
    names: tuple[str, str]
    shape: tuple[int, int]

    @property
    def magnification(self) -> float:
        """Of the second image over that of the first."""
        return self.registration.fitted.transformation.magnification

    @property
    def magnification_error(self) -> float:
        """Its standard uncertainty."""
        return self.registration.fitted.magnification_error

    @property
    def rotation(self) -> float:
        """Of the second image against the first, fast towards slow, rad."""
        return self.registration.fitted.transformation.rotation

    @property
    def rotation_error(self) -> float:
        """Its standard uncertainty, rad."""
        return self.registration.fitted.rotation_error

    @property
    def stretch_significance(self) -> float:
        """How many standard uncertainties the second image is stretched by.

        Of a similarity m11 = m22 and m12 = -m21; the larger of both departures.
        """
        m, covariance = (
            self.affine.transformation.matrix,
            self.affine.covariance[2:, 2:],
        )
        slopes = np.array([[1.0, 0, 0, -1.0], [0, 1.0, 1.0, 0]])
        values = slopes @ m.ravel()
        errors = np.sqrt(np.diagonal(slopes @ covariance @ slopes.T))
        return float(np.abs(values / np.maximum(errors, 1e-12)).max())


def measure_magnification(
    first: Array,
    second: Array,
    names: tuple[str, str],
    *,
    magnification: tuple[float, float] = (1.0, 0.25),
    rotation: tuple[float, float] = (0.0, float(np.radians(15.0))),
    largest_shift: float = 1.0,
) -> MagnificationPair:
    """Compare two images.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Any unit, of one size.
    names : tuple of str
        For messages.
    magnification : tuple of float
        About what it is, and the part by which this may be wrong.
    rotation : tuple of float
        About what it is, and by how much this may be wrong, rad.
    largest_shift : float
        As a part of the image's sides.

    Returns
    -------
    MagnificationPair

    Raises
    ------
    ValueError
        If something is wrong with an image, or they show nothing in common.
    """
    for image, name in zip((first, second), names):
        check_image(image, name)
    check_same_size((first, second), names)
    check_different((first, second), names)
    first, second = without_defects(first), without_defects(second)
    start, peak = search_similarity(
        first, second, magnification, rotation, largest_shift
    )
    both = f"{names[0]} and {names[1]}"
    refuse_chance(peak, both)
    found = register(first, second, start, "similarity", peak, both)
    shape = (first.shape[0], first.shape[1])
    return MagnificationPair(found, found.refitted("affine"), names, shape)
