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

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]

# Profiles are blended at so many azimuths at least.
_AZIMUTHS = 32
# … and at up to so many places along the edge of a tile, this many pixels apart.
_STEPS_OF_TILE = 4
_SMALLEST_STEP = 32
# Rows handled at once.
_ROWS = 128


@dataclass(frozen=True)
class Lattice:
    """
    Division of an image into overlapping cells: how much each says at a place.

    Attributes
    ----------
    cell : ndarray, shape (ny, nx), int16
        Cell that each pixel belongs to.
    place : ndarray, shape (ny, nx), uint16
        Place of each pixel among those at which the cells are blended.
    cells : ndarray, shape (n_places, q), intp
        Cells that contribute to each place.
    weights : ndarray, shape (n_places, q), float64
        How much they contribute: none is negative, and they add up to 1.
    bounds : ndarray, shape (n_cells, 2) or (n_cells, 4), float64
        First and last azimuth of each sector, degrees; first and last + 1 slow and
        fast pixel of each tile; nothing, shape (1, 0), of the whole image.
    """

    cell: npt.NDArray[np.int16]
    place: npt.NDArray[np.uint16]
    cells: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.bounds)


def whole_image(shape: tuple[int, int]) -> Lattice:
    """
    Make the whole image one cell.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).

    Returns
    -------
    Lattice
    """
    return Lattice(
        cell=np.zeros(shape, dtype=np.int16),
        place=np.zeros(shape, dtype=np.uint16),
        cells=np.zeros((1, 1), dtype=np.intp),
        weights=np.ones((1, 1)),
        bounds=np.empty((1, 0)),
    )


def sectors(shape: tuple[int, int], centre: tuple[float, float], count: int) -> Lattice:
    """
    Divide an image into sectors of equal angle around the beam.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    centre : tuple of float
        Where the direct beam meets the detector (slow, fast), pixels.
    count : int
        Number of sectors, at least two.

    Returns
    -------
    Lattice
        Sector 0 begins at the fast axis; azimuths grow towards the slow axis.

    Raises
    ------
    ValueError
        If there are fewer than two sectors.
    """
    if count < 2:
        raise ValueError(f"the number of sectors must be at least 2, not {count}")
    steps = -(-_AZIMUTHS // count)
    n_places = count * steps
    place = azimuth_bins(shape, centre, n_places)
    # in units of sectors, from the middle of the first one
    at = (np.arange(n_places) + 0.5) / steps - 0.5
    low = np.floor(at).astype(np.intp)
    upper = at - low
    first = 360.0 * np.arange(count) / count
    return Lattice(
        cell=(place // steps).astype(np.int16),
        place=place,
        cells=np.stack([low % count, (low + 1) % count], axis=1),
        weights=np.stack([1.0 - upper, upper], axis=1),
        bounds=np.stack([first, first + 360.0 / count], axis=1),
    )


def azimuth_bins(
    shape: tuple[int, int], centre: tuple[float, float], n_bins: int
) -> npt.NDArray[np.uint16]:
    """
    Divide the turn around the beam evenly.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    centre : tuple of float
        (slow, fast), pixels.
    n_bins : int
        Number of bins, at most 65535.

    Returns
    -------
    ndarray, shape (ny, nx), uint16
        Bin of each pixel; azimuths grow from the fast axis towards the slow axis.
    """
    bins = np.empty(shape, dtype=np.uint16)
    fast = (np.arange(shape[1]) + 0.5 - centre[1]).astype(np.float32)
    scale = np.float32(n_bins / (2.0 * np.pi))
    for number, row in enumerate(bins):
        turn = np.arctan2(np.float32(number + 0.5 - centre[0]), fast)
        turn[turn < 0] += np.float32(2.0 * np.pi)
        row[:] = np.minimum(turn * scale, n_bins - 1)
    return bins


def tiles(shape: tuple[int, int], size: int) -> Lattice:
    """
    Divide an image into square tiles.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    size : int
        Edge of a tile, pixels. Tiles are made a little smaller or larger, so that
        all are alike.

    Returns
    -------
    Lattice
        In C order. Half a tile from the border of the image, the outermost tiles
        speak alone.

    Raises
    ------
    ValueError
        If the size is not positive.
    """
    if size < 1:
        raise ValueError(f"the size of tiles must be positive, not {size}")
    steps = min(max(size // _SMALLEST_STEP, 2), _STEPS_OF_TILE)
    axes = [_Axis(length, max(round(length / size), 1), steps) for length in shape]
    slow, fast = axes
    n_slow, n_fast = slow.n_places, fast.n_places
    if n_slow * n_fast > np.iinfo(np.uint16).max or slow.count * fast.count > 2**14:
        raise ValueError(f"tiles of {size} pixels are too many for an image of {shape}")
    # four corners: the lower or upper neighbour along either axis
    cells = slow.cells[:, None, :, None] * fast.count + fast.cells[None, :, None, :]
    weights = slow.weights[:, None, :, None] * fast.weights[None, :, None, :]
    limits = np.concatenate(
        [
            np.repeat(slow.bounds, fast.count, axis=0),
            np.tile(fast.bounds, (slow.count, 1)),
        ],
        axis=1,
    )
    return Lattice(
        cell=slow.cell[:, None] * np.int16(fast.count) + fast.cell[None, :],
        place=slow.place[:, None] * np.uint16(n_fast) + fast.place[None, :],
        cells=cells.reshape(n_slow * n_fast, 4),
        weights=weights.reshape(n_slow * n_fast, 4),
        bounds=limits,
    )


class _Axis:
    """Tiles along one axis of an image."""

    def __init__(self, length: int, count: int, steps: int) -> None:
        edges = np.round(np.linspace(0, length, count + 1)).astype(np.intp)
        pixel = np.arange(length)
        self.count = count
        self.n_places = count * steps
        cell = np.searchsorted(edges, pixel, side="right") - 1
        within = (pixel - edges[cell]) / np.diff(edges)[cell]
        self.cell = cell.astype(np.int16)
        self.place = (cell * steps + within * steps).astype(np.uint16)
        self.bounds = np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float64)
        at = np.clip((np.arange(self.n_places) + 0.5) / steps - 0.5, 0.0, count - 1.0)
        low = np.minimum(at.astype(np.intp), max(count - 2, 0))
        self.cells = np.stack([low, np.minimum(low + 1, count - 1)], axis=1)
        self.weights = np.stack([1.0 - (at - low), at - low], axis=1)


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
