"""A series of images with known shifts: registered in pairs, and their matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pairs.image_checks import (
    check_different,
    check_image,
    check_same_size,
)
from dials_truncfix.calibrate.pairs.recorded_shifts import MontagePieces, RecordedShifts
from dials_truncfix.calibrate.pairs.registration import Registration, register_shift
from dials_truncfix.calibrate.pairs.shift_matrix import (
    ShiftMatrix,
    fit_shift_matrix,
    refuse_poor_shifts,
)

Array = npt.NDArray[np.float64]

#: Residuals of so large a part of the displacements mean that shifts and images do not
#: belong together.
_UNRELATED = 0.3


@dataclass(frozen=True)
class ShiftCalibration:
    """What a series tells.

    Attributes
    ----------
    what : str
        ``image_shift`` or ``stage``.
    matrix : ShiftMatrix
        The result.
    pairs : tuple of (int, int)
        Numbers of the images that were compared, from 0.
    shifts, displacements : ndarray, shape (n, 2)
        Between them: recorded (x, y), µm; found (fast, slow), pixels.
    errors : ndarray, shape (n, 2)
        Standard uncertainties of the displacements by the scatter of tiles; 0 where
        others measured them.
    coefficients : ndarray, shape (n,)
        Median correlation coefficients of their tiles; 1 where others measured them.
    overlaps : ndarray, shape (n,)
        Parts of the image that overlap.
    recorded : RecordedShifts
        What was said of the images.
    names : tuple of str
        Of the images.
    shape : tuple of int, or None
        Of the images (slow, fast), where there were any.
    """

    what: str
    matrix: ShiftMatrix
    pairs: tuple[tuple[int, int], ...]
    shifts: Array
    displacements: Array
    errors: Array
    coefficients: Array
    overlaps: Array
    recorded: RecordedShifts
    names: tuple[str, ...]
    shape: tuple[int, int] | None


def calibrate_shifts(
    images: Sequence[Array],
    names: Sequence[str],
    recorded: RecordedShifts,
    what: str,
    *,
    to_previous: bool = False,
    largest_shift: float = 1.0,
) -> ShiftCalibration:
    """Measure the displacements of a series of images and fit the matrix.

    Parameters
    ----------
    images : sequence of ndarray, shape (slow, fast)
        At least three.
    names : sequence of str
        Theirs, for messages.
    recorded : RecordedShifts
        One for each image.
    what : str
        ``image_shift`` or ``stage``.
    to_previous : bool
        Compare each image with the one before it instead of with the first.
    largest_shift : float
        As a part of the image's sides.

    Returns
    -------
    ShiftCalibration

    Raises
    ------
    ValueError
        If something is wrong with an image, a pair or the shifts.
    """
    for image, name in zip(images, names):
        check_image(image, name)
    check_same_size(images, names)
    check_different(images, names)
    pairs = [(k - 1 if to_previous else 0, k) for k in range(1, len(images))]
    start, end = np.array(pairs).reshape(-1, 2).T
    shifts = recorded.shifts[end] - recorded.shifts[start]
    minutes = None
    if recorded.minutes is not None:
        minutes = recorded.minutes[end] - recorded.minutes[start]
    # before the work on the images
    refuse_poor_shifts(shifts)
    found = [
        register_shift(
            images[i],
            images[j],
            f"{names[i]} and {names[j]}",
            largest_shift=largest_shift,
        )
        for i, j in pairs
    ]
    displacements = np.array([r.fitted.transformation.shift for r in found])
    covariances = np.array([r.fitted.shift_covariance for r in found])
    matrix = fit_shift_matrix(pairs, shifts, displacements, covariances, minutes)
    _refuse_unrelated(matrix, displacements)
    return ShiftCalibration(
        what=what,
        matrix=matrix,
        pairs=tuple(pairs),
        shifts=shifts,
        displacements=displacements,
        errors=np.sqrt(np.diagonal(covariances, axis1=1, axis2=2)),
        coefficients=np.array([r.coefficient for r in found]),
        overlaps=np.array([_overlap(r, images[0].shape) for r in found]),
        recorded=recorded,
        names=tuple(names),
        shape=(images[0].shape[0], images[0].shape[1]),
    )


def _overlap(found: Registration, shape: tuple[int, ...]) -> float:
    left = 1 - np.abs(found.fitted.transformation.shift) / shape[::-1]
    return float(np.prod(np.maximum(left, 0)))


def calibrate_montage(pieces: MontagePieces, what: str) -> ShiftCalibration:
    """Fit the matrix to where the pieces of a montage came to lie.

    Raises
    ------
    ValueError
        If the shifts are too few, or lie on a line.
    """
    recorded = pieces.recorded
    firsts = [int(np.argmax(pieces.montages == m)) for m in pieces.montages]
    pairs = tuple((first, k) for k, first in enumerate(firsts) if first != k)
    if not pairs:
        raise ValueError("no montage has more than one piece: nothing was shifted")
    start, end = np.array(pairs).T
    shifts = recorded.shifts[end] - recorded.shifts[start]
    displacements = pieces.places[end] - pieces.places[start]
    minutes = None
    if recorded.minutes is not None:
        minutes = recorded.minutes[end] - recorded.minutes[start]
    n = len(pairs)
    none = np.zeros((n, 2, 2))
    matrix = fit_shift_matrix(pairs, shifts, displacements, none, minutes)
    _refuse_unrelated(matrix, displacements)
    return ShiftCalibration(
        what=what,
        matrix=matrix,
        pairs=pairs,
        shifts=shifts,
        displacements=displacements,
        errors=np.zeros((n, 2)),
        coefficients=np.ones(n),
        overlaps=np.zeros(n),
        recorded=recorded,
        names=tuple(f"piece {k + 1}" for k in range(len(firsts))),
        shape=None,
    )


def _refuse_unrelated(matrix: ShiftMatrix, displacements: Array) -> None:
    moved = float(np.median(np.linalg.norm(displacements, axis=1)))
    if matrix.rmsd > _UNRELATED * moved:
        raise ValueError(
            f"the displacements do not follow the shifts: they scatter by "
            f"{matrix.rmsd:.1f} pixels about the best matrix, and are {moved:.1f} pixels "
            "long; check that the shifts belong to these images, in this order"
        )
