"""Observations of all lattices of a run, sorted by lattice and reflection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.input.columns import Column
from dials_truncfix.postrefine.lattice.assemble import (
    reciprocal_points,
    refined_settings,
)
from dials_truncfix.postrefine.lattice.geometry import wedge_beams
from dials_truncfix.postrefine.lattice.lattices import (
    BoolArray,
    FloatArray,
    IntArray,
    Lattices,
    Wedges,
)


@dataclass(frozen=True)
class ObservationBlock:
    """What was measured of some lattices.

    Attributes
    ----------
    miller_index : ndarray, shape (n, 3), int32
        h, k, l as they were measured.
    group : ndarray, shape (n,), int
        Which unique reflection each is equivalent to; it rises within a lattice.
    intensity, variance : ndarray, shape (n,)
        Partial intensities, corrected for everything but scale and partiality, and their
        variances.
    offsets : ndarray, shape (n_lattices + 1,), int64
        Where the observations of each lattice begin.
    setting : ndarray, shape (n_lattices, 3, 3)
        A, reciprocal axes as columns, Å⁻¹.
    s0 : ndarray, shape (n_lattices, 3)
        Beam vectors, Å⁻¹.
    sweep : ndarray, shape (n_lattices, 4)
        Axes of rotations, of the length of their angles (rad), around the orientations of
        `setting`, and standard deviations of rocking curves (rad); 0 for stills. All
        lattices turn, or none.
    """

    miller_index: npt.NDArray[np.int32]
    group: IntArray
    intensity: FloatArray
    variance: FloatArray
    offsets: IntArray
    setting: FloatArray
    s0: FloatArray
    sweep: FloatArray

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

    def lattices(
        self, reference: FloatArray, reference_variance: FloatArray, used: BoolArray
    ) -> Lattices:
        """Put the observations beside their reference.

        Parameters
        ----------
        reference, reference_variance, used : ndarray, shape (n,)
            For the observations of these lattices.
        """
        return Lattices(
            q=reciprocal_points(self.miller_index, self.offsets, self.setting, self.s0),
            intensity=self.intensity,
            variance=self.variance,
            # what is not used is multiplied by 0, which NaN would survive
            reference=np.where(used, reference, 0.0),
            reference_variance=np.where(used, reference_variance, 0.0),
            used=used,
            offsets=self.offsets,
            wavelength=1.0 / np.linalg.norm(self.s0, axis=1),
            wedges=self._wedges() if self.sweep.any() else None,
        )

    def _wedges(self) -> Wedges:
        return Wedges(wedge_beams(self.s0, self.sweep[:, :3]), self.sweep[:, 3])

    def refined_settings(self, parameters: FloatArray) -> FloatArray:
        """Rotate the settings of the lattices, shape (n_lattices, 3, 3).

        Parameters
        ----------
        parameters : ndarray, shape (n_lattices, n_parameters)
            Refined.
        """
        return refined_settings(self.setting, self.s0, parameters)


class LatticeSource(Protocol):
    """All lattices of a run, of which blocks can be had."""

    @property
    def offsets(self) -> IntArray:
        """Where the observations of each lattice begin, shape (n_lattices + 1,)."""

    @property
    def s0(self) -> FloatArray:
        """Beam vectors, shape (n_lattices, 3), Å⁻¹."""

    @property
    def unique(self) -> IntArray:
        """Indices in the asymmetric unit, shape (n_unique, 3)."""

    @property
    def d(self) -> FloatArray:
        """Their resolution in the mean cell, shape (n_unique,), Å."""

    @property
    def setting(self) -> FloatArray:
        """Reciprocal axes as columns, A, shape (n_lattices, 3, 3), Å⁻¹."""

    @property
    def n_lattices(self) -> int:
        """Number of lattices."""

    def __len__(self) -> int:
        """Return the number of observations."""

    def block(self, lattices: slice) -> ObservationBlock:
        """Take a range of lattices."""


@dataclass(frozen=True)
class Observations(ObservationBlock):
    """What was measured of all lattices of a run.

    Attributes
    ----------
    unique : ndarray, shape (n_unique, 3), int64
        Indices in the asymmetric unit: what `group` counts.
    d : ndarray, shape (n_unique,)
        Resolution in the mean cell, Å.
    """

    unique: IntArray
    d: FloatArray

    def block(self, lattices: slice) -> ObservationBlock:
        """Take a range of lattices."""
        first, last = self.offsets[lattices.start], self.offsets[lattices.stop]
        return ObservationBlock(
            self.miller_index[first:last],
            self.group[first:last],
            self.intensity[first:last],
            self.variance[first:last],
            self.offsets[lattices.start : lattices.stop + 1] - first,
            self.setting[lattices],
            self.s0[lattices],
            self.sweep[lattices],
        )


@dataclass(frozen=True)
class StoredObservations:
    """The same, with everything that is as long as the observations kept in columns.

    Attributes
    ----------
    miller_index, group, intensity, variance : Column
        As in `ObservationBlock`.
    offsets, setting, s0, sweep, unique, d : ndarray
        As in `Observations`.
    """

    miller_index: Column
    group: Column
    intensity: Column
    variance: Column
    offsets: IntArray
    setting: FloatArray
    s0: FloatArray
    sweep: FloatArray
    unique: IntArray
    d: FloatArray

    @property
    def n_lattices(self) -> int:
        """Number of lattices."""
        return len(self.setting)

    def __len__(self) -> int:
        """Return the number of observations."""
        return int(self.offsets[-1])

    def block(self, lattices: slice) -> ObservationBlock:
        """Read a range of lattices."""
        first, last = self.offsets[lattices.start], self.offsets[lattices.stop]
        return ObservationBlock(
            self.miller_index.read(first, last),
            self.group.read(first, last),
            self.intensity.read(first, last),
            self.variance.read(first, last),
            self.offsets[lattices.start : lattices.stop + 1] - first,
            self.setting[lattices],
            self.s0[lattices],
            self.sweep[lattices],
        )

    def whole(self) -> Observations:
        """Read everything into memory."""
        block = self.block(slice(0, self.n_lattices))
        return Observations(**vars(block), unique=self.unique, d=self.d)


def cut(offsets: IntArray, n_observations: int) -> Iterator[slice]:
    """Cut lattices into ranges of about as many observations.

    Parameters
    ----------
    offsets : ndarray, shape (n_lattices + 1,)
        Where the observations of each lattice begin.
    n_observations : int
        A range ends with the lattice that reaches this many.
    """
    first, n_lattices = 0, len(offsets) - 1
    while first < n_lattices:
        reach = offsets[first] + n_observations
        last = int(np.searchsorted(offsets, reach, side="left"))
        last = min(max(last, first + 1), n_lattices)
        yield slice(first, last)
        first = last
