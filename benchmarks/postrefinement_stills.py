"""Simulated stills of a crystal of the cell of lysozyme, for the benchmarks of postrefinement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cctbx import crystal, miller
from dials.util import tabulate

from dials_truncfix.compare.equivalents import group_equivalents
from dials_truncfix.postrefine.input.observations import Observations
from dials_truncfix.postrefine.lattice.assemble import reciprocal_points
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import THETA_X, THETA_Y
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills import Still, StillsModel, simulate_stills
from dials_truncfix.simulate.structure_factors import wilson_intensities

SYMMETRY = crystal.symmetry(
    unit_cell=(79.1, 79.1, 38.1, 90, 90, 90), space_group_symbol="P43212"
)
XRAYS, ELECTRONS = 1.3, 0.0251
ANGLES = [THETA_X, THETA_Y]


@dataclass(frozen=True)
class Scenario:
    """Simulated stills, and what they are to be called."""

    name: str
    wavelength: float
    model: Model
    error: float
    rs: float = 7e-4
    mean_intensity: float = 1000.0
    d_min: float = 2.6
    #: Median and 90 % of errors of angles, degrees.
    asked: tuple[str, str] = ("0.0025", "0.006")

    def stills_model(self, n_lattices: int, axis_error: float = 0.0) -> StillsModel:
        """Give the simulation its parameters."""
        return StillsModel(
            axis_error=axis_error,
            n_lattices=n_lattices,
            s0=(0.0, 0.0, -1.0 / self.wavelength),
            model=self.model,
            rs=self.rs,
            orientation_error=math.radians(self.error),
            mean_intensity=self.mean_intensity,
            d_min=self.d_min,
        )


SCENARIOS = (
    Scenario("X-rays, B, 0.05°", XRAYS, Model.LORENTZIAN, 0.05),
    Scenario("X-rays, G, 0.10°", XRAYS, Model.GAUSSIAN, 0.10),
    Scenario("X-rays, B, 0.20°", XRAYS, Model.LORENTZIAN, 0.20),
    # for weak data only that they are accepted
    Scenario(
        "X-rays, weak, 0.10°",
        XRAYS,
        Model.GAUSSIAN,
        0.10,
        mean_intensity=100.0,
        asked=("", ""),
    ),
    Scenario("electrons, G, 0.10°", ELECTRONS, Model.GAUSSIAN, 0.10),
    Scenario(
        "electrons, G, 0.20°, large rs",
        ELECTRONS,
        Model.GAUSSIAN,
        0.20,
        3e-3,
        d_min=4.0,
        asked=("0.0045", "0.011"),
    ),
)


@dataclass(frozen=True)
class Simulated:
    """Stills with the true reference."""

    stills: list[Still]
    lattices: Lattices
    truth: np.ndarray
    reference: miller.array


def simulate(
    scenario: Scenario, n_lattices: int, seed: int = 1, axis_error: float = 0.0
) -> Simulated:
    model = scenario.stills_model(n_lattices, axis_error)
    intensities = wilson_intensities(SYMMETRY, model.d_min, 15.0, seed)
    sphere = all_reflections(intensities, model.d_min, model.mean_intensity)
    stills = list(simulate_stills(sphere, model, seed))
    observations = observed(stills, model)
    full = np.concatenate([still.full for still in stills])
    lattices = Lattices(
        q=reciprocal_points(
            np.concatenate([still.miller_index for still in stills]),
            observations.offsets,
            observations.setting,
            observations.s0,
        ),
        intensity=np.concatenate([still.intensity for still in stills]),
        variance=np.concatenate([still.variance for still in stills]),
        reference=full,
        reference_variance=np.zeros(len(full)),
        used=np.ones(len(full), dtype=bool),
        offsets=observations.offsets,
        wavelength=np.full(len(stills), scenario.wavelength),
    )
    reference = intensities.customized_copy(data=intensities.data() * sphere.scale)
    truth = np.array([still.parameters for still in stills])
    return Simulated(stills, lattices, truth, reference.map_to_asu())


def observed(
    stills: list[Still], model: StillsModel, symmetry: crystal.symmetry = SYMMETRY
) -> Observations:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(still, name) for still in stills])

    sizes = [len(still.intensity) for still in stills]
    hkl = joined("miller_index")
    groups = group_equivalents(hkl.astype(np.int64), symmetry)
    order = np.lexsort((groups.group, np.repeat(np.arange(len(stills)), sizes)))
    return Observations(
        miller_index=hkl[order],
        group=groups.group[order],
        intensity=joined("intensity")[order],
        variance=joined("variance")[order],
        offsets=np.cumsum([0, *sizes]),
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (len(stills), 1)),
        sweep=np.zeros((len(stills), 4)),
        unique=groups.miller_index,
        d=groups.d,
    )


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}")
    print(tabulate(rows, header, disable_numparse=True), flush=True)
