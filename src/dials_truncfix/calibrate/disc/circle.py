"""Circles through points of an edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Tukey's biweight reaches so many standard deviations.
_REACH = 5.0
_LEAST_SCATTER = 1e-3
#: Neighbouring points whose residuals may be alike.
_CLUSTER = 4
_TRIPLES = 300


@dataclass(frozen=True)
class Circle:
    """A circle fitted to points.

    Attributes
    ----------
    centre : ndarray, shape (2,)
        (fast, slow), pixels.
    radius : float
        Pixels.
    covariance : ndarray, shape (3, 3)
        Of centre and radius, pixels².
    residuals : ndarray, shape (n,)
        Distances of the points from the circle, positive outside, pixels.
    kept : ndarray, shape (n,), bool
        Points that agree with the rest.
    """

    centre: Array
    radius: float
    covariance: Array
    residuals: Array
    kept: BoolArray

    @property
    def rmsd(self) -> float:
        """Of the points that were kept, pixels."""
        return float(np.sqrt(np.mean(self.residuals[self.kept] ** 2)))


def circle_start(points: Array, tolerance: float) -> tuple[Array, float]:
    """Find the circle that most points lie on, among those through three of them.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Edge, with what else looks like it.
    tolerance : float
        How near a point has to be, pixels.

    Returns
    -------
    centre : ndarray, shape (2,)
    radius : float

    Raises
    ------
    ValueError
        If no three points make a circle.
    """
    rng = np.random.default_rng(1)
    a, b, c = points[rng.integers(0, len(points), (3, _TRIPLES))]
    ab, ac = b - a, c - a
    cross = 2 * (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    longest = np.maximum(np.sum(ab**2, axis=1), np.sum(ac**2, axis=1))
    # nearly on a line, a hair moves the circle by miles
    good = np.abs(cross) > 0.02 * longest
    if not good.any():
        raise ValueError("the edge is straight")
    ab, ac, a, cross = ab[good], ac[good], a[good], cross[good]
    b2, c2 = np.sum(ab**2, axis=1), np.sum(ac**2, axis=1)
    u = (ac[:, 1] * b2 - ab[:, 1] * c2) / cross
    v = (ab[:, 0] * c2 - ac[:, 0] * b2) / cross
    centres = a + np.column_stack([u, v])
    radii = np.hypot(u, v)
    distance = np.linalg.norm(points[None] - centres[:, None], axis=2)
    hits = np.sum(np.abs(distance - radii[:, None]) < tolerance, axis=1)
    best = int(np.argmax(hits))
    near = np.abs(distance[best] - radii[best]) < tolerance
    fitted = fit_circle(points[near], centres[best], float(radii[best]))
    return fitted.centre, fitted.radius


def fit_circle(points: Array, centre: Array, radius: float) -> Circle:
    """Fit a circle to points in their order along it, outlying ones counting less.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        (fast, slow), pixels.
    centre, radius
        A start.

    Returns
    -------
    Circle

    References
    ----------
    Liang, K.-Y. & Zeger, S. L. (1986). Biometrika 73, 13-22,
    doi:10.1093/biomet/73.1.13: uncertainties from the scatter between stretches.
    """
    centre = np.asarray(centre, float)
    for _ in range(15):
        offset = points - centre
        distance = np.linalg.norm(offset, axis=1)
        residual = distance - radius
        middle = np.median(np.abs(residual))
        spread = max(1.4826 * float(middle), _LEAST_SCATTER)
        far = np.abs(residual) / (_REACH * spread)
        weight = np.where(far < 1, (1 - far**2) ** 2, 0.0)
        slope = np.column_stack([offset / distance[:, None], np.ones(len(points))])
        normal = np.linalg.pinv((weight[:, None] * slope).T @ slope)
        step = normal @ (slope.T @ (weight * residual))
        centre, radius = centre + step[:2], radius + float(step[2])
        if np.abs(step).max() < 1e-5:
            break
    kept = weight > 0
    bend = np.where(kept, (1 - far**2) * (1 - 5 * far**2), 0.0)
    bread = np.linalg.pinv((bend[:, None] * slope).T @ slope)
    score = slope * (weight * residual)[:, None]
    starts = np.arange(0, len(points), _CLUSTER)
    clusters = np.add.reduceat(score, starts, axis=0)
    n = max(int(np.count_nonzero(kept)) - 3, 1)
    meat = clusters.T @ clusters * (n + 3) / n * len(starts) / max(len(starts) - 1, 1)
    return Circle(centre, radius, bread @ meat @ bread, residual, kept)
