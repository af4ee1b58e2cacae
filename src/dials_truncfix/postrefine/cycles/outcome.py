"""What becomes of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.cycles.finish import Final
from dials_truncfix.postrefine.cycles.held_out import HeldOut
from dials_truncfix.postrefine.cycles.store import ScaledStore
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.merge.merging import Merged
from dials_truncfix.postrefine.merge.rejection import Verdict


@dataclass(frozen=True)
class Cycle:
    """How far a cycle came.

    Attributes
    ----------
    n_accepted : int
        Lattices accepted.
    change : float
        Change of the mean intensities since the cycle before, Σ|ΔI|/Σ|I|.
    mean_cc : float
        Mean correlation of observed and calculated intensities of accepted lattices.
    log_g_shift, b_shift : float
        Means of log G and B (Å²) that were taken out.
    """

    n_accepted: int
    change: float
    mean_cc: float
    log_g_shift: float
    b_shift: float


@dataclass(frozen=True)
class Outcome:
    """A data set after postrefinement.

    Attributes
    ----------
    fits : LatticeFits
        Of every lattice, on the common scale.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        Which are accepted, and why others are not.
    delta_cc_half : ndarray, shape (n_lattices,)
        Change of CC½ when a lattice is left out; NaN where it was not calculated.
    final : Final
        Means, half sets and error model.
    store : ScaledStore
        Full intensities of all observations, with the variances of the error model.
    cycles : list of Cycle
        One for a given reference.
    model : Model
        Partiality.
    held_out : list of HeldOut
        How the models predict observations that they were not fitted to.
    """

    fits: LatticeFits
    verdicts: npt.NDArray[np.object_]
    delta_cc_half: FloatArray
    final: Final
    store: ScaledStore
    cycles: list[Cycle]
    model: Model
    held_out: list[HeldOut]

    @property
    def accepted(self) -> BoolArray:
        """Lattices accepted, shape (n_lattices,)."""
        return np.asarray(self.verdicts == Verdict.ACCEPTED)

    @property
    def merged(self) -> Merged:
        """Means of the accepted lattices."""
        return self.final.sums.merged

    @property
    def halves(self) -> tuple[Merged, Merged]:
        """Those of two half sets of them."""
        return self.final.sums.halves
