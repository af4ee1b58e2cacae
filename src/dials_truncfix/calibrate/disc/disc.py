"""Centre, diameter and uniformity of the beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.calibrate.disc.circle import Circle, circle_start, fit_circle
from dials_truncfix.calibrate.disc.edge import Edge, find_edge
from dials_truncfix.calibrate.disc.uniformity import (
    Centroid,
    Uniformity,
    centroid,
    uniformity,
)
from dials_truncfix.calibrate.pairs.image_checks import check_image, without_defects

Array = npt.NDArray[np.float64]

#: Two levels differ by so many of their standard deviations; a slope has 3.5 of them.
_TWO_LEVELS = 4.0
_SMALLEST_RADIUS = 8.0
#: Least part of the circle's circumference that has to be seen.
LEAST_ARC = 0.125
_ROUNDS = 4
_BINS = 256


@dataclass(frozen=True)
class Disc:
    """What an image of the beam tells.

    Attributes
    ----------
    circle : Circle
        Fitted to the edge.
    edge : Edge
        Its points and levels.
    arc : float
        Part of the circumference that was used.
    even : Uniformity
        Of the intensity within.
    centroid : Centroid or None
        None where a part of the beam is off the image.
    zeros : float
        Part of the pixels beside the beam that are zero.
    shape : tuple of int
        Of the image (slow, fast).
    name : str
        Of the image.
    """

    circle: Circle
    edge: Edge
    arc: float
    even: Uniformity
    centroid: Centroid | None
    zeros: float
    shape: tuple[int, int]
    name: str

    @property
    def truncation_error(self) -> float:
        """By how much the radius is too small at most where negative values were lost.

        They raise the dark, and with it the half height of an edge that is an error
        function.
        """
        dark = float(np.median(self.edge.outside))
        height = float(np.median(self.edge.inside)) - dark
        return max(dark, 0.0) / height * self.edge.width * float(np.sqrt(np.pi / 2))

    @property
    def roundness(self) -> float:
        """Amplitude of an ellipse in the edge's residuals, over the radius.

        Half of long over short axis minus 1.
        """
        kept = self.circle.kept
        offset = self.edge.points[kept] - self.circle.centre
        azimuth = np.arctan2(offset[:, 1], offset[:, 0])
        waves = [f(k * azimuth) for k in (1, 2) for f in (np.cos, np.sin)]
        terms = np.column_stack([np.ones(len(azimuth)), *waves])
        found = np.linalg.lstsq(terms, self.circle.residuals[kept], rcond=None)[0]
        return float(np.hypot(*found[3:]) / self.circle.radius)


def measure_disc(image: Array, name: str) -> Disc:
    """Measure an image of the beam.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    name : str
        For messages.

    Returns
    -------
    Disc

    Raises
    ------
    ValueError
        If it is blank or saturated, or shows no disc, or too little of its edge.
    """
    check_image(image, name)
    is_zero = image == 0
    image = without_defects(image)
    centre, radius = _start(image, name)
    half = max(8.0, 0.08 * radius)
    for _ in range(_ROUNDS):
        edge = find_edge(image, centre, radius, min(half, 0.8 * radius))
        if len(edge.points) < max(12, LEAST_ARC * edge.n_sectors):
            raise ValueError(
                f"{name} shows {100 * len(edge.points) / edge.n_sectors:.0f} % of the "
                f"beam's edge, and {100 * LEAST_ARC:.0f} % are needed: centre the beam, or "
                "make it smaller"
            )
        circle = fit_circle(edge.points, centre, radius)
        centre, radius = circle.centre, circle.radius
        half = max(8.0, 6 * edge.width)
    whole = bool(
        np.all(centre > radius + 3 * edge.width)
        and np.all(centre + radius + 3 * edge.width < image.shape[::-1])
    )
    slow, fast = np.indices(image.shape)
    distance = np.hypot(fast + 0.5 - centre[0], slow + 0.5 - centre[1])
    beside = distance > radius + 4 * edge.width
    dark = float(np.median(edge.outside))
    bright = float(np.median(edge.inside))
    return Disc(
        circle=circle,
        edge=edge,
        arc=int(circle.kept.sum()) / edge.n_sectors,
        even=uniformity(image - dark, centre, radius - 3 * edge.width),
        centroid=(
            centroid(image - dark, centre, radius + 4 * edge.width, bright - dark)
            if whole
            else None
        ),
        zeros=float(is_zero[beside].mean()) if beside.any() else 0.0,
        shape=(image.shape[0], image.shape[1]),
        name=name,
    )


def _start(image: Array, name: str) -> tuple[Array, float]:
    """About where the disc is: a circle through the border of what is bright."""
    smooth = ndimage.gaussian_filter(image, max(1.5, min(image.shape) / 256))
    threshold, separation = _two_levels(smooth)
    if separation < _TWO_LEVELS:
        raise ValueError(
            f"{name} shows no edge of a beam: its pixels are not of two levels; record "
            "the beam without a specimen, smaller than the image or shifted"
        )
    bright = ndimage.binary_fill_holes(_largest(smooth > threshold))
    border = bright & ~ndimage.binary_erosion(bright, border_value=1)
    border[[0, 1, -2, -1], :] = border[:, [0, 1, -2, -1]] = False
    slow, fast = np.nonzero(border)
    if len(slow) < 24:
        raise ValueError(
            f"{name} shows {len(slow)} pixels of the beam's edge: the beam is too small, "
            "or covers the whole image"
        )
    points = np.column_stack([fast, slow]) + 0.5
    try:
        centre, radius = circle_start(points, max(3.0, 0.01 * min(image.shape)))
    except ValueError:
        radius = np.inf
    if not _SMALLEST_RADIUS < radius < 5 * max(image.shape):
        raise ValueError(
            f"{name} shows an edge, but no disc of {_SMALLEST_RADIUS:.0f} pixels or more: "
            "record the beam without a specimen"
        )
    return centre, radius


def _two_levels(values: Array) -> tuple[float, float]:
    """Threshold between two levels, and their distance over their standard deviation.

    References
    ----------
    Otsu, N. (1979). IEEE Trans. Syst. Man Cybern. 9, 62-66,
    doi:10.1109/TSMC.1979.4310076.
    """
    low, high = np.percentile(values, [0.1, 99.9])
    count, limits = np.histogram(values, _BINS, (low, high))
    middle = (limits[1:] + limits[:-1]) / 2
    below = np.cumsum(count)[:-1].astype(float)
    above = below[-1] + count[-1] - below
    sums = np.cumsum(count * middle)
    both = (below > 0) & (above > 0)
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = np.where(both, below * above * (mean_above - mean_below) ** 2, 0.0)
    k = int(np.argmax(between))
    threshold = float(limits[k + 1])
    parts = values[values <= threshold], values[values > threshold]
    if min(map(len, parts)) < 2:
        return threshold, 0.0
    # what counts is the spread of most, not the pixels on the edge between
    spread = [float(np.subtract(*np.percentile(p, [75, 25]))) / 1.349 for p in parts]
    distance = float(np.median(parts[1]) - np.median(parts[0]))
    return threshold, distance / max(
        float(np.hypot(spread[0], spread[1])) / np.sqrt(2), 1e-12
    )


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    labels, n = ndimage.label(mask)
    if n <= 1:
        return mask
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
