"""Regions from annuli and cells, merged where they hold too few pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.annuli import OUTSIDE, Annuli, edge_to_remove
from dials_truncfix.correction.regions.cells import Cells, numbered
from dials_truncfix.correction.regions.regions import Regions, RegionTable
from dials_truncfix.correction.regions.scattering import Radii

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

# Handled at once, which keeps the memory small.
_ROWS = 64
_MOST_REGIONS = int(np.iinfo(np.int16).max)


@dataclass(frozen=True)
class Pieces:
    """
    Intersections of annuli and cells, of which regions are made.

    Attributes
    ----------
    piece : ndarray, shape (ny, nx), signed integer
        Piece of each pixel; ``OUTSIDE`` where masked.
    cell, ring : ndarray, shape (n_pieces,), intp
        Cell and annulus of each; pieces are in order of both.
    n_pixels : ndarray, shape (n_pieces,), int64
        Number of pixels.
    total : ndarray, shape (n_pieces,), float64
        Sum of the radial coordinate of the pixels.
    """

    piece: npt.NDArray[np.signedinteger[Any]]
    cell: npt.NDArray[np.intp]
    ring: npt.NDArray[np.intp]
    n_pixels: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]


class Partition:
    """
    Division of the images of a sweep into the regions of cells.

    Parameters
    ----------
    annuli : Annuli
        Annuli of the whole image; each is cut up by the cells.
    cells : Cells
        Cells; pixels outside of them belong to no region.
    radius : array, shape (ny, nx), float
        The coordinate the annuli were made with.
    minimum_pixels : int
        Regions with fewer pixels are merged with the next in their cell, and cells
        with fewer with the nearest of their area.

    Raises
    ------
    ValueError
        If there would be more than 32767 regions.
    """

    def __init__(
        self,
        annuli: Annuli,
        cells: Cells,
        radius: Radii,
        minimum_pixels: int = 10_000,
    ) -> None:
        self._edges = annuli.edges
        self._area = cells.area
        self._centre = cells.centre
        self._minimum = minimum_pixels
        self.pieces = _pieces(annuli, cells, radius)

    @cached_property
    def regions(self) -> Regions:
        """Regions of an image of which no further pixel is left out."""
        table, region = self._merge(self.pieces.n_pixels, self.pieces.total)
        return Regions(self._labels(region), table)

    def without(self, radius: Radii, excluded: npt.NDArray[np.intp]) -> Regions:
        """
        Take further pixels of one image, its beam stop for instance, out.

        Parameters
        ----------
        radius : array, shape (ny, nx), float
            The coordinate the annuli were made with.
        excluded : ndarray, shape (n,), intp
            Pixels to take out: ascending indices in C order.

        Returns
        -------
        Regions
            Those of the whole sweep when nothing is to be taken out. Where no pixel
            is left, one region without pixels.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        pieces = self.pieces
        if radius.shape != pieces.piece.shape:
            raise ValueError(
                f"pieces {pieces.piece.shape} and radius {radius.shape} differ in shape"
            )
        piece = pieces.piece.ravel()[excluded]
        index, piece = excluded[piece >= 0], piece[piece >= 0]
        if index.size == 0:
            return self.regions
        n_pieces = len(pieces.cell)
        taken = np.bincount(piece, minlength=n_pieces)
        radii = np.bincount(piece, radius.take(index), n_pieces)
        table, region = self._merge(pieces.n_pixels - taken, pieces.total - radii)
        if table.same_division(self.regions.table):
            labels = self.regions.labels.copy()
        else:
            labels = self._labels(region)
        labels.ravel()[index] = OUTSIDE
        return Regions(labels, table)

    def _labels(self, region: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Region of each pixel, from that of each piece."""
        # the last entry is for the pixels outside
        lookup = np.append(region, np.int16(OUTSIDE))
        return np.asarray(lookup[self.pieces.piece])

    def _merge(
        self, n_pixels: npt.NDArray[np.int64], total: npt.NDArray[np.float64]
    ) -> tuple[RegionTable, npt.NDArray[np.int16]]:
        """Regions for these numbers of pixels, and the region of each piece."""
        pieces = self.pieces
        n_cells = len(self._area)
        of_cell = np.bincount(pieces.cell, n_pixels, n_cells).astype(np.int64)
        host = self._hosts(of_cell)
        region = np.full(len(n_pixels), OUTSIDE, dtype=np.int64)
        counts: list[int] = []
        totals: list[float] = []
        limits: list[tuple[float, float]] = []
        cell: list[int] = []
        for number in np.unique(host[host >= 0]):
            mine = np.flatnonzero(host[pieces.cell] == number)
            first, last, of_ring = _merged_rings(
                pieces.ring[mine], n_pixels[mine], self._minimum
            )
            region[mine] = len(cell) + of_ring[pieces.ring[mine]]
            counts += np.bincount(of_ring[pieces.ring[mine]], n_pixels[mine]).tolist()
            totals += np.bincount(of_ring[pieces.ring[mine]], total[mine]).tolist()
            limits += list(zip(self._edges[first], self._edges[last + 1]))
            cell += [int(number)] * len(first)
        if len(cell) > _MOST_REGIONS:
            raise ValueError(
                f"{len(cell)} regions are more than {_MOST_REGIONS}: give larger ones"
            )
        with np.errstate(invalid="ignore"):
            mean = np.array(totals) / np.array(counts)
        table = RegionTable(
            n_pixels=np.array(counts).astype(np.int64),
            radius=mean.astype(np.float32),
            limits=np.array(limits, dtype=np.float64),
            ring=np.searchsorted(self._edges[1:-1], mean, side="right"),
            cell=np.array(cell, dtype=np.int64),
            host=host,
        )
        return table, region.astype(np.int16)

    def _hosts(self, n_pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give the pixels of small cells to the nearest of their area."""
        host = np.arange(len(n_pixels))
        left = n_pixels.copy()
        open_cells = left < self._minimum
        while open_cells.any():
            # the smallest first, so that few are merged
            small = int(np.flatnonzero(open_cells)[left[open_cells].argmin()])
            near = (self._area == self._area[small]) & (host == np.arange(len(host)))
            near[small] = False
            if not near.any():
                open_cells[small] = False
                if left[small] == 0 and n_pixels.any():
                    host[host == small] = -1
                continue
            others = np.flatnonzero(near)
            away = np.hypot(*(self._centre[others] - self._centre[small]).T)
            into = int(others[away.argmin()])
            host[host == small] = into
            left[into] += left[small]
            open_cells[small] = False
            open_cells[into] = left[into] < self._minimum
        if not n_pixels.any():
            # one region without pixels stands for an image without any
            host[:] = -1
            host[0] = 0
        return host


def _pieces(annuli: Annuli, cells: Cells, radius: Radii) -> Pieces:
    """
    Intersect annuli and cells.

    Parameters
    ----------
    annuli, cells, radius
        As for `Partition`.

    Returns
    -------
    Pieces
        Those that hold pixels.
    """
    piece, present = numbered(cells.cell, annuli.labels, annuli.n_rings)
    n_pieces = len(present)
    n_pixels = np.zeros(n_pieces + 1, dtype=np.int64)
    total = np.zeros(n_pieces + 1)
    for start in range(0, len(piece), _ROWS):
        rows = slice(start, start + _ROWS)
        for of_row, at in zip(piece[rows], radius[rows]):
            index = of_row + 1
            n_pixels += np.bincount(index, minlength=n_pieces + 1)
            total += np.bincount(index, at, n_pieces + 1)
    return Pieces(
        piece=piece,
        cell=present // annuli.n_rings,
        ring=present % annuli.n_rings,
        n_pixels=n_pixels[1:],
        total=total[1:],
    )


def _merged_rings(
    ring: npt.NDArray[np.intp], n_pixels: npt.NDArray[np.int64], minimum: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """
    Merge the annuli of a cell until none is too small.

    Parameters
    ----------
    ring : ndarray, shape (n,), intp
        Annulus of each piece of the cell.
    n_pixels : ndarray, shape (n,), int64
        Pixels of each piece.
    minimum : int
        Fewest pixels of a region, if the cell has as many.

    Returns
    -------
    first, last : ndarray, shape (n_regions,), intp
        First and last annulus of each region that holds pixels.
    region : ndarray, shape (n_rings,), intp
        Region of each annulus.
    """
    count = np.bincount(ring, n_pixels).astype(np.int64)
    edges = np.arange(len(count) + 1)
    merged = count.copy()
    while len(merged) > 1 and merged.min() < minimum:
        edge = edge_to_remove(merged)
        edges = np.delete(edges, edge)
        merged = np.add.reduceat(count, edges[:-1])
    region = np.repeat(np.arange(len(merged)), np.diff(edges))
    some = np.flatnonzero(count) if count.any() else np.arange(len(count))
    ends = np.searchsorted(region[some], np.arange(len(merged) + 1))
    return some[ends[:-1]], some[ends[1:] - 1], region
