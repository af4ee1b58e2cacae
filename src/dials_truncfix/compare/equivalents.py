"""Symmetry equivalents, as cctbx finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cctbx import crystal, miller
from dxtbx import flumpy

from dials_truncfix.compare.observations import FloatArray, IntArray, flex_indices
from dials_truncfix.compare.shells import shell_of


@dataclass(frozen=True)
class Groups:
    """Which observations are symmetry equivalents.

    Attributes
    ----------
    miller_index : ndarray of int64, shape (n_unique, 3)
        Indices in the asymmetric unit.
    group : ndarray of int64, shape (n,)
        Row of `miller_index` for each observation; -1 for systematic absences.
    d : ndarray, shape (n_unique,)
        Resolution, Å.
    """

    miller_index: IntArray
    group: IntArray
    d: FloatArray

    def sums(self, quantity: FloatArray | npt.NDArray[np.bool_]) -> FloatArray:
        """Sum a quantity of the observations over equivalents, shape (n_unique,)."""
        kept = self.group >= 0
        total = np.bincount(
            self.group[kept], quantity[kept], minlength=len(self.miller_index)
        )
        return total.astype(float)


def asymmetric_indices(
    indices: IntArray, symmetry: crystal.symmetry
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Map indices into the asymmetric unit, Friedel mates to one.

    Parameters
    ----------
    indices : ndarray of int64, shape (n, 3)
        h, k, l.
    symmetry : cctbx.crystal.symmetry
        Cell and space group.

    Returns
    -------
    in_unit : ndarray of int64, shape (n, 3)
        Indices.
    absent : ndarray, shape (n,), bool
        Which of them are systematically absent.
    """
    given = miller.set(symmetry, flex_indices(indices), anomalous_flag=False)
    absent = flumpy.to_numpy(given.sys_absent_flags().data())
    in_unit = flumpy.to_numpy(given.map_to_asu().indices().as_vec3_double())
    return np.rint(in_unit).astype(np.int64), absent


def group_equivalents(indices: IntArray, symmetry: crystal.symmetry) -> Groups:
    """Find the symmetry equivalents, Friedel mates among them.

    Parameters
    ----------
    indices : ndarray of int64, shape (n, 3)
        h, k, l.
    symmetry : cctbx.crystal.symmetry
        Cell and space group.

    Returns
    -------
    Groups
    """
    in_unit, absent = asymmetric_indices(indices, symmetry)
    unique, group = np.unique(in_unit[~absent], axis=0, return_inverse=True)
    groups = np.full(len(indices), -1, dtype=np.int64)
    groups[~absent] = group.ravel()
    reciprocal = np.reshape(symmetry.unit_cell().fractionalization_matrix(), (3, 3))
    d = 1.0 / np.linalg.norm(unique @ reciprocal, axis=1)
    return Groups(unique, groups, d)


def possible_reflections(symmetry: crystal.symmetry, limits: FloatArray) -> IntArray:
    """Count the reflections there could be in each shell, absences left out.

    Parameters
    ----------
    symmetry : cctbx.crystal.symmetry
        Cell and space group.
    limits : ndarray, shape (n_shells + 1,)
        Falling limits, Å.

    Returns
    -------
    ndarray of int64, shape (n_shells,)
    """
    complete = symmetry.build_miller_set(
        anomalous_flag=False, d_max=float(limits[0]), d_min=float(limits[-1])
    ).remove_systematic_absences()
    shells = shell_of(flumpy.to_numpy(complete.d_spacings().data()), limits)
    return np.bincount(shells[shells >= 0], minlength=len(limits) - 1)
