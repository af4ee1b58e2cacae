"""Recovery of narrow rotations whose truth is known.

Usage: python benchmarks/rotations.py [--crystals N]

Crystals whose orientations are reported wrong by 0.1° turn by a small angle. What they record
of every reflection is summed over many steps of the rotation, so that the truth owes nothing to
the integrals of the program. Each is refined against the true intensities.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from dials.util import tabulate

from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import calculate

# the simulation is that of the tests
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_lattices import ELECTRONS, XRAYS, stills_model  # noqa: E402
from simulated_wedges import wedge_files, wedges  # noqa: E402

AXIS = (0.6, 0.8, 0.0)
SCENARIOS = (
    ("electrons, G, 0.2°", ELECTRONS, Model.GAUSSIAN, 0.2, 1e-3),
    ("electrons, G, 0.5°", ELECTRONS, Model.GAUSSIAN, 0.5, 1e-3),
    ("electrons, G, 2°", ELECTRONS, Model.GAUSSIAN, 2.0, 1e-3),
    ("X-rays, G, 0.3°", XRAYS, Model.GAUSSIAN, 0.3, 1e-3),
    ("X-rays, B, 1°", XRAYS, Model.LORENTZIAN, 1.0, 1e-3),
    ("X-rays, A, 0.5°", XRAYS, Model.SPHERE, 0.5, 2e-3),
)
HEADER = [
    "Scenario",
    "Refl.",
    "p error",
    "|Δθ| median (°)",
    "p90 (°)",
    "z of θ",
    "ΔG (%)",
    "Δrs (%)",
    "CPU (ms)",
]


def measure(
    name: str, wavelength: float, profile: Model, width: float, rs: float, n: int
) -> list[str]:
    """Simulate and refine the crystals of a scenario."""
    model = stills_model(wavelength, 0.1, model=profile, rs=rs)
    made = wedges(model, width, n, AXIS)
    experiments, table = wedge_files(made, model, width, AXIS)
    given = Integrated(Path("a.refl"), Path("a.expt"), table, experiments)
    data = load_data_set([given], InputOptions())
    rows = data.table_row.read(0, len(data.observations))
    full, true_p = (
        np.concatenate([getattr(wedge, key) for wedge in made])[rows]
        for key in ("full", "partiality")
    )
    nothing = np.zeros(len(full))
    block = data.observations.block(slice(0, data.observations.n_lattices))
    lattices = block.lattices(full, nothing, nothing == 0)
    truth = np.array([wedge.parameters for wedge in made])
    p = calculate(lattices, truth, profile).partiality
    begin = time.process_time()
    fits = refine_lattices(lattices, profile, RefinementOptions())
    cpu = time.process_time() - begin
    error = fits.parameters - truth
    angles = np.abs(np.degrees(error[:, 2:4]))
    z = (error / fits.uncertainties())[:, 2:4]
    return [
        name,
        f"{len(full) / n:.0f}",
        f"{np.sqrt(np.mean((p - true_p) ** 2)):.5f}",
        f"{np.median(angles):.5f}",
        f"{np.percentile(angles, 90):.5f}",
        f"{np.nanstd(z):.2f}",
        f"{100 * np.median(np.abs(np.expm1(error[:, 0]))):.2f}",
        f"{100 * np.median(np.abs(np.expm1(error[:, 4]))):.2f}",
        f"{1000 * cpu / n:.2f}",
    ]


def main() -> int:
    """Print a row for each scenario."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crystals", type=int, default=100)
    n = parser.parse_args().crystals
    rows = [measure(*scenario, n) for scenario in SCENARIOS]
    print(tabulate(rows, HEADER, disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
