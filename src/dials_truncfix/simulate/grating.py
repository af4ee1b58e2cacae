"""Images of gratings, grid bars and crystals of known repeat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

FloatArray = npt.NDArray[np.float64]


def grating_electrons(
    shape: tuple[int, int],
    axes: npt.ArrayLike,
    level: float,
    *,
    line_width: float = 0.12,
    depth: float = 0.5,
    unevenness: float = 0.3,
    wander: float = 0.0,
    seed: int = 0,
) -> FloatArray:
    """Sum up the electrons expected behind two crossed sets of dark lines.

    Parameters
    ----------
    shape : tuple of int
        Pixels (slow, fast).
    axes : array_like, shape (2, 2)
        Repeats of the grating on the image (fast, slow), pixels: lines of the one set
        run along the other's repeat.
    level : float
        Electrons of a pixel between the lines.
    line_width : float
        Standard deviation of a line, over its pitch.
    depth : float
        Part of the electrons that a line takes.
    unevenness : float
        Standard deviation of the strength of single lines and of squares, as grating
        replicas have it.
    wander : float
        Standard deviation of the places of single lines, over their pitch.
    seed : int
        Seed of the unevenness.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.
    """
    rng, places = (np.random.default_rng([seed, k]) for k in range(2))
    place = _in_repeats(shape, axes)
    expected = np.full(shape, float(level))
    number = np.floor(place + 0.5).astype(int)
    number -= number.min(axis=(0, 1))
    for axis in range(2):
        strength = depth * (1 + unevenness * rng.standard_normal(number.max() + 1))
        strength = np.clip(strength, 0.0, 0.95)[number[..., axis]]
        distance = place[..., axis] - np.floor(place[..., axis] + 0.5)
        off = wander * places.standard_normal(number[..., axis].max() + 1)
        distance -= off[number[..., axis]]
        expected *= 1 - strength * np.exp(-0.5 * (distance / line_width) ** 2)
    square = np.floor(place).astype(int)
    square -= square.min(axis=(0, 1))
    bright = 1 + 0.2 * unevenness * rng.standard_normal(square.max(axis=(0, 1)) + 1)
    return np.asarray(
        expected * np.maximum(bright, 0.1)[square[..., 0], square[..., 1]]
    )


def grid_electrons(
    shape: tuple[int, int],
    axes: npt.ArrayLike,
    level: float,
    *,
    bar_width: float = 0.35,
    edge: float = 0.5,
    transmission: float = 0.01,
    seed: int = 0,
) -> FloatArray:
    """Sum up the electrons expected behind the bars of a grid.

    Parameters
    ----------
    shape, axes, level, seed
        As for `grating_electrons`; the specimen in the openings is uneven.
    bar_width : float
        Over the pitch.
    edge : float
        Standard deviation of the blur of edges, pixels.
    transmission : float
        Part of the electrons that pass bars.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.
    """
    rng = np.random.default_rng(seed)
    place = _in_repeats(shape, axes)
    distance = np.abs(place - np.floor(place + 0.5))
    blur = edge * np.sqrt(2) / np.linalg.norm(axes, axis=1)
    open_part = 0.5 * special.erfc((0.5 * bar_width - distance) / blur)
    opened = transmission + (1 - transmission) * np.prod(open_part, axis=-1)
    return np.asarray(level * opened * _uneven(shape, rng))


def crystal_electrons(
    shape: tuple[int, int],
    axes: npt.ArrayLike,
    level: float,
    *,
    contrast: float = 0.3,
    molecule_width: float = 0.18,
    seed: int = 0,
) -> FloatArray:
    """Sum up the electrons expected behind a stained crystal of plane group p2gg.

    Parameters
    ----------
    shape, axes, level, seed
        As for `grating_electrons`; the stain is uneven.
    contrast : float
        Of the molecules.
    molecule_width : float
        Standard deviation of a molecule over the shorter repeat.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.
    """
    rng = np.random.default_rng(seed)
    place = _in_repeats(shape, axes)
    sd = molecule_width * np.linalg.norm(axes, axis=1).min()
    x, y = 0.17, 0.11
    molecules = np.zeros(shape)
    for site in ((x, y), (-x, -y), (0.5 + x, 0.5 - y), (0.5 - x, 0.5 + y)):
        off = place - site
        off = (off - np.floor(off + 0.5)) @ np.asarray(axes, float)
        molecules += np.exp(-0.5 * np.sum(off**2, axis=-1) / sd**2)
    return np.asarray(level * (1 + contrast * molecules) * _uneven(shape, rng))


def _in_repeats(shape: tuple[int, int], axes: npt.ArrayLike) -> FloatArray:
    """Positions of pixels over the repeats, shape (slow, fast, 2)."""
    slow, fast = np.indices(shape, dtype=float)
    place = np.stack([fast + 0.5, slow + 0.5], axis=-1)
    return np.asarray(place @ np.linalg.inv(np.asarray(axes, float)))


def _uneven(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Thickness of a specimen that varies by a tenth, over an eighth of the image."""
    rough = rng.standard_normal(shape)
    smooth = ndimage.gaussian_filter(rough, min(shape) / 8, mode="wrap")
    return np.asarray(np.exp(0.1 * smooth / smooth.std()))
