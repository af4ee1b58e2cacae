"""The laws of the zeros of an image at its nodes, from the fits of its regions.

Within a cell the quantile tables of the regions are interpolated linearly in radius;
the profiles of neighbouring sectors and tiles are blended. The knots are chosen such
that the average over each region is the region's own, so that no edges show.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dials_truncfix.correction.draws.mixture import NodeMixture, linear_mixture
from dials_truncfix.correction.draws.quantiles import (
    QuantileTables,
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.correction.draws.zeros import radial_moments, some_zeros
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.nodes import Nodes
from dials_truncfix.correction.regions.regions import Regions, RegionTable
from dials_truncfix.correction.regions.scattering import Radii

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]

# Each brings the averages closer to the regions' own. What alternates from annulus to
# annulus is averaged to half of it, and is then off by 1/2⁵; smooth courses are off by
# less. An exact solution would amplify the noise of the fits eightfold where they
# alternate from annulus to annulus and from tile to tile.
_ITERATIONS = 4


def law_of_zeros(
    image: IntArray,
    regions: Regions,
    radius: Radii,
    nodes: Nodes,
    fits: RingFits,
) -> tuple[QuantileTables, NodeMixture]:
    """
    Tabulate the laws of the zeros of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    regions : Regions
        Its regions.
    radius : array, shape (ny, nx), float
        Radial coordinate.
    nodes : Nodes
        Nodes of the sweep.
    fits : RingFits
        Fits of the regions.

    Returns
    -------
    tables : QuantileTables
        A row for each region with a fit.
    mixture : NodeMixture
        What they contribute to each node. The weights add up to 1, or to 0 at nodes
        near which no region has a fit.
    """
    centroid, deviation = radial_moments(image, regions, radius)
    if regions.table.n_cells == 1:
        tables = conditional_tables(fits, centroid)
        tables = mean_preserving_knots(tables, deviation[fits.fitted])
        return tables, linear_mixture(tables.radius, nodes.radius)
    # rows are told apart by the number of their region, which ascends as radii do not
    number = np.arange(regions.n_regions, dtype=np.float64)
    tables = conditional_tables(fits, number, nodes.n_table)
    mixture = blended_mixture(regions.table, fits.fitted, centroid, nodes)
    averages = _averages(image, regions, fits.fitted, nodes, mixture)
    return _mean_preserving(tables, averages), mixture


def blended_mixture(
    table: RegionTable,
    fitted: npt.NDArray[np.bool_],
    centroid: npt.NDArray[np.float64],
    nodes: Nodes,
) -> NodeMixture:
    """
    Interpolate in radius within each cell, and blend the cells.

    Parameters
    ----------
    table : RegionTable
        Regions of an image.
    fitted : ndarray, shape (n_regions,), bool
        Regions that have a law.
    centroid : ndarray, shape (n_regions,), float64
        Radius at which the law of each region stands, ascending within a cell.
    nodes : Nodes
        Where to interpolate.

    Returns
    -------
    NodeMixture
        Rows count the regions that have a law.
    """
    row = np.cumsum(fitted) - 1
    host = np.append(table.host, -1)[nodes.cells]
    has_law = np.zeros(table.n_cells + 1, dtype=bool)
    has_law[table.cell[fitted]] = True
    weights = np.where(has_law[host], nodes.weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    np.divide(weights, total, out=weights, where=total > 0)
    rows = np.zeros((*host.shape, 2), dtype=np.intp)
    both = np.zeros((*host.shape, 2))
    for cell in np.flatnonzero(has_law):
        mine = np.flatnonzero(fitted & (table.cell == cell))
        at = np.nonzero((host == cell) & (weights > 0))
        linear = linear_mixture(centroid[mine], nodes.radius[at[0]])
        n_knots = linear.rows.shape[1]
        rows[at[0], at[1], :n_knots] = row[mine][linear.rows]
        both[at[0], at[1], :n_knots] = linear.weights * weights[at][:, None]
    n_nodes = len(nodes.radius)
    return NodeMixture(rows.reshape(n_nodes, -1), both.reshape(n_nodes, -1))


def _averages(
    image: IntArray,
    regions: Regions,
    fitted: npt.NDArray[np.bool_],
    nodes: Nodes,
    mixture: NodeMixture,
) -> sparse.csr_matrix:
    """
    Average weight of each row over the zeros of each region.

    Parameters
    ----------
    image, regions, nodes
        As for `law_of_zeros`.
    fitted : ndarray, shape (n_regions,), bool
        Regions that have a row.
    mixture : NodeMixture
        Of the nodes.

    Returns
    -------
    scipy.sparse.csr_matrix, shape (n_rows, n_rows)
        A region without zeros averages to itself.
    """
    rows, zeros = some_zeros(image, regions.labels)
    region = regions.labels[rows].ravel().take(zeros)
    node = nodes.node[rows].ravel().take(zeros)
    known = fitted[region]
    own = (np.cumsum(fitted) - 1)[region[known]]
    node = node[known]
    n_rows = int(np.count_nonzero(fitted))
    count = np.bincount(own, minlength=n_rows)
    m = mixture.rows.shape[1]
    code = np.repeat(own * n_rows, m) + mixture.rows[node].ravel()
    weight = mixture.weights[node].ravel()
    total = np.bincount(code, weight, n_rows * n_rows).reshape(n_rows, n_rows)
    total = total / np.maximum(count, 1)[:, None]
    total[count == 0, count == 0] = 1.0
    return sparse.csr_matrix(total)


def _mean_preserving(
    tables: QuantileTables, averages: sparse.csr_matrix
) -> QuantileTables:
    """
    Sharpen the tables so that their interpolation keeps the average of each region.

    Parameters
    ----------
    tables : QuantileTables
        Tables of the regions.
    averages : scipy.sparse.csr_matrix, shape (n_rows, n_rows)
        From `_averages`.

    Returns
    -------
    QuantileTables
        Knots, still ascending along u and below the threshold.
    """
    n = tables.coarse.shape[1]
    wanted = np.concatenate((tables.tail, tables.coarse), axis=1)
    knots = wanted.copy()
    averages = averages.astype(np.float32)
    for _ in range(_ITERATIONS):
        # sparse products leave the threads of OpenBLAS asleep
        knots += wanted - averages @ knots
    below = np.nextafter(np.float32(tables.threshold), np.float32(-np.inf))
    return replace(
        tables,
        tail=np.minimum(np.maximum.accumulate(knots[:, :n], axis=1), below),
        coarse=np.minimum(np.maximum.accumulate(knots[:, n:], axis=1), below),
    )
