"""How lattices are refined, as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    N_PARAMETERS,
    THETA_X,
    THETA_Y,
    B,
)

#: Parameters refined in each round of a protocol, the second round from where the first ended.
_PROTOCOLS: dict[str, tuple[tuple[int, ...], ...]] = {
    "scale": ((LOG_G, B),),
    "rs": ((LOG_G, B, THETA_X, THETA_Y),),
    "rs_hybrid": (
        (LOG_G, B, THETA_X, THETA_Y),
        (LOG_G, B, THETA_X, THETA_Y, LOG_RS),
    ),
    "all": ((LOG_G, B, THETA_X, THETA_Y, LOG_RS),),
}
PROTOCOLS = tuple(_PROTOCOLS)
WEIGHTS = ("variance", "unit")


@dataclass(frozen=True)
class Priors:
    """What is known of the parameters of a lattice before its observations.

    Attributes
    ----------
    b_sd : float
        Standard deviation of B around 0, Å²; infinite for no prior.
    theta_sd : float
        That of θx and θy around 0, rad.
    log_rs_sd : float
        That of log rs around the logarithm of its start.
    cell_sd : float
        That of the strain of a cell, where it is refined, around that of the median cell: of
        the relative change of lengths along the directions that the symmetry leaves free.
    """

    b_sd: float = 20.0
    theta_sd: float = math.radians(0.2)
    log_rs_sd: float = 0.7
    cell_sd: float = 0.001

    def __post_init__(self) -> None:
        """Refuse widths that are not positive."""
        for value in (self.b_sd, self.theta_sd, self.log_rs_sd, self.cell_sd):
            if not value > 0:
                raise ValueError(f"width {value} of a prior is not positive")

    def precisions(self, n_strains: int = 0) -> npt.NDArray[np.float64]:
        """Inverse variances in the order of the parameters, shape (5 + n_strains,)."""
        result = np.full(N_PARAMETERS + n_strains, self.cell_sd**-2.0)
        result[LOG_G] = 0.0
        result[B] = self.b_sd**-2.0
        result[[THETA_X, THETA_Y]] = self.theta_sd**-2.0
        result[LOG_RS] = self.log_rs_sd**-2.0
        return result


#: For data that shall speak alone.
NO_PRIORS = Priors(math.inf, math.inf, math.inf, math.inf)


@dataclass(frozen=True)
class RefinementOptions:
    """How a lattice is refined.

    Attributes
    ----------
    protocol : {'scale', 'rs', 'rs_hybrid', 'all'}
        scale: G and B; rs: also the angles; rs_hybrid: then rs with them; all: together. The
        cell, where lattices have strains, is refined with the last of these but for scale.
    weights : {'variance', 'unit'}
        Of the observations: their inverse variances, or 1.
    huber : float
        Residuals beyond so many standard deviations count less; infinite for plain least
        squares.
    priors : Priors
        What is known before.
    max_iterations : int
        Of each round.
    least_information : float
        A parameter whose variance the observations lower by a smaller part than this, as
        compared to its prior, is not refined.
    least_cell_information : float
        The same for strains of the cell. It is larger because a strain that the observations
        hardly tell from a rotation would spoil the rotation.

    References
    ----------
    Huber, P. J. (1964). Ann. Math. Stat. 35, 73-101.
    https://doi.org/10.1214/aoms/1177703732
    """

    protocol: str = "all"
    weights: str = "variance"
    huber: float = 2.0
    priors: Priors = field(default_factory=Priors)
    max_iterations: int = 100
    least_information: float = 0.1
    least_cell_information: float = 0.75

    def __post_init__(self) -> None:
        """Refuse unknown words and impossible numbers."""
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol!r} is none of {PROTOCOLS}")
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights {self.weights!r} are none of {WEIGHTS}")
        if not self.huber > 0:
            raise ValueError(f"huber limit {self.huber} is not positive")
        if self.max_iterations < 1:
            raise ValueError(f"{self.max_iterations} iterations")

    def rounds(self) -> list[npt.NDArray[np.bool_]]:
        """Which parameters are free in each round, each of shape (5,)."""
        result = []
        for free in _PROTOCOLS[self.protocol]:
            mask = np.zeros(N_PARAMETERS, dtype=bool)
            mask[list(free)] = True
            result.append(mask)
        return result
