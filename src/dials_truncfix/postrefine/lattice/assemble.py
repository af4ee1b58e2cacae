"""Reciprocal lattice points of many lattices in the frames of their beams."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.lattice.geometry import beam_frames, total_rotations
from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.lattice.target import THETA_X, THETA_Y


def reciprocal_points(
    miller_index: npt.NDArray[Any],
    offsets: IntArray,
    setting: FloatArray,
    s0: FloatArray,
) -> FloatArray:
    """Calculate q = A h of every observation (equation 2), seen from its beam.

    Parameters
    ----------
    miller_index : ndarray, shape (n, 3)
        h, k, l.
    offsets : ndarray, shape (n_lattices + 1,)
        Where the observations of each lattice begin.
    setting : ndarray, shape (n_lattices, 3, 3)
        A of each lattice, reciprocal axes as columns, Å⁻¹.
    s0 : ndarray, shape (n_lattices, 3)
        Beam vectors, Å⁻¹.

    Returns
    -------
    ndarray, shape (3, n)
        Å⁻¹.
    """
    seen = beam_frames(s0).transpose(0, 2, 1) @ setting
    row = np.repeat(np.arange(len(setting)), np.diff(offsets))
    # written out: the last digit of a matrix product depends on its size and on threads
    return np.stack(
        [
            seen[row, i, 0] * miller_index[:, 0]
            + seen[row, i, 1] * miller_index[:, 1]
            + seen[row, i, 2] * miller_index[:, 2]
            for i in range(3)
        ]
    )


def refined_settings(
    setting: FloatArray, s0: FloatArray, parameters: FloatArray
) -> FloatArray:
    """Rotate the setting matrices of lattices (equation 24).

    Parameters
    ----------
    setting, s0
        As for `reciprocal_points`.
    parameters : ndarray, shape (n_lattices, n_parameters)
        log G, B, θx, θy, log rs. What follows does not turn lattices.

    Returns
    -------
    ndarray, shape (n_lattices, 3, 3)
        In the laboratory frame, Å⁻¹.
    """
    frames = beam_frames(s0)
    turned = total_rotations(parameters[:, THETA_X], parameters[:, THETA_Y])
    return np.asarray(frames @ turned @ frames.transpose(0, 2, 1) @ setting)
