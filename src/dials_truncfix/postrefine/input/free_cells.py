"""Observations of lattices whose cells are refined."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from dials_truncfix.postrefine.input.observations import LatticeSource, ObservationBlock
from dials_truncfix.postrefine.lattice.assemble import refined_settings
from dials_truncfix.postrefine.lattice.cell import CellFreedom, cells, strained
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.geometry import beam_frames
from dials_truncfix.postrefine.lattice.lattices import (
    BoolArray,
    FloatArray,
    IntArray,
    Lattices,
    Strains,
)
from dials_truncfix.postrefine.lattice.target import N_PARAMETERS


@dataclass(frozen=True)
class FreeCellBlock(ObservationBlock):
    """What was measured of some lattices, and how their cells may change.

    Attributes
    ----------
    freedom : CellFreedom
        Of the crystal form. The settings conform to its symmetry.
    """

    freedom: CellFreedom

    def lattices(
        self, reference: FloatArray, reference_variance: FloatArray, used: BoolArray
    ) -> Lattices:
        """Put the observations beside their reference, with the strains of their cells."""
        lattices = super().lattices(reference, reference_variance, used)
        seen = beam_frames(self.s0).transpose(0, 2, 1) @ self.setting
        tensors = self.freedom.strains(seen).transpose(1, 2, 3, 0)
        slopes = np.empty((self.freedom.n_strains, *lattices.q.shape))
        for moved, tensor in zip(slopes, tensors):
            each = np.ascontiguousarray(tensor)[:, :, lattices.row]
            # written out: the last digit of a matrix product depends on its size
            moved[:] = each[:, 0] * lattices.q[0]
            moved += each[:, 1] * lattices.q[1]
            moved += each[:, 2] * lattices.q[2]
        return replace(lattices, strains=Strains(slopes, self.freedom.median(seen)))

    def refined_settings(self, parameters: FloatArray) -> FloatArray:
        """Strain and rotate the settings of the lattices, shape (n_lattices, 3, 3)."""
        # the tensors turn with the frame, so that strains mean the same in the laboratory
        moved = strained(
            self.setting,
            self.freedom.strains(self.setting),
            parameters[:, N_PARAMETERS:],
        )
        return refined_settings(moved, self.s0, parameters)

    def refined_cells(self, fits: LatticeFits) -> tuple[FloatArray, FloatArray]:
        """Cells after refinement with standard uncertainties, as `refined_cells`."""
        return refined_cells(self.freedom, self.setting, fits)


@dataclass(frozen=True)
class FreeCells:
    """All lattices of a run, with cells that may change.

    Attributes
    ----------
    source : LatticeSource
        What was measured.
    freedom : CellFreedom
        How cells may change.
    """

    source: LatticeSource
    freedom: CellFreedom

    @property
    def offsets(self) -> IntArray:
        """Where the observations of each lattice begin, shape (n_lattices + 1,)."""
        return self.source.offsets

    @property
    def s0(self) -> FloatArray:
        """Beam vectors, shape (n_lattices, 3), Å⁻¹."""
        return self.source.s0

    @property
    def unique(self) -> IntArray:
        """Indices in the asymmetric unit, shape (n_unique, 3)."""
        return self.source.unique

    @property
    def d(self) -> FloatArray:
        """Their resolution in the mean cell, shape (n_unique,), Å."""
        return self.source.d

    @property
    def setting(self) -> FloatArray:
        """A that conforms to the symmetry, shape (n_lattices, 3, 3), Å⁻¹."""
        return self.freedom.conforming(self.source.setting)

    @property
    def n_lattices(self) -> int:
        """Number of lattices."""
        return self.source.n_lattices

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self.source)

    def block(self, lattices: slice) -> FreeCellBlock:
        """Take a range of lattices."""
        block = self.source.block(lattices)
        values = {
            field.name: getattr(block, field.name) for field in fields(ObservationBlock)
        }
        values["setting"] = self.freedom.conforming(block.setting)
        return FreeCellBlock(**values, freedom=self.freedom)

    def refined_cells(self, fits: LatticeFits) -> tuple[FloatArray, FloatArray]:
        """Cells after refinement with standard uncertainties, as `refined_cells`."""
        return refined_cells(self.freedom, self.setting, fits)


def refined_cells(
    freedom: CellFreedom, setting: FloatArray, fits: LatticeFits
) -> tuple[FloatArray, FloatArray]:
    """Cells of lattices after refinement.

    Parameters
    ----------
    freedom : CellFreedom
        Of the crystal form.
    setting : ndarray, shape (n_lattices, 3, 3)
        A before refinement, which conforms to the symmetry, Å⁻¹.
    fits : LatticeFits
        Of these lattices.

    Returns
    -------
    cells, uncertainties : ndarray, shape (n_lattices, 6)
        Å and degrees; NaN for uncertainties where no strain was refined.
    """
    strains = slice(N_PARAMETERS, None)
    values, sd = cells(
        freedom,
        setting,
        fits.parameters[:, strains],
        fits.covariance[:, strains, strains],
    )
    refined = np.any(fits.free[:, strains], axis=1)
    return values, np.where(refined[:, None], sd, np.nan)
