"""Squared structure factors: from files, from a model or from Wilson statistics."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import iotbx.pdb
from cctbx import crystal, miller
from cctbx.array_family import flex
from iotbx.reflection_file_reader import any_reflection_file

FloatArray = npt.NDArray[np.float64]

#: mmCIF files hold coordinates or reflections: their contents tell.
_CIF_SUFFIXES = (".cif", ".mmcif")
COORDINATE_SUFFIXES = (".pdb", ".ent", *_CIF_SUFFIXES)
REFLECTION_SUFFIXES = (".mtz",)
#: cctbx's names of tables of scattering factors.
_TABLES = {"electron": "electron", "xray": "n_gaussian"}
#: Scattering of the mean bulk solvent in the units of these (e⁻/Å³, Å⁻²) and its B, Å²: the
#: usual values for X-rays, and for electrons that of as much water.
_SOLVENT_SCALE = {"electron": 0.105, "xray": 0.35}
_SOLVENT_B = 46.0
#: Unique reflections that take a minute and a few gigabytes.
MOST_REFLECTIONS = 10_000_000


def wilson_intensities(
    symmetry: crystal.symmetry, d_min: float, b_iso: float, seed: int
) -> miller.array:
    """Draw intensities of randomly placed atoms.

    Parameters
    ----------
    symmetry : cctbx.crystal.symmetry
        Cell and space group.
    d_min : float
        Resolution limit, Å.
    b_iso : float
        Temperature factor, Å².
    seed : int
        Seed of the draws.

    Returns
    -------
    cctbx.miller.array
        F² of all unique reflections, expectation ε exp(-B/2d²). Acentric ones follow
        an exponential distribution, centric ones χ² with one degree of freedom.

    References
    ----------
    Wilson, A. J. C. (1949). Acta Cryst. 2, 318-321, equations 12 and 13.
    https://doi.org/10.1107/S0365110X49000813

    Raises
    ------
    ValueError
        If there are too many reflections.
    """
    _refuse_too_many(symmetry, d_min)
    unique = symmetry.build_miller_set(anomalous_flag=False, d_min=d_min)
    unique = unique.remove_systematic_absences()
    rng = np.random.default_rng(seed)
    acentric = rng.standard_exponential(unique.size())
    centric = rng.standard_normal(unique.size()) ** 2
    is_centric = unique.centric_flags().data().as_numpy_array()
    epsilon = unique.epsilons().data().as_numpy_array()
    d_star_sq = unique.d_star_sq().data().as_numpy_array()
    mean = epsilon * np.exp(-0.5 * b_iso * d_star_sq)
    intensities = np.where(is_centric, centric, acentric) * mean
    return miller.array(
        unique, flex.double(intensities)
    ).set_observation_type_xray_intensity()


def _refuse_too_many(symmetry: crystal.symmetry, d_min: float) -> None:
    """Refuse more reflections than fit the memory, before they are listed."""
    volume, group = symmetry.unit_cell().volume(), symmetry.space_group()
    n_equivalent = group.build_derived_laue_group().order_p()
    sphere = 4 / 3 * math.pi * volume / d_min**3
    n_unique = sphere / (n_equivalent * group.n_ltr())
    if n_unique > MOST_REFLECTIONS:
        raise ValueError(
            f"a cell of {volume:.3g} Å³ has {n_unique:.2g} reflections up to "
            f"{d_min:g} Å, and {MOST_REFLECTIONS:.0e} at most can be simulated: give a "
            "larger d_min"
        )


def read_intensities(
    path: Path,
    d_min: float,
    label: str | None = None,
    b_extra: float = 0.0,
    scattering: str = "electron",
    solvent: bool = False,
) -> miller.array:
    """Read or compute squared structure factors.

    Parameters
    ----------
    path : pathlib.Path
        MTZ or mmCIF file with amplitudes, intensities or structure factors, or
        coordinates (PDB, mmCIF).
    d_min : float
        Resolution limit, Å.
    label : str, optional
        Column of reflections; the first that will do if not given.
    b_extra : float
        Further temperature factor, Å².
    scattering : {'electron', 'xray'}
        Scattering factors of atoms.
    solvent : bool
        Whether to fill the space between atoms with a bulk solvent of usual density.

    Returns
    -------
    cctbx.miller.array
        F², with the cell and space group of the file.

    Raises
    ------
    ValueError
        If the file is not readable or holds nothing of the kind.

    References
    ----------
    Fokine, A. & Urzhumtsev, A. (2002). Acta Cryst. D58, 1387-1392 (bulk solvent).
    https://doi.org/10.1107/S0907444902010284
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if suffix in REFLECTION_SUFFIXES or _is_reflection_cif(path):
        intensities = _from_reflection_file(path, label)
    elif suffix in COORDINATE_SUFFIXES:
        intensities = _from_coordinates(path, d_min, scattering, solvent)
    else:
        known = ", ".join(REFLECTION_SUFFIXES + COORDINATE_SUFFIXES)
        raise ValueError(f"{path}: expected one of {known}")
    intensities = intensities.resolution_filter(d_min=d_min)
    if intensities.size() == 0:
        raise ValueError(f"{path}: no reflection up to {d_min} Å")
    damping = flex.exp(-0.5 * b_extra * intensities.d_star_sq().data())
    return intensities.customized_copy(data=intensities.data() * damping)


def _is_reflection_cif(path: Path) -> bool:
    if path.suffix.lower() not in _CIF_SUFFIXES:
        return False
    return re.search(rb"^\s*_refln[._]", path.read_bytes(), re.MULTILINE) is not None


def _from_reflection_file(path: Path, label: str | None) -> miller.array:
    try:
        reader = any_reflection_file(str(path))
        arrays = reader.as_miller_arrays() if reader.file_type() is not None else []
    except (RuntimeError, ValueError) as error:
        kind = "mmCIF" if path.suffix.lower() in _CIF_SUFFIXES else "MTZ"
        raise ValueError(f"{path}: damaged, or not an {kind} file ({error})") from None
    if not arrays:
        raise ValueError(f"{path}: not an MTZ file, or one without columns")
    usable = [a for a in arrays if _is_amplitude_or_intensity(a)]
    if label is not None:
        usable = [a for a in usable if label in a.info().labels]
    if not usable:
        labels = ", ".join("/".join(a.info().labels) for a in arrays)
        wanted = f"column {label}" if label else "no amplitudes or intensities"
        raise ValueError(f"{path}: {wanted} not usable among {labels}")
    chosen = usable[0]
    if chosen.unit_cell() is None or chosen.space_group() is None:
        raise ValueError(f"{path}: reflections without a unit cell or space group")
    if chosen.is_complex_array():
        chosen = chosen.amplitudes()
    # Friedel mates are equivalents here, also where the file keeps them apart
    chosen = chosen.as_non_anomalous_array().merge_equivalents().array().map_to_asu()
    data = chosen.data()
    squared = data if chosen.is_xray_intensity_array() else data * data
    # measured intensities may be negative, expected ones cannot
    squared.set_selected(squared < 0, 0.0)
    return miller.array(miller.set(chosen, chosen.indices(), False), squared)


def _is_amplitude_or_intensity(array: Any) -> bool:
    return bool(
        array.is_xray_amplitude_array()
        or array.is_xray_intensity_array()
        or array.is_complex_array()
    )


def _from_coordinates(
    path: Path, d_min: float, scattering: str, solvent: bool
) -> miller.array:
    try:
        coordinates = iotbx.pdb.input(str(path))
        symmetry = coordinates.crystal_symmetry()
        structure = coordinates.xray_structure_simple()
    # iotbx raises whatever its parsers do, libtbx's Sorry among it
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: no usable coordinates ({reason})") from None
    # without a cell iotbx puts the atoms into a box
    if symmetry is None or symmetry.unit_cell() is None:
        raise ValueError(f"{path}: no unit cell")
    if structure.scatterers().size() == 0:
        raise ValueError(f"{path}: no atoms")
    _refuse_too_many(structure, d_min)
    structure.scattering_type_registry(table=_TABLES[scattering], d_min=d_min)
    f_calc = structure.structure_factors(d_min=d_min, anomalous_flag=False).f_calc()
    if solvent:
        f_calc = _with_solvent(f_calc, structure, _SOLVENT_SCALE[scattering])
    return f_calc.as_intensity_array()


def _with_solvent(f_calc: miller.array, structure: Any, scale: float) -> miller.array:
    """Add the structure factors of a flat solvent around the atoms."""
    # slow to load, and needed for this alone
    from mmtbx import masks

    f_mask = masks.manager(miller_array=f_calc, xray_structure=structure)
    f_mask = f_mask.shell_f_masks()[0]
    smear = scale * flex.exp(-0.25 * _SOLVENT_B * f_calc.d_star_sq().data())
    return f_calc.customized_copy(data=f_calc.data() + smear * f_mask.data())


def look_up(intensities: miller.array, indices: flex.miller_index) -> FloatArray:
    """F² of any reflections by symmetry.

    Parameters
    ----------
    intensities : cctbx.miller.array
        F² of unique reflections.
    indices : cctbx.array_family.flex.miller_index
        Reflections, in any part of reciprocal space.

    Returns
    -------
    ndarray, shape (n,)
        F²; 0 for absences and for what the array does not hold.
    """
    unique = intensities.map_to_asu()
    wanted = miller.set(unique, indices, anomalous_flag=False).map_to_asu()
    pairs = miller.match_multi_indices(unique.indices(), wanted.indices()).pairs()
    result = np.zeros(len(indices))
    result[pairs.column(1).as_numpy_array()] = unique.data().as_numpy_array()[
        pairs.column(0).as_numpy_array()
    ]
    return result


def known_intensities(
    intensities: miller.array, indices: flex.miller_index
) -> FloatArray:
    """F² of any reflections by symmetry; NaN for what the array does not hold.

    Parameters
    ----------
    intensities, indices
        As for `look_up`.

    Returns
    -------
    ndarray, shape (n,)
        F².
    """
    present = intensities.customized_copy(data=flex.double(intensities.size(), 1.0))
    known = look_up(present, indices) > 0
    return np.where(known, look_up(intensities, indices), np.nan)
