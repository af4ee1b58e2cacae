"""Values of zeros by node and random bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.draws.mixture import NodeMixture
from dials_truncfix.correction.draws.quantiles import QuantileTables

# No camera reads so far below zero.
_LOWEST = np.iinfo(np.int16).min


class NodeTable:
    """
    Values by node and random bits.

    Parameters
    ----------
    tables : QuantileTables
        Quantiles.
    mixture : NodeMixture
        Rows and weights of the nodes.
    """

    def __init__(self, tables: QuantileTables, mixture: NodeMixture) -> None:
        self.tables, self.mixture = tables, mixture
        levels = _levels(tables.coarse, tables.threshold, mixture)
        if levels.min() >= np.iinfo(np.int8).min:
            # all the more of it stays in the cache
            levels = levels.astype(np.int8)
        self.levels = levels
        self.n_cells = levels.shape[1]

    @property
    def first_cell(self) -> np.uint16:
        """Bits below this one belong to the lowest cell, which `tail_values` magnifies."""
        return np.uint16(65536 // self.n_cells)

    def values(
        self,
        node: npt.NDArray[np.unsignedinteger[Any]],
        bits: npt.NDArray[np.uint16],
    ) -> npt.NDArray[np.signedinteger[Any]]:
        """Look values up, shape (n,), ADU; never positive."""
        log2_cells = self.n_cells.bit_length() - 1
        place = node.astype(np.uint32)
        place <<= np.uint32(log2_cells)
        place |= bits >> np.uint16(16 - log2_cells)
        return self.levels.ravel().take(place)

    def tail_values(
        self,
        node: npt.NDArray[np.unsignedinteger[Any]],
        depth: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.int16]:
        """
        Draw from the magnified lowest cell.

        Parameters
        ----------
        node : ndarray, shape (n,), unsigned integer
            Nodes of the pixels.
        depth : ndarray, shape (n,), float64
            Place of each pixel in the lowest cell, 0 <= depth < 1.

        Returns
        -------
        ndarray, shape (n,), int16
            Never positive, ADU.
        """
        n_cells = self.tables.tail.shape[1]
        cell = np.minimum((depth * n_cells).astype(np.intp), n_cells - 1)
        rows = self.mixture.rows[node]
        x = self.tables.tail[rows, cell[:, None]] * self.mixture.weights[node]
        return _rounded(x.sum(axis=1).astype(np.float32), self.tables.threshold)

    def means(self) -> npt.NDArray[np.float64]:
        """Average the values that would be drawn at each node, shape (n_nodes,), ADU."""
        tail = _levels(self.tables.tail, self.tables.threshold, self.mixture)
        total = self.levels[:, 1:].sum(axis=1, dtype=np.float64) + tail.mean(axis=1)
        return np.asarray(total / self.n_cells)


def _levels(
    quantiles: npt.NDArray[np.float32], threshold: float, mixture: NodeMixture
) -> npt.NDArray[np.int16]:
    """
    Interpolate a whole table at the nodes and round as the camera would have.

    Parameters
    ----------
    quantiles : ndarray, shape (n_rows, n), float32
        One of the tables, ADU.
    threshold : float
        Of the tables, ADU.
    mixture : NodeMixture
        Rows and weights of the nodes.

    Returns
    -------
    ndarray, shape (n_nodes, n), int16
        Never positive, ADU; so narrow that all of it stays in the cache.
    """
    weights = mixture.weights.astype(np.float32)
    x = quantiles[mixture.rows[:, 0]]
    x *= weights[:, :1]
    for k in range(1, weights.shape[1]):
        term = quantiles[mixture.rows[:, k]]
        term *= weights[:, k : k + 1]
        x += term
    return _rounded(x, threshold)


def _rounded(x: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.int16]:
    """Round as the camera would have, and see to it that nothing becomes positive."""
    x += np.float32(1.0 - threshold)
    np.floor(x, out=x)
    # np.clip takes longer to begin with than for the few pixels of a tail
    np.maximum(x, np.float32(_LOWEST), out=x)
    np.minimum(x, np.float32(0.0), out=x)
    return x.astype(np.int16)
