"""What the observations of a block are refined against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import FloatArray
from dials_truncfix.postrefine.merge.merging import Merged, reference_of_others
from dials_truncfix.postrefine.merge.scaling import Scaled


class Reference(Protocol):
    """Full intensities that observations are compared with."""

    def of(self, block: ObservationBlock) -> tuple[FloatArray, FloatArray]:
        """Give each observation a reference and its variance, NaN for none, shape (n,)."""


@dataclass(frozen=True)
class ExternalReference:
    """Intensities of full reflections from elsewhere.

    Attributes
    ----------
    intensity, variance : ndarray, shape (n_unique,)
        One for each unique reflection of the observations; NaN where there is none.
    """

    intensity: FloatArray
    variance: FloatArray

    def of(self, block: ObservationBlock) -> tuple[FloatArray, FloatArray]:
        """Give each observation a reference and its variance, NaN for none, shape (n,)."""
        return self.intensity[block.group], self.variance[block.group]


@dataclass(frozen=True)
class OtherLattices:
    """Means of all lattices but the one that is refined.

    Attributes
    ----------
    merged : Merged
        Means of all lattices.
    own : Scaled
        Full intensities of the lattices of a block, on the scale of `merged`.
    """

    merged: Merged
    own: Scaled

    def of(self, block: ObservationBlock) -> tuple[FloatArray, FloatArray]:
        """Give each observation a reference and its variance, NaN for none, shape (n,)."""
        return reference_of_others(block, self.own, self.merged)
