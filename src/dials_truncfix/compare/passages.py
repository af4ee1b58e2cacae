"""Which reflection of one list is which of another: settings, indices, passages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: A matrix between two settings of one lattice is integral to this much.
_SETTING_TOLERANCE = 0.1


def setting_change(from_axes: npt.ArrayLike, to_axes: npt.ArrayLike) -> IntArray:
    """Find the matrix that takes indices in one setting of a lattice to another.

    Indexing chooses one of several equivalent settings of a crystal.

    Parameters
    ----------
    from_axes, to_axes : array_like, shape (3, 3)
        A of the crystal in either setting: reciprocal axes as columns, Å⁻¹.

    Returns
    -------
    ndarray of int, shape (3, 3)
        R in h_to = R h_from.

    Raises
    ------
    ValueError
        If the lattices are not the same.
    """
    change = np.linalg.solve(
        np.reshape(to_axes, (3, 3)).astype(float),
        np.reshape(from_axes, (3, 3)).astype(float),
    )
    whole = np.rint(change)
    off = np.abs(change - whole).max()
    if off > _SETTING_TOLERANCE or round(abs(np.linalg.det(whole))) != 1:
        raise ValueError(
            "the lattices differ: the axes of one in terms of those of the other are "
            f"{np.round(change, 2).tolist()}"
        )
    return whole.astype(np.int64)


def nearest_passage(
    indices: IntArray,
    position: FloatArray,
    known_indices: IntArray,
    known_position: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """Find the reflections of the same index that are nearest along the rotation.

    Parameters
    ----------
    indices : ndarray of int, shape (n, 3)
        Miller indices to look up.
    position : ndarray, shape (n,)
        Their positions along the rotation, in any unit.
    known_indices : ndarray of int, shape (m, 3)
        Miller indices to look among.
    known_position : ndarray, shape (m,)
        Their positions, in the same unit.

    Returns
    -------
    row : ndarray of int, shape (n,)
        Row among the known ones; -1 if there is none of that index.
    distance : ndarray, shape (n,)
        Distance along the rotation; infinite if there is none.
    """
    if not len(indices) or not len(known_indices):
        return np.full(len(indices), -1), np.full(len(indices), np.inf)
    span = int(max(np.abs(known_indices).max(), np.abs(indices).max())) + 1

    def key(h: IntArray) -> IntArray:
        h = h.astype(np.int64)
        return np.asarray(
            ((h[:, 0] + span) * 2 * span + h[:, 1] + span) * 2 * span + h[:, 2] + span
        )

    order = np.lexsort((known_position, key(known_indices)))
    sorted_keys = key(known_indices)[order]
    wanted = key(indices)
    first = np.searchsorted(sorted_keys, wanted, side="left")
    last = np.searchsorted(sorted_keys, wanted, side="right")
    best_row = np.full(len(position), -1)
    best_distance = np.full(len(position), np.inf)
    # a reflection crosses the Ewald sphere twice in a turn
    for passage in range(int((last - first).max(initial=0))):
        exists = first + passage < last
        candidate = order[np.minimum(first + passage, len(order) - 1)]
        distance = np.where(
            exists, np.abs(known_position[candidate] - position), np.inf
        )
        nearer = distance < best_distance
        best_row[nearer] = candidate[nearer]
        best_distance[nearer] = distance[nearer]
    return best_row, best_distance
