"""Ring standards: d-spacings from cell and symmetry, from pyFAI, or as given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from cctbx import crystal, xray
from cctbx.array_family import flex

Array = npt.NDArray[np.float64]

_QUESTION = """
import json, sys
from pyFAI.calibrant import CALIBRANT_FACTORY as known
name = sys.argv[1]
spacings = None
if name in known:
    calibrant = known(name)
    spacings = list(getattr(calibrant, "dspacing", None) or calibrant.dSpacing)
print(json.dumps([sorted(known.keys()), spacings]))
"""
#: Rings closer than this, relative to d, are one ring.
_SAME_RING = 2e-4
#: Rings with a smaller part of the strongest one's intensity are not looked for.
_WEAKEST = 0.005
#: Isotropic displacement, Å²; it only enters the strengths.
_U_ISO = 0.006


@dataclass(frozen=True)
class _Structure:
    """Cell (Å, degrees), space group, and atoms as element and fractional site."""

    cell: tuple[float, float, float, float, float, float]
    space_group: str
    atoms: tuple[tuple[str, tuple[float, float, float]], ...]


def _cubic(a: float, space_group: str, element: str) -> _Structure:
    return _Structure((a, a, a, 90, 90, 90), space_group, ((element, (0.0, 0.0, 0.0)),))


#: Aluminium: Wyckoff, R. W. G. (1963). Crystal Structures, vol. 1; gold: Swanson, H. E.
#: & Tatge, E. (1953). NBS Circular 539, vol. 1; graphite: Nelson, J. B. & Riley, D. P.
#: (1945). Proc. Phys. Soc. 57, 477; silicon: NIST SRM 640. The layers of graphitised
#: carbon are up to 3 % further apart than those of graphite.
_STRUCTURES = {
    "aluminium": _cubic(4.0496, "F m -3 m", "Al"),
    "gold": _cubic(4.0786, "F m -3 m", "Au"),
    "graphite": _Structure(
        (2.4612, 2.4612, 6.7079, 90, 90, 120),
        "P 63/m m c",
        (("C", (0.0, 0.0, 0.25)), ("C", (1 / 3, 2 / 3, 0.25))),
    ),
    "silicon": _cubic(5.4310, "F d -3 m :1", "Si"),
}
_OTHER_NAMES = {
    "al": "aluminium",
    "aluminum": "aluminium",
    "au": "gold",
    "graphitised_carbon": "graphite",
    "graphitized_carbon": "graphite",
    "si": "silicon",
}
BUILT_IN = tuple(_STRUCTURES)


@dataclass(frozen=True)
class Standard:
    """Rings of a substance.

    Attributes
    ----------
    name : str
        What the user called it.
    d : ndarray, shape (n,)
        Spacings, Å, falling.
    strength : ndarray, shape (n,)
        Intensity expected, relative to the strongest; 1 for all where it is not known.
    source : str
        Where the spacings come from.
    """

    name: str
    d: Array
    strength: Array
    source: str


def custom_standard(d_spacings: Sequence[float]) -> Standard:
    """Make a standard of given spacings.

    Parameters
    ----------
    d_spacings : sequence of float
        Å, in any order.

    Raises
    ------
    ValueError
        If there is none, or one is not positive.
    """
    d = np.unique(np.asarray(d_spacings, float))[::-1]
    if not len(d) or not d[-1] > 0:
        raise ValueError(f"d-spacings {list(d_spacings)}: they must be positive")
    return Standard("given spacings", d, np.ones(len(d)), "as given")


def named_standard(name: str, d_min: float) -> Standard:
    """Look up a standard.

    Parameters
    ----------
    name : str
        One of `BUILT_IN`, a chemical symbol of one of them, or a calibrant of pyFAI.
    d_min : float
        Smallest spacing to list, Å.

    Returns
    -------
    Standard

    Raises
    ------
    ValueError
        If nobody knows the name.
    """
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    plain = _OTHER_NAMES.get(plain, plain)
    if plain in _STRUCTURES:
        return _from_structure(plain, _STRUCTURES[plain], d_min)
    return _from_pyfai(name, d_min)


def _from_structure(name: str, structure: _Structure, d_min: float) -> Standard:
    """Powder lines by kinematic electron scattering.

    The strength of a ring is multiplicity × F² × d²: a ring of radius ∝ 1/d shares it
    over its circumference and the rocking curve of a randomly oriented crystal.
    """
    model = xray.structure(
        crystal_symmetry=crystal.symmetry(
            structure.cell, structure.space_group, assert_is_compatible_unit_cell=True
        ),
        scatterers=flex.xray_scatterer(
            [xray.scatterer(e, site=s, u=_U_ISO) for e, s in structure.atoms]
        ),
    )
    model.scattering_type_registry(table="electron")
    # newer cctbx makes no structure factors of an empty set
    if not model.build_miller_set(anomalous_flag=False, d_min=d_min).size():
        return Standard(name, np.zeros(0), np.zeros(0), "no ring so wide")
    squared = (
        model.structure_factors(d_min=d_min, anomalous_flag=False)
        .f_calc()
        .as_intensity_array()
    )
    d = squared.d_spacings().data().as_numpy_array()
    multiplicity = squared.multiplicities().data().as_numpy_array()
    strength = squared.data().as_numpy_array() * multiplicity * d**2
    order = np.argsort(-d)
    d, strength = d[order], strength[order]
    ring = np.concatenate([[0], np.cumsum(np.diff(d) < -_SAME_RING * d[:-1])])
    total = np.bincount(ring, strength)
    mean = np.bincount(ring, strength * d) / np.where(total > 0, total, np.nan)
    keep = total > _WEAKEST * total.max()
    return Standard(
        name,
        mean[keep],
        total[keep] / total.max(),
        f"{structure.space_group}, a = {structure.cell[0]:g} Å"
        + (f", c = {structure.cell[2]:g} Å" if structure.cell[5] != 90 else ""),
    )


def _from_pyfai(name: str, d_min: float) -> Standard:
    known = ", ".join(BUILT_IN)
    if find_spec("pyFAI") is None:
        raise ValueError(
            f"{name} is not among {known}: give the spacings as rings.d_spacings, or "
            "install pyFAI, whose calibrants can be named too"
        )
    names, spacings = _ask_pyfai(name)
    if spacings is None:
        raise ValueError(
            f"{name} is neither among {known} nor a calibrant of pyFAI "
            f"({', '.join(names)}): give the spacings as rings.d_spacings"
        )
    d = np.array(sorted(spacings, reverse=True))
    d = d[d >= d_min]
    return Standard(name, d, np.ones(len(d)), "pyFAI")


def _ask_pyfai(name: str) -> tuple[list[str], list[float] | None]:
    """Names of pyFAI's calibrants, and the spacings of one (Å), None if it has it not.

    In a process of its own: once DIALS is loaded, importing pyFAI can end the program.
    """
    run = subprocess.run(
        [sys.executable, "-c", _QUESTION, name],
        env={**os.environ, "SILX_OPENCL": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise ValueError(
            f"{name} is not among {', '.join(BUILT_IN)}, and pyFAI, which may know it, "
            "does not start: give the spacings as rings.d_spacings"
        )
    names, spacings = json.loads(run.stdout.splitlines()[-1])
    return names, spacings
