"""Cells of an image, each with a radial profile of its own: sectors, tiles, labels.

Between the centres of sectors and of tiles the profiles pass smoothly into each other.
Areas of a label image do not: their borders are those of something real, such as the
quadrants that a sensor is read out in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.annuli import OUTSIDE
from dials_truncfix.correction.regions.lattice import Lattice

IntArray = npt.NDArray[np.integer[Any]]

# Rows handled at once.
_ROWS = 128


@dataclass(frozen=True)
class Cells:
    """
    Cells of the pixels that can be corrected: those of a lattice, area by area.

    Attributes
    ----------
    cell : ndarray, shape (ny, nx), signed integer
        Cell of each pixel; ``OUTSIDE`` where masked.
    place : ndarray, shape (ny, nx), signed integer
        Place of each pixel; ``OUTSIDE`` where masked.
    cells : ndarray, shape (n_places, q), intp
        Cells that contribute to each place; -1 where the lattice has one that holds
        no pixel of the place's area.
    weights : ndarray, shape (n_places, q), float64
        How much they contribute.
    area : ndarray, shape (n_cells,), intp
        Area that each cell lies in.
    part : ndarray, shape (n_cells,), intp
        Cell of the lattice that it is a part of.
    centre : ndarray, shape (n_cells, 2), float64
        Mean position (slow, fast) of its pixels.
    """

    cell: npt.NDArray[np.signedinteger[Any]]
    place: npt.NDArray[np.signedinteger[Any]]
    cells: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]
    area: npt.NDArray[np.intp]
    part: npt.NDArray[np.intp]
    centre: npt.NDArray[np.float64]

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.area)


def cells_of_areas(lattice: Lattice, areas: IntArray) -> Cells:
    """
    Divide areas with sharp borders by a lattice of cells that blend.

    Parameters
    ----------
    lattice : Lattice
        Cells of the whole image.
    areas : ndarray, shape (ny, nx), integer
        Area of each pixel, from 0; negative where masked.

    Returns
    -------
    Cells
        Of those parts of the cells that hold pixels, by area and in the order of
        the lattice.

    Raises
    ------
    ValueError
        If the shapes differ, or no pixel lies in an area.
    """
    if areas.shape != lattice.cell.shape:
        raise ValueError(
            f"areas {areas.shape} and lattice {lattice.cell.shape} differ in shape"
        )
    if not (areas >= 0).any():
        raise ValueError("no pixel lies in an area")
    n_areas = int(areas.max()) + 1
    n_lattice, n_places = lattice.n_cells, len(lattice.cells)
    cell, present = numbered(areas, lattice.cell, n_lattice)
    place, places = numbered(areas, lattice.place, n_places)
    number = np.full(n_areas * n_lattice, OUTSIDE, dtype=np.intp)
    number[present] = np.arange(len(present))
    area_of_place, at = places // n_places, places % n_places
    contributing = area_of_place[:, None] * n_lattice + lattice.cells[at]
    return Cells(
        cell=cell,
        place=place,
        cells=number[contributing],
        weights=lattice.weights[at],
        area=present // n_lattice,
        part=present % n_lattice,
        centre=_centres(cell, len(present)),
    )


def numbered(
    wholes: IntArray, parts: IntArray, n_parts: int
) -> tuple[npt.NDArray[np.signedinteger[Any]], npt.NDArray[np.intp]]:
    """
    Give numbers to the combinations of whole and part that hold pixels.

    Parameters
    ----------
    wholes : ndarray, shape (ny, nx), integer
        What is divided; negative where masked.
    parts : ndarray, shape (ny, nx), integer
        Part that each pixel lies in, below `n_parts`; negative where masked.
    n_parts : int
        Number of parts.

    Returns
    -------
    number : ndarray, shape (ny, nx), signed integer
        Combination of each pixel; ``OUTSIDE`` where masked. No wider than needed to
        hold one number more.
    present : ndarray, shape (n,), intp
        Each combination as whole × `n_parts` + part, ascending.
    """
    n_codes = max((int(wholes.max()) + 1) * n_parts, 1)
    count = np.zeros(n_codes + 1, dtype=np.int64)
    for _, code in _codes(wholes, parts, n_parts):
        count += np.bincount(code.ravel(), minlength=n_codes + 1)
    present = np.flatnonzero(count[1:])
    number = np.full(n_codes + 1, OUTSIDE, np.min_scalar_type(-len(present) - 1))
    number[1 + present] = np.arange(len(present))
    result = np.empty(wholes.shape, dtype=number.dtype)
    for rows, code in _codes(wholes, parts, n_parts):
        result[rows] = number[code]
    return result, present


def _codes(
    wholes: IntArray, parts: IntArray, n_parts: int
) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
    """
    Combine whole and part, a few rows at a time.

    Parameters
    ----------
    wholes, parts, n_parts
        As for `numbered`.

    Yields
    ------
    rows : slice
        The rows.
    code : ndarray, shape (n_rows, nx), int64
        1 + whole × `n_parts` + part; 0 where masked.
    """
    for start in range(0, len(wholes), _ROWS):
        rows = slice(start, start + _ROWS)
        code = wholes[rows].astype(np.int64) * n_parts + parts[rows] + 1
        code[(wholes[rows] < 0) | (parts[rows] < 0)] = 0
        yield rows, code


def _centres(
    cell: npt.NDArray[np.signedinteger[Any]], n_cells: int
) -> npt.NDArray[np.float64]:
    """
    Mean position of the pixels of each cell.

    Parameters
    ----------
    cell : ndarray, shape (ny, nx), signed integer
        Cell of each pixel; ``OUTSIDE`` where masked.
    n_cells : int
        Number of cells, none of them empty.

    Returns
    -------
    ndarray, shape (n_cells, 2), float64
        (slow, fast), pixels.
    """
    total = np.zeros((n_cells + 1, 3))
    fast = np.arange(cell.shape[1], dtype=np.float64)
    for slow, row in enumerate(cell):
        count = np.bincount(row + 1, minlength=n_cells + 1)
        total[:, 0] += count
        total[:, 1] += slow * count
        total[:, 2] += np.bincount(row + 1, fast, n_cells + 1)
    return np.asarray(total[1:, 1:] / total[1:, :1])
