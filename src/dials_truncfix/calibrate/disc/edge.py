"""Where the edge of a disc is, to a part of a pixel, in sectors around its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Length of a sector along the edge, and distance of samples across it, pixels.
_ARC, _STEP = 5.0, 0.5
_FEWEST, _MOST = 24, 720
_GAUSS_NEWTON_STEPS = 8
#: Heights of the edge below so many standard uncertainties show no edge.
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class Edge:
    """Points of the edge.

    Attributes
    ----------
    points : ndarray, shape (n, 2)
        (fast, slow), pixels, in their order around the centre.
    inside, outside : ndarray, shape (n,)
        Levels on both sides, unit of the image.
    width : float
        Standard deviation of the edge's blur, pixels.
    n_sectors : int
        Sectors of the whole circle, of which n show the edge.
    n_covered : int
        Sectors whose edge would lie on the image.
    """

    points: Array
    inside: Array
    outside: Array
    width: float
    n_sectors: int
    n_covered: int


def find_edge(image: Array, centre: Array, radius: float, half: float) -> Edge:
    """Fit the edge in sectors: an error function between two levels.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    centre : ndarray, shape (2,)
        About where the disc is (fast, slow), pixels.
    radius : float
        About its radius, pixels.
    half : float
        Reach to either side of the edge, pixels.

    Returns
    -------
    Edge
        One width for all sectors; only sectors that show the edge.
    """
    n = int(np.clip(2 * np.pi * radius / _ARC, _FEWEST, _MOST))
    across = max(2, round(2 * np.pi * radius / n))
    azimuth = 2 * np.pi * (np.arange(n * across) + 0.5) / (n * across)
    r = np.arange(max(radius - half, 0.0), radius + half + _STEP / 2, _STEP)
    x = centre[0] + r * np.cos(azimuth)[:, None]
    y = centre[1] + r * np.sin(azimuth)[:, None]
    slow, fast = image.shape
    on_image = (x > 0.5) & (y > 0.5) & (x < fast - 0.5) & (y < slow - 0.5)
    covered = on_image.all(axis=1).reshape(n, across).all(axis=1)
    samples = ndimage.map_coordinates(
        image, [y - 0.5, x - 0.5], order=1, mode="nearest"
    )
    profile = samples.reshape(n, across, -1).mean(axis=1)[covered]
    directions = (2 * np.pi * (np.arange(n) + 0.5) / n)[covered]
    widths = np.geomspace(0.5, max(half / 3, 1.0), 12)
    fits = [_fit(profile, r, radius, width) for width in widths]
    best = int(np.argmin([fit[3] for fit in fits]))
    outside, height, place, _, error = fits[best]
    good = (height > _SIGNIFICANT * error) & (np.abs(place - radius) < 0.7 * half)
    direction = np.column_stack([np.cos(directions), np.sin(directions)])
    points = centre + place[:, None] * direction
    return Edge(
        points=points[good],
        inside=(outside + height)[good],
        outside=outside[good],
        width=float(widths[best]),
        n_sectors=n,
        n_covered=int(covered.sum()),
    )


def _fit(
    profile: Array, r: Array, radius: float, width: float
) -> tuple[Array, Array, Array, float, Array]:
    """Level outside, height and place of the edge of each profile.

    Also the sum of squared residuals, less what single profiles make of it, and the
    uncertainty of the heights.
    """
    n = len(profile)
    place = np.full(n, radius)
    quarter = max(1, len(r) // 4)
    outside = profile[:, -quarter:].mean(axis=1)
    height = profile[:, :quarter].mean(axis=1) - outside
    reach = 0.4 * float(np.ptp(r))
    for _ in range(_GAUSS_NEWTON_STEPS):
        u = (place[:, None] - r) / width
        step = ndtr(u)
        bell = np.exp(-0.5 * u * u) / (np.sqrt(2 * np.pi) * width)
        slope = np.stack([np.ones_like(step), step, height[:, None] * bell], axis=2)
        left = profile - outside[:, None] - height[:, None] * step
        normal = np.einsum("nri,nrj->nij", slope, slope)
        normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        right = np.einsum("nri,nr->ni", slope, left)
        move = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
        outside, height = outside + move[:, 0], height + move[:, 1]
        place = np.clip(
            place + np.clip(move[:, 2], -2 * width, 2 * width),
            radius - reach,
            radius + reach,
        )
    left = (
        profile
        - outside[:, None]
        - height[:, None] * ndtr((place[:, None] - r) / width)
    )
    squares = np.sum(left**2, axis=1)
    error = np.sqrt(
        np.maximum(np.linalg.inv(normal)[:, 1, 1], 0) * squares / max(len(r) - 3, 1)
    )
    return outside, height, place, float(np.median(squares)) if n else np.inf, error
