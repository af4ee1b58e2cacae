"""Replace the zeros of an image by values that the camera could have recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.draws.mixture import (
    LARGEST_EXTRAPOLATION,
    NodeMixture,
    linear_mixture,
)
from dials_truncfix.correction.draws.node_table import NodeTable
from dials_truncfix.correction.draws.pixel_runs import joined, plain_runs
from dials_truncfix.correction.draws.quantiles import QuantileTables
from dials_truncfix.correction.random_bits import (
    further_bits,
    further_word,
    next_bits,
    start_stream,
)
from dials_truncfix.correction.regions.annuli import OUTSIDE
from dials_truncfix.correction.regions.radial_grid import radial_grid
from dials_truncfix.correction.regions.scattering import Radii

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

_THRESHOLDS = {"round": 0.5, "floor": 1.0}
# Below this fraction of zeros they are drawn one by one.
_FEW = 0.15


def replace_zeros(
    image: IntArray,
    eligible: BoolArray,
    radius: Radii,
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
    radius : array, shape (ny, nx), float
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
    labels: npt.NDArray[np.signedinteger[Any]],
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
    runs = drawn_runs(
        image,
        labels,
        node,
        tables,
        mixture,
        seed=seed,
        image_number=image_number,
        assign=assign,
        rounding=rounding,
        uniforms=uniforms,
    )
    return joined(runs, image.shape)


def drawn_runs(
    image: IntArray,
    labels: npt.NDArray[np.signedinteger[Any]],
    node: npt.NDArray[np.unsignedinteger[Any]],
    tables: QuantileTables,
    mixture: NodeMixture,
    *,
    seed: int,
    image_number: int,
    assign: str = "random",
    rounding: str = "round",
    uniforms: npt.NDArray[np.float64] | None = None,
) -> Iterator[npt.NDArray[np.signedinteger[Any]]]:
    """
    Replace the zeros of an image in runs of consecutive pixels.

    While they are in the cache they can be compressed, and no corrected image need be
    in memory.

    Parameters
    ----------
    image, labels, node, tables, mixture
        As for `draw_zeros`.
    seed, image_number, assign, rounding, uniforms
        As for `draw_zeros`.

    Yields
    ------
    ndarray, shape (n,), int32 or int16
        In C order, ADU; narrow as from `plain_runs`. What is done to it changes nothing else.

    Raises
    ------
    ValueError
        As for `draw_zeros`.
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
    if len(tables.radius) == 0:
        yield from plain_runs(image)
        return
    table = NodeTable(tables, mixture)
    mean = table.means() if assign == "expected" else None
    regions, nodes = labels.ravel(), node.ravel()
    generator = start_stream(seed, image_number, 0)
    word = further_word(seed, image_number)
    start = n_drawn = 0
    for run in plain_runs(image):
        here = slice(start, start + run.size)
        zero = run == 0
        zero &= regions[here] >= 0
        if uniforms is not None:
            zeros = np.flatnonzero(zero)
            u = uniforms[n_drawn : n_drawn + len(zeros)]
            n_drawn += len(zeros)
            at, bits = nodes[here].take(zeros), (u * 65536.0).astype(np.uint16)
            run[zeros] = table.values(at, bits)
            deepest = np.flatnonzero(bits < table.first_cell)
            depth = u[deepest] * table.n_cells
            run[zeros[deepest]] = table.tail_values(at[deepest], depth)
        else:
            bits = next_bits(generator, run.size)
            if mean is not None:
                zeros = np.flatnonzero(zero)
                fraction = (bits[zeros] + 0.5) / 65536.0
                run[zeros] = np.floor(mean[nodes[here][zeros]] + fraction)
            else:
                _draw_run(run, zero, nodes[here], bits, table)
                deepest = np.flatnonzero(bits < table.first_cell)
                deepest = deepest[zero[deepest]]
                depth = further_bits(word, deepest + start) * 2.0**-64
                run[deepest] = table.tail_values(nodes[here][deepest], depth)
        start += run.size
        yield run


def _draw_run(
    run: npt.NDArray[np.signedinteger[Any]],
    zero: BoolArray,
    nodes: npt.NDArray[np.unsignedinteger[Any]],
    bits: npt.NDArray[np.uint16],
    table: NodeTable,
) -> None:
    """
    Draw the zeros of a run, except for what becomes of the lowest cell.

    Parameters
    ----------
    run : ndarray, shape (n,), signed integer
        Pixels, ADU; changed in place.
    zero : ndarray, shape (n,), bool
        Those to be drawn, which are zero.
    nodes, bits : ndarray, shape (n,)
        Node and random bits of each pixel.
    table : NodeTable
        Values.
    """
    if np.count_nonzero(zero) < _FEW * run.size:
        zeros = np.flatnonzero(zero)
        run[zeros] = table.values(nodes.take(zeros), bits.take(zeros))
    else:
        # to draw all takes less than to pick out the zeros and to put them back
        values = table.values(nodes, bits)
        values *= zero.view(np.int8)
        run += values


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
