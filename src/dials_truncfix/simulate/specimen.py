"""Images of a specimen of random particles, moved, magnified and distorted exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Particles:
    """Gaussian particles that take electrons out of the beam.

    Attributes
    ----------
    places : ndarray, shape (n, 2)
        (fast, slow), pixels.
    widths : ndarray, shape (n,)
        Standard deviations, pixels.
    strengths : ndarray, shape (n,)
        Exponent of absorption in the middle.
    """

    places: Array
    widths: Array
    strengths: Array


def random_particles(
    low: tuple[float, float],
    high: tuple[float, float],
    seed: int,
    *,
    density: float = 0.006,
) -> Particles:
    """Strew particles of many sizes over a rectangle.

    Parameters
    ----------
    low, high : tuple of float
        Corners (fast, slow), pixels.
    seed : int
        Of the random numbers.
    density : float
        Particles per square pixel.

    Returns
    -------
    Particles
    """
    rng = np.random.default_rng(seed)
    n = int(density * np.prod(np.subtract(high, low)))
    return Particles(
        rng.uniform(low, high, (n, 2)),
        rng.uniform(1.0, 4.0, n),
        rng.exponential(0.3, n),
    )


def specimen_electrons(
    particles: Particles,
    shape: tuple[int, int],
    dose: float,
    *,
    matrix: npt.ArrayLike = ((1.0, 0.0), (0.0, 1.0)),
    shift: npt.ArrayLike = (0.0, 0.0),
    distort: Callable[[Array], Array] | None = None,
    blur: float = 0.0,
) -> Array:
    """Sum up the electrons expected in an image.

    Parameters
    ----------
    particles : Particles
        The specimen.
    shape : tuple of int
        Pixels (slow, fast).
    dose : float
        Electrons per pixel beside the particles.
    matrix : array_like, shape (2, 2)
        Magnification and rotation about the middle of the image.
    shift : array_like, shape (2,)
        Of the specimen (fast, slow), pixels, after magnification.
    distort : callable, optional
        Places to places on the image, shape (n, 2).
    blur : float
        Standard deviation that widens all particles, pixels.

    Returns
    -------
    ndarray, shape (slow, fast)
    """
    magnify = np.asarray(matrix, float)
    middle = np.array(shape[::-1]) / 2
    places = (particles.places - middle) @ magnify.T + middle + np.asarray(shift, float)
    if distort is not None:
        places = distort(places)
    size = np.sqrt(abs(np.linalg.det(magnify)))
    width = np.hypot(size * particles.widths, blur)
    near = np.all((places > -5 * width[:, None]), axis=1)
    near &= np.all(places < np.array(shape[::-1]) + 5 * width[:, None], axis=1)
    places, width = places[near], width[near]
    # blurring keeps what a particle takes out as a whole
    strength = particles.strengths[near] * (size * particles.widths[near] / width) ** 2
    profile = [
        np.exp(-0.5 * ((np.arange(n) + 0.5 - places[:, k, None]) / width[:, None]) ** 2)
        for k, n in ((1, shape[0]), (0, shape[1]))
    ]
    absorption = (profile[0] * strength[:, None]).T @ profile[1]
    return np.asarray(dose * np.exp(-absorption))
