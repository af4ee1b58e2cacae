"""Indices of reflections on a camera that distorts.

DIALS indexes without an ellipse. Where spots are close, those far out along its axes come
nearer to a neighbour than to their own place: they stay without an index or take the
neighbour's, and those left are the ones that hardly tell of an ellipse. What is fitted to
them is too small. With the ellipse in the model all of them find their index.
"""

from __future__ import annotations

import numpy as np

from dials_truncfix.calibrate.spots.spot_model import (
    Array,
    Magnification,
    Pose,
    SpotSet,
    scattering_vectors,
)

#: Largest deviation from whole numbers; that of dials.index.
_TOLERANCE = 0.3
#: With fewer reflections a crystal has no orientation of its own.
FEWEST = 12


def index_spots(
    spots: SpotSet, pose: Pose, b_matrix: Array, magnification: Magnification
) -> SpotSet:
    """Give each reflection the nearest index.

    Parameters
    ----------
    spots : SpotSet
        The reflections, with any indices; those of integrated reflections, which were
        predicted, are kept.
    pose : Pose
        Of the crystal.
    b_matrix : ndarray, shape (3, 3)
        B, Å⁻¹.
    magnification : Magnification
        Of the group.

    Returns
    -------
    SpotSet
        The same reflections, with 0, 0, 0 where no index is near.

    Raises
    ------
    ValueError
        If too few have one.
    """
    if spots.integrated:
        return spots
    r = scattering_vectors(spots, spots.centre + pose.shift, magnification.matrix)
    a_matrix = pose.orientation(spots) @ b_matrix
    at_zero = np.einsum("nji,nj->ni", spots.turn, r)
    fractional = at_zero @ np.linalg.inv(a_matrix).T
    index = np.round(fractional)
    index[np.abs(fractional - index).max(axis=1) > _TOLERANCE] = 0.0
    if (n_indexed := int(np.any(index != 0, axis=1).sum())) < FEWEST:
        raise ValueError(
            f"{spots.name}: {n_indexed} reflections are near the lattice that all "
            f"crystals have in common, and {FEWEST} are needed: leave it out"
        )
    return spots.with_index(index)
