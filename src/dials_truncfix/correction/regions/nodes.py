"""Nodes at which the laws of an image are tabulated, and the node of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.cells import Cells, numbered
from dials_truncfix.correction.regions.radial_grid import N_NODES, RadialGrid

# Cells of a table, and what the tables of all nodes may hold together: 2 MB as int16,
# which stay in the cache. 256 cells place the borders between grey levels well enough.
_MOST_CELLS = 4096
_FEWEST_CELLS = 256
_LARGEST_TABLES = 1 << 20


@dataclass(frozen=True)
class Nodes:
    """
    Places of similar radius and surroundings; the pixels of a node share a law.

    Attributes
    ----------
    node : ndarray, shape (ny, nx), unsigned integer
        Node of each pixel; any number where masked.
    radius : ndarray, shape (n_nodes,), float64
        Radial coordinate.
    cells : ndarray, shape (n_nodes, q), intp
        Cells whose radial profiles are blended; -1 for none.
    weights : ndarray, shape (n_nodes, q), float64
        How much each contributes; they add up to 1 where no cell is missing.
    """

    node: npt.NDArray[np.unsignedinteger[Any]]
    radius: npt.NDArray[np.float64]
    cells: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]

    @property
    def n_table(self) -> int:
        """Cells of a quantile table: the more, the fewer the nodes; a power of two."""
        most = max(_LARGEST_TABLES // len(self.radius), _FEWEST_CELLS)
        return min(1 << (most.bit_length() - 1), _MOST_CELLS)


def radial_nodes(grid: RadialGrid) -> Nodes:
    """
    Take the radii of a grid for nodes, where there is one cell.

    Parameters
    ----------
    grid : RadialGrid
        Grid of the sweep.

    Returns
    -------
    Nodes
    """
    n_nodes = len(grid.radius)
    return Nodes(
        node=grid.node,
        radius=grid.radius,
        cells=np.zeros((n_nodes, 1), dtype=np.intp),
        weights=np.ones((n_nodes, 1)),
    )


def cell_nodes(grid: RadialGrid, cells: Cells) -> Nodes:
    """
    Combine the radii of a grid with the places at which cells are blended.

    Parameters
    ----------
    grid : RadialGrid
        Grid of the sweep.
    cells : Cells
        Cells of the sweep.

    Returns
    -------
    Nodes
        The combinations that hold pixels.
    """
    if cells.n_cells == 1:
        return radial_nodes(grid)
    number, present = numbered(cells.place, grid.node, N_NODES)
    # masked pixels may have any node
    node = np.maximum(number, 0, out=number)
    place = present // N_NODES
    return Nodes(
        node=node.view(f"u{node.itemsize}"),
        radius=grid.radius[present % N_NODES],
        cells=cells.cells[place],
        weights=cells.weights[place],
    )
