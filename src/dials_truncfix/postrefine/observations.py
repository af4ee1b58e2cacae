"""Observations of all lattices of a run, sorted by lattice and reflection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.assemble import reciprocal_points
from dials_truncfix.postrefine.lattices import BoolArray, FloatArray, IntArray, Lattices


@dataclass(frozen=True)
class Observations:
    """What was measured of many lattices.

    Attributes
    ----------
    miller_index : ndarray, shape (n, 3), int32
        h, k, l as they were measured.
    group : ndarray, shape (n,), int64
        Row of `unique` that a reflection is equivalent to; it rises within a lattice.
    intensity, variance : ndarray, shape (n,)
        Partial intensities, corrected for everything but scale and partiality, and their
        variances.
    offsets : ndarray, shape (n_lattices + 1,), int64
        Where the observations of each lattice begin.
    setting : ndarray, shape (n_lattices, 3, 3)
        A, reciprocal axes as columns, Å⁻¹.
    s0 : ndarray, shape (n_lattices, 3)
        Beam vectors, Å⁻¹.
    unique : ndarray, shape (n_unique, 3), int64
        Indices in the asymmetric unit.
    d : ndarray, shape (n_unique,)
        Resolution in the mean cell, Å.
    """

    miller_index: npt.NDArray[np.int32]
    group: IntArray
    intensity: FloatArray
    variance: FloatArray
    offsets: IntArray
    setting: FloatArray
    s0: FloatArray
    unique: IntArray
    d: FloatArray

    @property
    def n_lattices(self) -> int:
        """Number of lattices."""
        return len(self.setting)

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self.group)

    @cached_property
    def row(self) -> IntArray:
        """Lattice of each observation."""
        return np.repeat(np.arange(self.n_lattices), np.diff(self.offsets))

    @cached_property
    def runs(self) -> tuple[IntArray, IntArray]:
        """Where the equivalents within a lattice begin, and the run of each observation."""
        first = np.ones(len(self), dtype=bool)
        first[1:] = (np.diff(self.group) != 0) | (np.diff(self.row) != 0)
        return np.flatnonzero(first), np.cumsum(first) - 1

    def blocks(self, n_observations: int) -> Iterator[slice]:
        """Cut the lattices into ranges of about as many observations."""
        first = 0
        while first < self.n_lattices:
            reach = self.offsets[first] + n_observations
            last = int(np.searchsorted(self.offsets, reach, side="left"))
            last = min(max(last, first + 1), self.n_lattices)
            yield slice(first, last)
            first = last

    def lattices(
        self,
        block: slice,
        reference: FloatArray,
        reference_variance: FloatArray,
        used: BoolArray,
    ) -> Lattices:
        """Put the observations of some lattices beside their reference.

        Parameters
        ----------
        block : slice
            Range of lattices.
        reference, reference_variance, used : ndarray, shape (n_in_block,)
            For the observations of these lattices.
        """
        first, last = self.offsets[block.start], self.offsets[block.stop]
        offsets = self.offsets[block.start : block.stop + 1] - first
        s0 = self.s0[block]
        return Lattices(
            q=reciprocal_points(
                self.miller_index[first:last], offsets, self.setting[block], s0
            ),
            intensity=self.intensity[first:last],
            variance=self.variance[first:last],
            # what is not used is multiplied by 0, which NaN would survive
            reference=np.where(used, reference, 0.0),
            reference_variance=np.where(used, reference_variance, 0.0),
            used=used,
            offsets=offsets,
            wavelength=1.0 / np.linalg.norm(s0, axis=1),
        )
