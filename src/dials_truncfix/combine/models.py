"""Whether replicates were processed alike: scans, detectors and crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.passages import setting_change

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tolerances:
    """How far the crystals of replicates may differ.

    Attributes
    ----------
    rotation : float
        Between their orientations, degrees.
    cell : float
        Between the lengths of their axes, percent.
    """

    rotation: float = 0.2
    cell: float = 1.0


def check_models(
    replicates: Sequence[Integrated], tolerances: Tolerances
) -> list[list[IntArray]]:
    """Make sure that replicates are of one sweep and found the same crystals.

    Parameters
    ----------
    replicates : sequence of Integrated
        At least two.
    tolerances : Tolerances
        How far crystals may differ.

    Returns
    -------
    list of list of ndarray of int, shape (3, 3)
        For each replicate and crystal, the matrix that takes its indices to the
        setting of the first replicate.

    Raises
    ------
    ValueError
        About the first difference.
    """
    first = replicates[0]
    changes = []
    for other in replicates:
        if len(other.experiments) != len(first.experiments):
            raise _disagree(
                first,
                other,
                f"{len(first.experiments)} and {len(other.experiments)} experiments",
                "index all replicates in the same way",
            )
        mine = []
        for number, (a, b) in enumerate(zip(first.experiments, other.experiments)):
            _check_scan(first, other, a.scan, b.scan)
            _check_panel(first, other, a.detector, b.detector)
            mine.append(_crystal_change(first, other, number, tolerances))
        changes.append(mine)
    return changes


def _disagree(
    first: Integrated, other: Integrated, what: str, advice: str
) -> ValueError:
    return ValueError(
        f"{first.experiments_path} and {other.experiments_path} are no replicates of "
        f"one sweep: {what}; {advice}"
    )


def _check_scan(first: Integrated, other: Integrated, a: Any, b: Any) -> None:
    def words(scan: Any) -> str:
        if scan is None:
            return "stills"
        start, width = scan.get_oscillation()
        return "images {}-{} of {:.4g}° from {:.4g}°".format(
            *scan.get_image_range(), width, start
        )

    same = (a is None) == (b is None) and (
        a is None
        or (
            a.get_image_range() == b.get_image_range()
            and np.allclose(a.get_oscillation(), b.get_oscillation(), atol=1e-4)
        )
    )
    if not same:
        raise _disagree(
            first,
            other,
            f"{words(a)}, and {words(b)}",
            "give replicates that dials.truncfix made in one run",
        )


def _check_panel(first: Integrated, other: Integrated, a: Any, b: Any) -> None:
    if a[0].get_image_size() != b[0].get_image_size():
        what = f"images of {a[0].get_image_size()} and {b[0].get_image_size()} pixels"
    elif not np.isclose(a[0].get_gain(), b[0].get_gain(), rtol=1e-4):
        what = f"gains of {a[0].get_gain():.4g} and {b[0].get_gain():.4g}"
    else:
        return
    raise _disagree(
        first, other, what, "give replicates that dials.truncfix made in one run"
    )


def _crystal_change(
    first: Integrated, other: Integrated, number: int, tolerances: Tolerances
) -> IntArray:
    """Bring the crystal of another replicate to the setting of the first's."""
    known = np.reshape(first.experiments[number].crystal.get_A(), (3, 3))
    found = np.reshape(other.experiments[number].crystal.get_A(), (3, 3))
    advice = (
        "index them in the same way, or with the crystal that was found for one of them"
    )
    try:
        change = setting_change(found, known)
    except ValueError as error:
        raise _disagree(first, other, str(error), advice) from None
    rotation, cell = crystal_difference(known, found @ np.linalg.inv(change))
    if rotation > tolerances.rotation or cell > tolerances.cell:
        raise _disagree(
            first,
            other,
            f"crystals {rotation:.3g}° apart, with axes that differ by {cell:.3g} %",
            advice,
        )
    return change


def crystal_difference(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[float, float]:
    """Compare two crystals in the same setting.

    Parameters
    ----------
    a, b : array_like, shape (3, 3)
        A of each: reciprocal axes as columns, Å⁻¹.

    Returns
    -------
    rotation : float
        Angle of the rotation that takes the axes of one closest to those of the
        other, degrees.
    cell : float
        Largest difference between the lengths of their direct axes, percent.
    """
    direct_a, direct_b = (np.linalg.inv(np.asarray(x, float)) for x in (a, b))
    # the orthogonal factor of the polar decomposition is the nearest rotation
    u, _, v = np.linalg.svd(direct_a.T @ np.asarray(b).T)
    turn = u @ v
    cosine = np.clip((np.trace(turn) - 1) / 2, -1, 1)
    lengths_a = np.linalg.norm(direct_a, axis=1)
    lengths_b = np.linalg.norm(direct_b, axis=1)
    cell = float(np.abs(lengths_b / lengths_a - 1).max())
    return float(np.degrees(np.arccos(cosine))), 100 * cell
