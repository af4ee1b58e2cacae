"""How even the beam is, and where its intensity has its middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Blocks along a diameter.
_BLOCKS = 12
_FEWEST_BLOCKS = 12


@dataclass(frozen=True)
class Uniformity:
    """Of the intensity within the disc.

    Attributes
    ----------
    level : float
        Mean, unit of the image, above the dark around.
    gradient : ndarray, shape (2,)
        Change from the centre to the edge along fast and slow, as a part of the level.
    unevenness : float
        Standard deviation of blocks, a twelfth of the diameter wide, as a part of the
        level, without what noise makes of it.
    n_blocks : int
        How many there are; the figures are NaN where there are too few.
    """

    level: float
    gradient: Array
    unevenness: float
    n_blocks: int


@dataclass(frozen=True)
class Centroid:
    """Middle of the intensity.

    Attributes
    ----------
    place : ndarray, shape (2,)
        (fast, slow), pixels.
    errors : ndarray, shape (2,)
        Standard uncertainties by the noise of pixels, pixels.
    """

    place: Array
    errors: Array


def uniformity(image: Array, centre: Array, radius: float) -> Uniformity:
    """Measure by means of square blocks.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Above the dark.
    centre : ndarray, shape (2,)
        (fast, slow), pixels.
    radius : float
        Within which the disc is flat, pixels.

    Returns
    -------
    Uniformity
    """
    side = max(2, int(2 * radius / _BLOCKS))
    slow, fast = (n // side for n in image.shape)
    squares = image[: slow * side, : fast * side].reshape(slow, side, fast, side)
    y, x = (side * (np.indices((slow, fast)) + 0.5)).reshape(2, -1)
    offset = np.column_stack([x, y]) - centre
    inside = np.linalg.norm(offset, axis=1) < radius - side * np.sqrt(0.5)
    n = int(inside.sum())
    if n < _FEWEST_BLOCKS:
        return Uniformity(np.nan, np.full(2, np.nan), np.nan, n)
    mean = squares.mean(axis=(1, 3)).ravel()[inside]
    noise = squares.var(axis=(1, 3), ddof=1).ravel()[inside] / side**2
    terms = np.column_stack([np.ones(n), offset[inside] / radius])
    found = np.linalg.lstsq(terms, mean, rcond=None)[0]
    level = float(mean.mean())
    spread = max(float(mean.var(ddof=1) - noise.mean()), 0.0)
    return Uniformity(level, found[1:] / level, float(np.sqrt(spread)) / level, n)


def centroid(image: Array, centre: Array, radius: float, height: float) -> Centroid:
    """Average the places of pixels by their intensity.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Above the dark.
    centre : ndarray, shape (2,)
        (fast, slow), pixels.
    radius : float
        Beyond which there is no beam, pixels.
    height : float
        Of the beam.

    Returns
    -------
    Centroid
    """
    slow, fast = np.indices(image.shape)
    offset = np.stack([fast + 0.5 - centre[0], slow + 0.5 - centre[1]])
    distance = np.hypot(*offset)
    near = distance < radius
    around = (distance > radius) & (distance < 1.5 * radius)
    inner = distance < 0.7 * radius
    # noise of pixels from differences of neighbours, which unevenness does not change
    difference = np.diff(image, axis=1)
    dark = difference[around[:, 1:]].var() / 2 if around.sum() > 50 else 0.0
    bright = difference[inner[:, 1:]].var() / 2
    part = np.clip(image[near] / height, 0.0, 1.0)
    variance = dark + max(float(bright - dark), 0.0) * part
    total = image[near].sum()
    place = (offset[:, near] * image[near]).sum(axis=1) / total
    arm = offset[:, near] - place[:, None]
    errors = np.sqrt((arm**2 * variance).sum(axis=1)) / total
    return Centroid(centre + place, errors)
