"""What becomes of a data set, and the reference it may be given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.fits import LatticeFits
from dials_truncfix.postrefine.held_out import HeldOut
from dials_truncfix.postrefine.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.merging import Scaled
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.rejection import Verdict


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
    reference : ndarray, shape (n,)
        What each observation was refined against in the last cycle; NaN for none.
    scaled : Scaled
        Full intensities and their means.
    cycles : list of Cycle
        One for a given reference.
    model : Model
        Partiality.
    held_out : list of HeldOut
        How the models predict observations that they were not fitted to.
    """

    fits: LatticeFits
    verdicts: npt.NDArray[np.object_]
    reference: FloatArray
    scaled: Scaled
    cycles: list[Cycle]
    model: Model
    held_out: list[HeldOut]

    @property
    def accepted(self) -> BoolArray:
        """Lattices accepted, shape (n_lattices,)."""
        return np.asarray(self.verdicts == Verdict.ACCEPTED)
