"""Replace the zeros of an image by values that the camera could have recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.draws.mixture import (
    LARGEST_EXTRAPOLATION,
    NodeMixture,
    linear_mixture,
)
from dials_truncfix.correction.draws.quantiles import QuantileTables
from dials_truncfix.correction.draws.zeros import zeros_of_block
from dials_truncfix.correction.random_bits import (
    further_bits,
    next_bits,
    start_stream,
)
from dials_truncfix.correction.regions.annuli import OUTSIDE
from dials_truncfix.correction.regions.radial_grid import radial_grid

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

_THRESHOLDS = {"round": 0.5, "floor": 1.0}
# No camera reads so far below zero.
_LOWEST = np.iinfo(np.int16).min
# Pixels handled at once: a block's temporaries fit into the second-level cache.
_BLOCK = 1 << 17


def replace_zeros(
    image: IntArray,
    eligible: BoolArray,
    radius: FloatArray,
    tables: QuantileTables,
    *,
    seed: int,
    image_number: int,
    assign: str = "random",
    rounding: str = "round",
) -> npt.NDArray[np.int32]:
    """
    Give each eligible zero a non-positive value from the distribution at its radius.

    The tables are interpolated linearly in the radius, so that annuli leave no edges.
    A pixel's value depends on the tables, its radius, the seed, the image number and
    its index, and on no other pixel.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    eligible : ndarray, shape (ny, nx), bool
        True for the pixels whose zeros may be replaced.
    radius : ndarray, shape (ny, nx), float
        Radial coordinate, in the unit of the tables.
    tables : QuantileTables
        Quantiles, ADU, of the values recorded as zero; without rows the image is
        returned as it is.
    seed : int
        0 <= seed < 2**64.
    image_number : int
        Absolute number of the image in its sweep.
    assign : {'random', 'expected'}
        'random' draws from the distribution. 'expected' takes its mean, rounded up
        or down at random in the proportion that keeps the mean.
    rounding : {'round', 'floor'}
        How the camera made integers.

    Returns
    -------
    ndarray, shape (ny, nx), int32
        The image with its zeros replaced, ADU. Other pixels are unchanged.

    Raises
    ------
    ValueError
        If the shapes differ, `assign` or `rounding` is unknown, the tables were made
        for another rounding, or the seed is out of range.

    References
    ----------
    Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016).
    J. Appl. Cryst. 49, 1029-1034, doi:10.1107/S1600576716007196.
    """
    if image.shape != eligible.shape:
        raise ValueError(
            f"image {image.shape} and eligible {eligible.shape} differ in shape"
        )
    labels = np.where(eligible, np.int16(0), np.int16(OUTSIDE))
    grid = radial_grid(radius, *_reach(tables))
    return draw_zeros(
        image,
        labels,
        grid.node,
        tables,
        linear_mixture(tables.radius, grid.radius),
        seed=seed,
        image_number=image_number,
        assign=assign,
        rounding=rounding,
    )


def _reach(tables: QuantileTables) -> tuple[float, float]:
    """Radii as far out as the tables may be extrapolated."""
    knots = tables.radius
    if len(knots) < 2:
        return (float(knots[0]),) * 2 if len(knots) else (0.0, 0.0)
    return (
        float(knots[0] - LARGEST_EXTRAPOLATION * (knots[1] - knots[0])),
        float(knots[-1] + LARGEST_EXTRAPOLATION * (knots[-1] - knots[-2])),
    )


def draw_zeros(
    image: IntArray,
    labels: npt.NDArray[np.int16],
    node: npt.NDArray[np.unsignedinteger[Any]],
    tables: QuantileTables,
    mixture: NodeMixture,
    *,
    seed: int,
    image_number: int,
    assign: str = "random",
    rounding: str = "round",
    uniforms: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.int32]:
    """
    Replace the zeros of the regions of an image, each by the law of its node.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Region of each pixel; pixels with a negative label stay as they are.
    node : ndarray, shape (ny, nx), unsigned integer
        Node of each pixel.
    tables : QuantileTables
        Rows of quantiles, ADU; without rows the image is returned as it is.
    mixture : NodeMixture
        What the rows contribute to each node.
    seed, image_number, assign, rounding
        As for `replace_zeros`.
    uniforms : ndarray, shape (n,), float64, optional
        Place in its distribution of each zero that `find_zeros` finds, 0 < u < 1,
        where the draws shall not be independent.

    Returns
    -------
    ndarray, shape (ny, nx), int32

    Raises
    ------
    ValueError
        As for `replace_zeros`, and if there is not one uniform for each zero.
    """
    if not image.shape == labels.shape == node.shape:
        raise ValueError(
            f"image {image.shape}, labels {labels.shape} and nodes {node.shape} differ "
            "in shape"
        )
    _check(tables, seed, assign, rounding)
    if uniforms is not None:
        n_zeros = int(np.count_nonzero((image == 0) & (labels >= 0)))
        if uniforms.shape != (n_zeros,):
            raise ValueError(f"{len(uniforms)} uniforms for {n_zeros} zeros")
    result = image.astype(np.int32, order="C")
    if len(tables.radius) == 0:
        return result
    levels = _levels(tables.coarse, tables.threshold, mixture)
    if assign == "expected":
        mean = _means(levels, tables, mixture)
    log2_cells = levels.shape[1].bit_length() - 1
    flat, regions, nodes = result.ravel(), labels.ravel(), node.ravel()
    generator = start_stream(seed, image_number, 0)
    deepest, ranks, n_drawn = [], [], 0
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        values = flat[block]
        zeros = zeros_of_block(values, regions[block])
        if uniforms is None:
            bits = next_bits(generator, len(values)).take(zeros)
        else:
            u = uniforms[n_drawn : n_drawn + len(zeros)]
            bits = (u * 65536.0).astype(np.uint16)
        at = nodes[block].take(zeros)
        if assign == "expected":
            values[zeros] = np.floor(mean[at] + (bits + 0.5) / 65536.0)
        else:
            cell = bits >> np.uint16(16 - log2_cells)
            lowest = np.flatnonzero(cell == 0)
            deepest.append(zeros[lowest] + start)
            ranks.append(lowest + n_drawn)
            place = at.astype(np.uint32)
            place <<= np.uint32(log2_cells)
            place |= cell
            values[zeros] = levels.ravel().take(place)
        n_drawn += len(zeros)
    if deepest:
        which = np.concatenate(deepest)
        if uniforms is None:
            depth = further_bits(seed, image_number, which) * 2.0**-64
        else:
            depth = uniforms[np.concatenate(ranks)] * levels.shape[1]
        flat[which] = _tail_values(tables, mixture, nodes.take(which), depth)
    return result


def _check(tables: QuantileTables, seed: int, assign: str, rounding: str) -> None:
    """
    Refuse arguments that make no sense.

    Parameters
    ----------
    tables, seed, assign, rounding
        As for `replace_zeros`.

    Raises
    ------
    ValueError
        If they do not.
    """
    if assign not in ("random", "expected"):
        raise ValueError(f"assign must be 'random' or 'expected', not {assign!r}")
    if rounding not in _THRESHOLDS:
        raise ValueError(f"rounding must be 'round' or 'floor', not {rounding!r}")
    if tables.threshold != _THRESHOLDS[rounding]:
        raise ValueError(
            f"tables with threshold {tables.threshold} do not belong to "
            f"rounding={rounding}"
        )
    n_cells = tables.coarse.shape[1]
    if n_cells & (n_cells - 1) or not 0 < n_cells <= 65536:
        raise ValueError(f"{n_cells} cells of a table are no power of two up to 65536")
    if not 0 <= seed < 2**64:
        raise ValueError(f"the seed must be at least 0 and below 2**64, not {seed}")


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


def _tail_values(
    tables: QuantileTables,
    mixture: NodeMixture,
    node: npt.NDArray[np.unsignedinteger[Any]],
    depth: npt.NDArray[np.float64],
) -> npt.NDArray[np.int16]:
    """
    Draw from the magnified lowest cell of the tables.

    Parameters
    ----------
    tables : QuantileTables
        Quantiles.
    mixture : NodeMixture
        Rows and weights of the nodes.
    node : ndarray, shape (n,), unsigned integer
        Nodes of the pixels.
    depth : ndarray, shape (n,), float64
        Place of each pixel in the lowest cell, 0 <= depth < 1.

    Returns
    -------
    ndarray, shape (n,), int16
        Never positive, ADU.
    """
    n_cells = tables.tail.shape[1]
    cell = np.minimum((depth * n_cells).astype(np.intp), n_cells - 1)
    rows = mixture.rows[node]
    x = (tables.tail[rows, cell[:, None]] * mixture.weights[node]).sum(axis=1)
    return _rounded(x.astype(np.float32), tables.threshold)


def _means(
    levels: npt.NDArray[np.int16], tables: QuantileTables, mixture: NodeMixture
) -> npt.NDArray[np.float64]:
    """
    Average the values that would be drawn at each node.

    Parameters
    ----------
    levels : ndarray, shape (n_nodes, n), int16
        From `_levels` of the coarse table, ADU.
    tables : QuantileTables
        Quantiles.
    mixture : NodeMixture
        Rows and weights of the nodes.

    Returns
    -------
    ndarray, shape (n_nodes,), float64
        Never positive, ADU.
    """
    tail = _levels(tables.tail, tables.threshold, mixture)
    total = levels[:, 1:].sum(axis=1, dtype=np.float64) + tail.mean(axis=1)
    return np.asarray(total / levels.shape[1])


def _rounded(x: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.int16]:
    """Round as the camera would have, and see to it that nothing becomes positive."""
    x += np.float32(1.0 - threshold)
    np.floor(x, out=x)
    np.clip(x, np.float32(_LOWEST), np.float32(0.0), out=x)
    return x.astype(np.int16)
