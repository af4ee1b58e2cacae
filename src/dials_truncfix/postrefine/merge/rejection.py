"""Which lattices are not to be believed, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.lattice.target import LOG_RS, THETA_X, THETA_Y, B

#: Degrees of freedom that a parameter needs.
_FREEDOM_PER_PARAMETER = 2


class Verdict(Enum):
    """Why a lattice is left out; the value is the sentence for people."""

    ACCEPTED = "accepted"
    OTHER_CELL = "cell far from the median of all lattices"
    TOO_FEW = "too few observations with a reference"
    UNDER_DETERMINED = "under-determined: too few reflections in common with others"
    NO_ORIENTATION = "the observations do not carry the orientation"
    NOT_CONVERGED = "no convergence"
    ROTATION = "rotation beyond the limit"
    TEMPERATURE_FACTOR = "B beyond the limit"
    RADIUS = "rs far from where it started"
    CORRELATION = "correlation with the reference too low"
    DELTA_CC_HALF = "lowers CC½ of the others"


@dataclass(frozen=True)
class RejectionLimits:
    """What an acceptable lattice keeps to.

    Attributes
    ----------
    min_observations : int
        Observations with a reference.
    max_theta : float
        Rotation about either axis, rad.
    max_b : float
        Absolute B, Å².
    max_rs_factor : float
        Factor between rs and its start.
    min_cc : float
        Correlation of observed and calculated intensities.
    max_delta_cc_half : float
        Rise of CC½ when the lattice is left out, in standard deviations of the lattices;
        infinite for no such limit.
    """

    min_observations: int = 10
    max_theta: float = math.radians(0.5)
    max_b: float = 60.0
    max_rs_factor: float = 10.0
    min_cc: float = 0.1
    max_delta_cc_half: float = 6.0

    def __post_init__(self) -> None:
        """Refuse limits that would accept nothing, or anything."""
        if self.min_observations < 1:
            raise ValueError(f"min_observations {self.min_observations} is below 1")
        if not (self.max_theta > 0 and self.max_b > 0 and self.max_rs_factor > 1):
            raise ValueError(
                f"limits of {self.max_theta} rad, {self.max_b} Å² and a factor of "
                f"{self.max_rs_factor} for rs accept nothing"
            )
        if not self.max_delta_cc_half > 0:
            raise ValueError(
                f"a limit of {self.max_delta_cc_half} for the change of CC½ accepts nothing"
            )


def judge(
    fits: LatticeFits,
    limits: RejectionLimits,
    wanted: BoolArray,
    freedom: FloatArray | None = None,
) -> npt.NDArray[np.object_]:
    """Judge every lattice.

    Parameters
    ----------
    fits : LatticeFits
        Fits.
    limits : RejectionLimits
        What to keep to.
    wanted : ndarray, shape (5,), bool
        Parameters that the protocol refines.
    freedom : ndarray, shape (n_lattices,), optional
        Degrees of freedom that the observations of a lattice have over the intensities that
        they are compared with, where these are means of the data themselves.

    Returns
    -------
    ndarray of Verdict, shape (n_lattices,)
        The first reason that holds.
    """
    x = fits.parameters
    short = np.zeros(len(fits), dtype=bool)
    if freedom is not None:
        short = lacks_freedom(freedom, wanted)
    with np.errstate(invalid="ignore"):
        reasons = [
            (Verdict.UNDER_DETERMINED, short),
            (Verdict.TOO_FEW, fits.n_obs < limits.min_observations),
            (
                Verdict.NO_ORIENTATION,
                wanted[THETA_X] & np.all(~fits.free[:, [THETA_X, THETA_Y]], axis=1),
            ),
            (Verdict.NOT_CONVERGED, ~fits.converged),
            (
                Verdict.ROTATION,
                np.any(np.abs(x[:, [THETA_X, THETA_Y]]) > limits.max_theta, axis=1),
            ),
            (Verdict.TEMPERATURE_FACTOR, np.abs(x[:, B]) > limits.max_b),
            (
                Verdict.RADIUS,
                np.abs(x[:, LOG_RS] - np.log(fits.rs_start))
                > math.log(limits.max_rs_factor),
            ),
            (Verdict.CORRELATION, ~(fits.cc_after >= limits.min_cc)),
        ]
    result = np.full(len(fits), Verdict.ACCEPTED, dtype=object)
    for verdict, holds in reversed(reasons):
        result[holds] = verdict
    return result


def lacks_freedom(freedom: FloatArray, wanted: BoolArray) -> BoolArray:
    """Whether the observations of lattices are too few for their parameters.

    Parameters
    ----------
    freedom : ndarray, shape (n_lattices,)
        Degrees of freedom of their observations.
    wanted : ndarray, shape (5,), bool
        Parameters to be refined.
    """
    return np.asarray(freedom < _FREEDOM_PER_PARAMETER * np.count_nonzero(wanted))
