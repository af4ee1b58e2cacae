"""Divisions of an image into sectors or tiles whose profiles blend into each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Profiles are blended at so many azimuths at least.
_AZIMUTHS = 32
# … and at up to so many places along the edge of a tile, this many pixels apart.
_STEPS_OF_TILE = 4
_SMALLEST_STEP = 32


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
