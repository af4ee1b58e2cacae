"""Strong spots against the truth of a simulated sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.simulate.truth import Truth


@dataclass(frozen=True)
class SpotFinding:
    """Strong spots against the truth.

    Attributes
    ----------
    n_true, n_false : int
        Spots with and without a reflection near them.
    recall : float
        Part of the reflections within `recall_limits` that was found.
    """

    n_true: int
    n_false: int
    recall: float


def spot_finding(
    truth: Truth,
    table: flex.reflection_table,
    *,
    max_pixels: float = 2.0,
    min_intensity: float = 20.0,
    recall_limits: tuple[float, float] = (100.0, 500.0),
) -> SpotFinding:
    """Count strong spots that belong to a reflection, and those that do not.

    Parameters
    ----------
    truth : Truth
        The truth.
    table : dials.array_family.flex.reflection_table
        From ``strong.refl``.
    max_pixels : float
        Largest distance on the camera, pixels. Along the rotation a spot may lie
        anywhere in the reflection's rocking curve, and one image beyond.
    min_intensity : float
        Reflections weaker than this explain no spot, e⁻.
    recall_limits : tuple of float
        True intensities over which `SpotFinding.recall` is taken, e⁻.

    Returns
    -------
    SpotFinding
    """
    spots = flumpy.to_numpy(table["xyzobs.px.value"])
    r = truth.reflections
    strong_enough = np.flatnonzero(r.intensity >= min_intensity)
    tree = cKDTree(np.column_stack([r.x, r.y])[strong_enough])
    pairs = tree.query_ball_point(spots[:, :2], max_pixels)
    spot = np.repeat(np.arange(len(spots)), [len(p) for p in pairs])
    reflection = strong_enough[np.concatenate([*pairs, []]).astype(np.int64)]
    near = np.abs(r.z[reflection] - spots[spot, 2]) <= 1.0 + 3.0 * r.sigma_z[reflection]
    n_true = len(np.unique(spot[near]))
    low, high = recall_limits
    whole = (r.z > 0) & (r.z < truth.n_images)
    wanted = whole & ~truth.shadowed & (r.intensity >= low) & (r.intensity < high)
    found = np.zeros(len(r), dtype=bool)
    found[reflection[near]] = True
    recall = float(found[wanted].mean()) if wanted.any() else float("nan")
    return SpotFinding(n_true, len(spots) - n_true, recall)
