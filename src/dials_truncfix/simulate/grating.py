"""Images of line gratings of known pitch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def grating_electrons(
    shape: tuple[int, int],
    axes: npt.ArrayLike,
    level: float,
    *,
    line_width: float = 0.12,
    depth: float = 0.5,
    unevenness: float = 0.3,
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
    seed : int
        Seed of the unevenness.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.
    """
    rng = np.random.default_rng(seed)
    slow, fast = np.indices(shape, dtype=float)
    place = np.stack([fast + 0.5, slow + 0.5], axis=-1) @ np.linalg.inv(axes)
    expected = np.full(shape, float(level))
    number = np.floor(place + 0.5).astype(int)
    number -= number.min(axis=(0, 1))
    for axis in range(2):
        strength = depth * (1 + unevenness * rng.standard_normal(number.max() + 1))
        strength = np.clip(strength, 0.0, 0.95)[number[..., axis]]
        distance = place[..., axis] - np.floor(place[..., axis] + 0.5)
        expected *= 1 - strength * np.exp(-0.5 * (distance / line_width) ** 2)
    square = np.floor(place).astype(int)
    square -= square.min(axis=(0, 1))
    bright = 1 + 0.2 * unevenness * rng.standard_normal(square.max(axis=(0, 1)) + 1)
    return np.asarray(
        expected * np.maximum(bright, 0.1)[square[..., 0], square[..., 1]]
    )
