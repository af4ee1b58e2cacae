"""Regions of an image in which the pixels share one distribution.

A region is a part of an annulus: of the whole of it, of one sector or tile, of one of
the areas that a label image tells apart. Such a sector, tile or area is a cell; within
a cell the regions follow each other from the centre outwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.annuli import Annuli


@dataclass(frozen=True)
class RegionTable:
    """
    What is known of each region, ordered by cell and from the centre outwards.

    Attributes
    ----------
    n_pixels : ndarray, shape (n_regions,), int64
        Number of pixels.
    radius : ndarray, shape (n_regions,), float32
        Mean radial coordinate of the pixels; NaN without pixels.
    limits : ndarray, shape (n_regions, 2), float64
        Inner and outer limit in the radial coordinate.
    ring : ndarray, shape (n_regions,), int64
        Annulus of the sweep that the mean radius lies in; of annuli, their number.
    cell : ndarray, shape (n_regions,), int64
        Cell in which the region lies.
    host : ndarray, shape (n_cells,), int64
        Cell to which the pixels of each cell were given: itself, another one where
        it had too few, or -1 where it had none and there is no other.
    """

    n_pixels: npt.NDArray[np.int64]
    radius: npt.NDArray[np.float32]
    limits: npt.NDArray[np.float64]
    ring: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    host: npt.NDArray[np.int64]

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return len(self.n_pixels)

    @property
    def n_cells(self) -> int:
        """Number of cells that the image was divided into."""
        return len(self.host)

    def same_division(self, other: RegionTable) -> bool:
        """Whether the regions of two images of a sweep are the same."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("limits", "cell", "host")
        )

    @property
    def key(self) -> bytes:
        """Equal for images of one sweep that have the same regions."""
        return b"|".join(x.tobytes() for x in (self.limits, self.cell, self.host))


@dataclass(frozen=True)
class Regions:
    """
    Division of an image into regions: every pixel belongs to one or to none.

    Attributes
    ----------
    labels : ndarray, shape (ny, nx), signed integer
        Region of each pixel; ``annuli.OUTSIDE`` where masked.
    table : RegionTable
        The regions.
    shadow : ndarray, shape (n_slow, n_fast), bool, optional
        Tiles that a beam stop shadows; their pixels belong to no region.
    """

    labels: npt.NDArray[np.signedinteger[Any]]
    table: RegionTable
    shadow: npt.NDArray[np.bool_] | None = None

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return self.table.n_regions


def annular_regions(annuli: Annuli) -> Regions:
    """
    Take annuli for regions: the simplest case, with one cell.

    Parameters
    ----------
    annuli : Annuli
        Annuli of an image.

    Returns
    -------
    Regions
        The annuli, in their order; they share the labels.
    """
    return Regions(
        annuli.labels,
        RegionTable(
            n_pixels=annuli.n_pixels,
            radius=annuli.radius,
            limits=np.stack([annuli.edges[:-1], annuli.edges[1:]], axis=1),
            ring=np.arange(annuli.n_rings),
            cell=np.zeros(annuli.n_rings, dtype=np.int64),
            host=np.zeros(1, dtype=np.int64),
        ),
    )
