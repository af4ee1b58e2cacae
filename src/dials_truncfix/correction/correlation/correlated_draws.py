"""Places of the zeros in their distributions, correlated with their neighbours'.

The scores of an image are taken as one draw of a Gaussian Markov random field. Those of
positive pixels are known. Those of zeros lie below a threshold, and are drawn in turn
from their distributions given the scores around them (Gibbs sampling). Pixels that
cannot be used are drawn without a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr, ndtri

from dials_truncfix.correction.correlation.latent_scores import Scores
from dials_truncfix.correction.correlation.markov_field import MarkovField, markov_field
from dials_truncfix.correction.correlation.noise_correlation import (
    REACH,
    NoiseCorrelation,
)
from dials_truncfix.correction.random_bits import next_bits, start_stream

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.intp]

# Draws forget their start the more slowly, the stronger the correlation: so many rounds,
# and more in proportion to the correlation of neighbours.
_ROUNDS = 3
_ROUNDS_OF_FULL_CORRELATION = 12
# Pixels beyond the edge are drawn as well, as far as they reach; beyond these are zeros.
_MARGIN = 2 * REACH
# The independent draws use the streams before.
_FIRST_STREAM = 2
_LOWEST_DEVIATE = -30.0
_RANK_BINS = 4096
# Pixels of one batch are so far apart along each axis.
_PERIOD = REACH + 1
# Pixels handled at once: a block's temporaries fit into the cache.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class _Batch:
    """Pixels that are drawn at once: no two of them are neighbours of each other."""

    index: npt.NDArray[np.int32]
    threshold: FloatArray
    field: MarkovField


def correlated_uniforms(
    scores: Scores,
    zeros: IndexArray,
    correlation: NoiseCorrelation,
    *,
    seed: int,
    image_number: int,
) -> npt.NDArray[np.float64]:
    """
    Draw the places of the zeros in the part of their distributions that was cut off.

    Parameters
    ----------
    scores : Scores
        Of the image.
    zeros : ndarray, shape (n,), intp
        Ascending indices of the eligible pixels that were recorded as zero.
    correlation : NoiseCorrelation
        Of this image.
    seed, image_number : int
        As for `draw.replace_zeros`.

    Returns
    -------
    ndarray, shape (n,), float64
        0 < u < 1. Among the zeros of each class of brightness they are uniform, so
        that means do not change.

    References
    ----------
    Geman, S. & Geman, D. (1984). IEEE Trans. Pattern Anal. Mach. Intell. 6, 721-741,
    doi:10.1109/TPAMI.1984.4767596.
    """
    lattice = np.pad(scores.score, _MARGIN)
    field, width = lattice.ravel(), lattice.shape[1]
    padded = _padded(zeros, scores.score.shape)
    free = _free_pixels(scores, zeros)
    field[free] = 0.0
    group = scores.group.ravel().take(zeros)
    threshold = scores.threshold.astype(np.float32)[group]
    brightness = scores.brightness[group]
    offsets = correlation.lags @ np.array([width, 1])
    pooled = markov_field(correlation.lags, correlation.pooled)
    fields = [markov_field(correlation.lags, row) for row in correlation.by_class]
    batches = [
        *_batches(padded, width, threshold, brightness, fields),
        *_batches(free, width, np.full(len(free), np.inf, np.float32), None, [pooled]),
    ]
    strongest = float(np.abs(correlation.by_class).max())
    for number in range(_ROUNDS + round(_ROUNDS_OF_FULL_CORRELATION * strongest)):
        stream = start_stream(seed, image_number, _FIRST_STREAM + number)
        bits = next_bits(stream, -(-field.size // 4) * 4)
        for batch in batches:
            _draw(field, batch, bits, offsets, first=number == 0)
    del batches, bits
    u = np.empty(len(zeros))
    for start in range(0, len(zeros), _BLOCK):
        part = slice(start, start + _BLOCK)
        u[part] = ndtr(field.take(padded[part]).astype(np.float64))
        u[part] /= ndtr(threshold[part].astype(np.float64))
    _make_uniform(u, brightness, scores.n_classes)
    return u


def _padded(index: IndexArray, shape: tuple[int, ...]) -> IndexArray:
    """Find pixels in the lattice, which has a margin all around the image."""
    row, column = np.divmod(index, shape[1])
    return np.asarray((row + _MARGIN) * (shape[1] + 2 * _MARGIN) + column + _MARGIN)


def _free_pixels(scores: Scores, zeros: IndexArray) -> IndexArray:
    """
    Find the pixels of the lattice within reach of a zero whose scores are not known.

    These are pixels outside the regions and the image, spots and shadows.
    """
    near = np.zeros(scores.score.shape, dtype=bool)
    near.ravel()[zeros] = True
    known = near | (scores.eligible & ~scores.odd)
    near = np.pad(near, _MARGIN)
    for axis in (0, 1):
        near = ndimage.maximum_filter1d(near, 2 * REACH + 1, axis=axis, mode="constant")
    return np.flatnonzero(near & ~np.pad(known, _MARGIN))


def _batches(
    index: IndexArray,
    width: int,
    threshold: FloatArray,
    brightness: npt.NDArray[np.uint8] | None,
    fields: list[MarkovField],
) -> Iterator[_Batch]:
    """Deal pixels out such that none of a batch lies within reach of another."""
    key = np.empty(len(index), dtype=np.uint16)
    for start in range(0, len(index), _BLOCK):
        part = slice(start, start + _BLOCK)
        row, column = np.divmod(index[part], width)
        colour = row % _PERIOD * _PERIOD + column % _PERIOD
        key[part] = colour * len(fields)
        if brightness is not None:
            key[part] += brightness[part]
    order = np.argsort(key, kind="stable")
    ends = np.searchsorted(key[order], np.arange(_PERIOD**2 * len(fields) + 1))
    for number, (start, end) in enumerate(zip(ends, ends[1:])):
        if end > start:
            mine = order[start:end]
            yield _Batch(
                index[mine].astype(np.int32),
                threshold[mine],
                fields[number % len(fields)],
            )


def _draw(
    field: FloatArray,
    batch: _Batch,
    bits: npt.NDArray[np.uint16],
    offsets: npt.NDArray[np.int64],
    first: bool,
) -> None:
    """
    Draw the scores of a batch, in place, given those around them.

    Parameters
    ----------
    field : ndarray, shape (n_lattice,), float32
        Scores.
    batch : _Batch
        What to draw.
    bits : ndarray, shape (n_lattice,), uint16
        Random bits.
    offsets : ndarray, shape (n_lags,)
        Lags as distances in the lattice.
    first : bool
        Draw independently: nothing is known around the pixel yet.
    """
    index = batch.index.astype(np.intp)
    mean = np.zeros(len(index), dtype=np.float32)
    sd = np.float32(1.0)
    if not first:
        sd = np.float32(batch.field.sd)
        reach = int(np.abs(offsets).max())
        # views that begin elsewhere, rather than indices moved for each neighbour
        moved = index - reach
        one, other = np.empty((2, len(index)), dtype=np.float32)
        for offset, weight in zip(offsets, batch.field.weights.astype(np.float32)):
            np.take(field[reach + offset :], moved, out=one, mode="clip")
            np.take(field[reach - offset :], moved, out=other, mode="clip")
            one += other
            one *= weight
            mean += one
    deviate = np.maximum((batch.threshold - mean) / sd, _LOWEST_DEVIATE)
    place = (bits.take(index) + 0.5) / 65536.0
    field[index] = mean + sd * ndtri(place * ndtr(deviate.astype(np.float64)))


def _make_uniform(
    u: npt.NDArray[np.float64], group: npt.NDArray[np.uint8], n_groups: int
) -> None:
    """
    Make the numbers of each group uniform, in place, keeping their order.

    Normal scores of pixels are a model; where it does not quite hold, the means of
    the draws would be off by some hundredths of an ADU.

    Parameters
    ----------
    u : ndarray, shape (n,), float64
        Between 0 and 1.
    group : ndarray, shape (n,), uint8
        Group of each.
    n_groups : int
        Number of groups.
    """
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(u), _BLOCK)]
    count = np.zeros(n_groups * _RANK_BINS, dtype=np.int64)
    for part in blocks:
        entry = (u[part] * _RANK_BINS).astype(np.int64)
        np.clip(entry, 0, _RANK_BINS - 1, out=entry)
        entry += group[part].astype(np.int64) * _RANK_BINS
        count += np.bincount(entry, minlength=len(count))
    # a little more in each cell keeps every number inside
    weight = count.reshape(n_groups, _RANK_BINS) + 0.5 / _RANK_BINS
    below = np.cumsum(weight, axis=1)
    start_of_cell = (below - weight) / below[:, -1:]
    slope = weight / below[:, -1:]
    for part in blocks:
        place = u[part] * _RANK_BINS
        cell = np.clip(place.astype(np.int64), 0, _RANK_BINS - 1)
        mine = group[part]
        u[part] = start_of_cell[mine, cell] + slope[mine, cell] * (place - cell)
    np.clip(u, 1e-9, 1.0 - 1e-9, out=u)
