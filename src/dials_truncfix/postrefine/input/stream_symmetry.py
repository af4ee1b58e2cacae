"""Whether a space group can be that of a lattice as CrystFEL describes it."""

from __future__ import annotations

from typing import Any

from cctbx import sgtbx, uctbx

#: Cells with no more symmetry than their lattice has, unique axis c where there is one.
_CELLS = {
    "triclinic": (10.0, 13.0, 17.0, 80.0, 97.0, 107.0),
    "monoclinic": (10.0, 13.0, 17.0, 90.0, 90.0, 107.0),
    "orthorhombic": (10.0, 13.0, 17.0, 90.0, 90.0, 90.0),
    "tetragonal": (10.0, 10.0, 17.0, 90.0, 90.0, 90.0),
    "hexagonal": (10.0, 10.0, 17.0, 90.0, 90.0, 120.0),
    "rhombohedral": (10.0, 10.0, 10.0, 75.0, 75.0, 75.0),
    "cubic": (10.0, 10.0, 10.0, 90.0, 90.0, 90.0),
}
#: CrystFEL's H is a rhombohedral lattice on hexagonal axes, its R one on its own.
_CENTRINGS = {"H": "R", "R": "P"}


def find_space_group(symbol: str) -> Any:
    """Look a space group up.

    Parameters
    ----------
    symbol : str
        Hermann-Mauguin symbol or number.

    Returns
    -------
    cctbx.sgtbx.space_group

    Raises
    ------
    ValueError
        If there is none.
    """
    try:
        return sgtbx.space_group_info(symbol=symbol).group()
    except RuntimeError:
        raise ValueError(f"{symbol} is not a space group") from None


def has_symmetry(
    group: Any, lattice_type: str, centering: str, unique_axis: str
) -> bool:
    """Whether a lattice has the symmetry of a space group, or more.

    Parameters
    ----------
    group : cctbx.sgtbx.space_group
        The space group.
    lattice_type, centering, unique_axis : str
        In the words of CrystFEL: orthorhombic, C, and a, b, c or ``?`` for none.

    Returns
    -------
    bool
        False also for a lattice of an unknown name.
    """
    cell = _CELLS.get(lattice_type)
    if cell is None:
        return False
    turn = {"a": (2, 0, 1), "b": (1, 2, 0)}.get(unique_axis, (0, 1, 2))
    turned = [cell[i] for i in turn] + [cell[3 + i] for i in turn]
    centring = _CENTRINGS.get(centering, centering)
    return bool(
        group.conventional_centring_type_symbol() == centring
        and group.is_compatible_unit_cell(uctbx.unit_cell(tuple(turned)))
    )
