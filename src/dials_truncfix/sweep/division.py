"""Division of the images of a sweep into more than annuli."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.annuli import Annuli
from dials_truncfix.correction.regions.areas import Areas
from dials_truncfix.correction.regions.cells import cells_of_areas
from dials_truncfix.correction.regions.lattice import (
    Lattice,
    sectors,
    tiles,
    whole_image,
)
from dials_truncfix.correction.regions.nodes import Nodes, cell_nodes
from dials_truncfix.correction.regions.partition import Partition
from dials_truncfix.correction.regions.radial_grid import RadialGrid
from dials_truncfix.correction.regions.scattering import Radii
from dials_truncfix.sweep.options import CorrectionOptions

#: Tiles along the longer edge of an image, if their size is not given.
_TILES = 4


@dataclass(frozen=True)
class Division:
    """Cells that the annuli of all images of a sweep are divided into.

    Attributes
    ----------
    partition : Partition
        Makes the regions of an image.
    nodes : Nodes
        Places at which the distributions of all images are tabulated.
    labels : tuple of tuple of int
        Labels that each cell lies in.
    bounds : ndarray, shape (n_cells, 0), (n_cells, 2) or (n_cells, 4), float64
        Where each cell lies, see `correction.cells.Lattice`.
    """

    partition: Partition
    nodes: Nodes
    labels: tuple[tuple[int, ...], ...]
    bounds: npt.NDArray[np.float64]


def divide(
    options: CorrectionOptions,
    areas: Areas,
    annuli: Annuli,
    grid: RadialGrid,
    radius: Radii,
    beam_centre: tuple[float, float],
) -> Division:
    """Divide the annuli of a sweep.

    Parameters
    ----------
    options : CorrectionOptions
        What into.
    areas : Areas
        What is kept apart.
    annuli : Annuli
        Annuli of the pixels in these areas.
    grid : RadialGrid
        Radii at which distributions are interpolated.
    radius : array, shape (slow, fast)
        Radial coordinate.
    beam_centre : tuple of float
        Where the direct beam meets the detector (slow, fast), pixels.

    Returns
    -------
    Division
    """
    slow, fast = radius.shape
    lattice = _lattice(options, (slow, fast), beam_centre)
    cells = cells_of_areas(lattice, areas.area)
    return Division(
        partition=Partition(annuli, cells, radius, options.minimum_pixels),
        nodes=cell_nodes(grid, cells),
        labels=tuple(areas.labels[area] for area in cells.area),
        bounds=lattice.bounds[cells.part],
    )


def _lattice(
    options: CorrectionOptions, shape: tuple[int, int], beam_centre: tuple[float, float]
) -> Lattice:
    if options.shape == "sectors":
        return sectors(shape, beam_centre, options.n_sectors)
    if options.shape == "tiles":
        return tiles(shape, options.tile_size or max(-(-max(shape) // _TILES), 1))
    return whole_image(shape)
