from __future__ import annotations

import pytest

from dials_truncfix.postrefine.input.stream_symmetry import (
    find_space_group,
    has_symmetry,
)


@pytest.mark.parametrize(
    ("symbol", "lattice"),
    [
        ("C 2 2 21", "orthorhombic C ?"),
        ("C2", "monoclinic C b"),
        ("P 1 1 21", "monoclinic P c"),
        ("P43212", "tetragonal P c"),
        ("P4", "tetragonal P c"),
        ("P6322", "hexagonal P c"),
        ("P321", "hexagonal P c"),
        ("R3:H", "hexagonal H c"),
        ("R32:R", "rhombohedral R ?"),
        ("F23", "cubic F ?"),
        # lattices may have more symmetry than what is in them
        ("P212121", "tetragonal P c"),
        ("P1", "triclinic P ?"),
        ("19", "orthorhombic P *"),
    ],
)
def test_groups_go_with_their_lattices(symbol, lattice):
    assert has_symmetry(find_space_group(symbol), *lattice.split())


@pytest.mark.parametrize(
    ("symbol", "lattice"),
    [
        ("P 2 2 21", "orthorhombic C ?"),
        ("C 2 2 21", "orthorhombic I ?"),
        ("P43212", "orthorhombic P ?"),
        ("P43212", "tetragonal P a"),
        ("C2", "monoclinic C c"),
        ("P21", "triclinic P ?"),
        ("R3:H", "rhombohedral R ?"),
        ("R3:H", "hexagonal P c"),
        ("F23", "tetragonal F c"),
        ("P1", "unknown P ?"),
    ],
)
def test_groups_of_other_lattices_do_not(symbol, lattice):
    assert not has_symmetry(find_space_group(symbol), *lattice.split())


def test_what_is_no_group_is_named():
    with pytest.raises(ValueError, match="Q 2 is not a space group"):
        find_space_group("Q 2")
