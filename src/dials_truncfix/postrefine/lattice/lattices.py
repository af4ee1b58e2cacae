"""Observations of many lattices, one lattice after the other in the same arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Wedges:
    """Narrow rotations of lattices.

    Attributes
    ----------
    beams : ndarray, shape (2, n_lattices, 3)
        Beams at the beginning and the end, as seen from the lattices in the middle, in the
        frames of the lattices' beams, Å⁻¹.
    rocking_width : ndarray, shape (n_lattices,)
        Standard deviations of rocking curves before refinement, rad.
    """

    beams: FloatArray
    rocking_width: FloatArray

    def select(self, lattices: IntArray) -> Wedges:
        """Take those of some lattices."""
        return Wedges(self.beams[:, lattices], self.rocking_width[lattices])


@dataclass(frozen=True)
class Strains:
    """How the reciprocal lattice points move when the cells change.

    Attributes
    ----------
    slopes : ndarray, shape (n_strains, 3, n)
        E_k q of each observation: the derivative of q with respect to the k-th strain of
        its lattice, Å⁻¹.
    expected : ndarray, shape (n_lattices, n_strains)
        Strains that give the lattices the cell to which they are restrained.
    """

    slopes: FloatArray
    expected: FloatArray

    def select(self, observations: IntArray, lattices: IntArray) -> Strains:
        """Take those of some observations and lattices."""
        return Strains(self.slopes[:, :, observations], self.expected[lattices])


@dataclass(frozen=True)
class Lattices:
    """Observations of lattices beside their reference intensities.

    Attributes
    ----------
    q : ndarray, shape (3, n)
        A_ref h in the frame of the lattice's beam, Å⁻¹.
    intensity, variance : ndarray, shape (n,)
        Observed intensities, and the squares of their standard deviations.
    reference, reference_variance : ndarray, shape (n,)
        Intensities of the full reflections, on any scale, and their variances.
    used : ndarray, shape (n,), bool
        Whether an observation enters the target; the others are only calculated.
    offsets : ndarray, shape (n_lattices + 1,), int64
        The observations of lattice i are offsets[i] to offsets[i + 1].
    wavelength : ndarray, shape (n_lattices,)
        Å.
    wedges : Wedges or None
        For lattices that turn; q is that in the middle of their rotation.
    strains : Strains or None
        For lattices whose cells are refined.

    Raises
    ------
    ValueError
        If a lattice is empty, or something used is not a finite number.
    """

    q: FloatArray
    intensity: FloatArray
    variance: FloatArray
    reference: FloatArray
    reference_variance: FloatArray
    used: BoolArray
    offsets: IntArray
    wavelength: FloatArray
    wedges: Wedges | None = None
    strains: Strains | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be summed or weighted."""
        if np.any(np.diff(self.offsets) < 1):
            empty = int(np.flatnonzero(np.diff(self.offsets) < 1)[0])
            raise ValueError(f"lattice {empty} has no observation")
        if self.offsets[0] != 0 or self.offsets[-1] != self.q.shape[1]:
            raise ValueError(
                f"offsets end at {self.offsets[-1]}, not {self.q.shape[1]}"
            )
        for name in ("intensity", "variance", "reference", "reference_variance"):
            values = getattr(self, name)[self.used]
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name} {values[~np.isfinite(values)][0]}")
        if np.any(self.variance[self.used] <= 0):
            raise ValueError(f"variance {self.variance[self.used].min()}")

    def __len__(self) -> int:
        """Return the number of lattices."""
        return len(self.wavelength)

    @property
    def n_strains(self) -> int:
        """Parameters of the cell of each lattice; 0 where cells are not refined."""
        return 0 if self.strains is None else len(self.strains.slopes)

    @cached_property
    def row(self) -> IntArray:
        """Lattice of each observation."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def q_squared(self) -> FloatArray:
        """1/d² of each observation, Å⁻²."""
        # written out: einsum rounds according to where in memory a number lies
        return np.asarray(self.q[0] ** 2 + self.q[1] ** 2 + self.q[2] ** 2)

    @cached_property
    def n_used(self) -> IntArray:
        """Observations of each lattice that enter the target."""
        return self.sums(self.used.astype(float)).astype(np.int64)

    @cached_property
    def inverse_wavelength(self) -> FloatArray:
        """1/λ of each observation, Å⁻¹."""
        return np.asarray((1.0 / self.wavelength)[self.row])

    @cached_property
    def lever(self) -> FloatArray:
        """|q| cos θ of each observation, over its root mean square in the lattice.

        A mosaic block that is turned by ω about the axis q × s1 moves its points by ω times
        as much through the sphere.
        """
        # what is at right angles to the beam
        squares = self.q[0] ** 2 + self.q[1] ** 2
        mean = self.sums(squares) / np.diff(self.offsets)
        return np.asarray(np.sqrt(squares / mean[self.row]))

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum a quantity of the observations over each lattice.

        Parameters
        ----------
        values : ndarray, shape (..., n)
            One value for each observation.

        Returns
        -------
        ndarray, shape (..., n_lattices)
            Each sum depends on its own lattice alone, to the last digit.
        """
        return np.asarray(np.add.reduceat(values, self.offsets[:-1], axis=-1))

    def select(self, lattices: npt.ArrayLike) -> Lattices:
        """Take some of the lattices.

        Parameters
        ----------
        lattices : array_like
            Positions, rising.
        """
        rows = np.asarray(lattices, dtype=np.int64)
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        kept = np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        kept += np.arange(offsets[-1])
        return Lattices(
            q=self.q[:, kept],
            intensity=self.intensity[kept],
            variance=self.variance[kept],
            reference=self.reference[kept],
            reference_variance=self.reference_variance[kept],
            used=self.used[kept],
            offsets=offsets,
            wavelength=self.wavelength[rows],
            wedges=None if self.wedges is None else self.wedges.select(rows),
            strains=None if self.strains is None else self.strains.select(kept, rows),
        )

    def blocks(self, n_observations: int) -> Iterator[tuple[slice, Lattices]]:
        """Cut into parts that fit the cache of a processor.

        Parameters
        ----------
        n_observations : int
            A part ends with the lattice that reaches this many.

        Yields
        ------
        slice, Lattices
            Which lattices, and these.
        """
        first = 0
        while first < len(self):
            reach = self.offsets[first] + n_observations
            last = int(np.searchsorted(self.offsets, reach, side="left"))
            last = min(max(last, first + 1), len(self))
            yield slice(first, last), self.select(np.arange(first, last))
            first = last


def join(parts: Sequence[Lattices]) -> Lattices:
    """Put lattices one after the other; all or none turn, all or none have strains."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    turning = [part.wedges for part in parts if part.wedges is not None]
    wedges = None
    if turning:
        wedges = Wedges(
            np.concatenate([part.beams for part in turning], axis=1),
            np.concatenate([part.rocking_width for part in turning]),
        )
    each = [part.strains for part in parts if part.strains is not None]
    strains = None
    if each:
        strains = Strains(
            np.concatenate([part.slopes for part in each], axis=2),
            np.concatenate([part.expected for part in each]),
        )
    return Lattices(
        q=np.concatenate([part.q for part in parts], axis=1),
        intensity=np.concatenate([part.intensity for part in parts]),
        variance=np.concatenate([part.variance for part in parts]),
        reference=np.concatenate([part.reference for part in parts]),
        reference_variance=np.concatenate([part.reference_variance for part in parts]),
        used=np.concatenate([part.used for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        wavelength=np.concatenate([part.wavelength for part in parts]),
        wedges=wedges,
        strains=strains,
    )
