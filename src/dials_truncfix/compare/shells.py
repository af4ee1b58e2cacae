"""Resolution shells, and what changed in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.compare.observations import FloatArray, IntArray, Observations
from dials_truncfix.compare.pairs import Pairs

NAN = float("nan")

#: A sum of intensities below so many standard deviations may be nothing.
_SIGNIFICANT = 3.0


def shell_limits(
    d: FloatArray,
    n_shells: int,
    d_max: float | None = None,
    d_min: float | None = None,
) -> FloatArray:
    """Divide a range of resolution evenly in 1/d².

    Parameters
    ----------
    d : ndarray, shape (n,)
        Resolution of all reflections, Å.
    n_shells : int
        Number of shells.
    d_max, d_min : float, optional
        Ends of the range, Å; those of the reflections if not given.

    Returns
    -------
    ndarray, shape (n_shells + 1,)
        Limits from low to high resolution, Å. A shell holds d_low > d >= d_high.

    Raises
    ------
    ValueError
        If there is no range, or no reflection in it.
    """
    if n_shells < 1:
        raise ValueError(f"{n_shells} resolution shells")
    # the reflections at the ends belong to their shells
    low = float(d.max()) * (1 + 1e-9) if d_max is None else d_max
    high = float(d.min()) * (1 - 1e-9) if d_min is None else d_min
    if not low > high > 0:
        raise ValueError(f"no resolution range between {low:g} and {high:g} Å")
    limits = 1.0 / np.sqrt(np.linspace(low**-2, high**-2, n_shells + 1))
    limits[0], limits[-1] = low, high
    if not np.any((d < low) & (d >= high)):
        raise ValueError(f"no reflection between {low:g} and {high:g} Å")
    return np.asarray(limits)


def shell_of(d: FloatArray, limits: FloatArray) -> IntArray:
    """Find the shell of each reflection; -1 outside all.

    Parameters
    ----------
    d : ndarray, shape (n,)
        Resolution, Å.
    limits : ndarray, shape (n_shells + 1,)
        From `shell_limits`.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    number = np.searchsorted(-limits, -d, side="left") - 1
    return np.where(number < len(limits) - 1, number, -1)


@dataclass(frozen=True)
class Change:
    """What became of the integrated reflections of a shell.

    Figures with ``before`` and ``after`` are of the reflections that both hold, before
    merging.

    Attributes
    ----------
    d_max, d_min : float
        Limits of the shell, Å.
    n_common, n_only_before, n_only_after : int
        Reflections in both tables, and in one only.
    mean_before : float
        Mean intensity before.
    change, change_error : float
        Mean of after minus before, and its standard error.
    ratio : float
        Sum of the intensities after over that before; NaN where the latter is less
        than three standard deviations.
    negative_before, negative_after : float
        Fraction of negative intensities.
    i_over_sigma_before, i_over_sigma_after : float
        Mean of I/σ.
    """

    d_max: float
    d_min: float
    n_common: int
    n_only_before: int
    n_only_after: int
    mean_before: float
    change: float
    change_error: float
    ratio: float
    negative_before: float
    negative_after: float
    i_over_sigma_before: float
    i_over_sigma_after: float


def changes(pairs: Pairs, limits: FloatArray) -> list[Change]:
    """Describe each shell, and all of them together in a last entry.

    Parameters
    ----------
    pairs : Pairs
        The reflections.
    limits : ndarray, shape (n_shells + 1,)
        From `shell_limits`.

    Returns
    -------
    list of Change
        NaN where a figure cannot be had.
    """
    before = pairs.before.select(pairs.row_before)
    after = pairs.after.select(pairs.row_after)
    common = shell_of(pairs.d_after[pairs.row_after], limits)
    lost = shell_of(pairs.d_before[pairs.only_before], limits)
    won = shell_of(pairs.d_after[pairs.only_after], limits)
    n_shells = len(limits) - 1
    result = []
    for first, last in [*((i, i) for i in range(n_shells)), (0, n_shells - 1)]:
        chosen = (common >= first) & (common <= last)
        result.append(
            _change(
                before.select(chosen),
                after.select(chosen),
                (float(limits[first]), float(limits[last + 1])),
                int(np.count_nonzero((lost >= first) & (lost <= last))),
                int(np.count_nonzero((won >= first) & (won <= last))),
            )
        )
    return result


def _change(
    before: Observations,
    after: Observations,
    limits: tuple[float, float],
    n_only_before: int,
    n_only_after: int,
) -> Change:
    n = len(before)
    difference = after.value - before.value
    total = before.value.sum()
    significant = total > _SIGNIFICANT * np.sqrt(np.sum(before.sigma**2))
    return Change(
        d_max=limits[0],
        d_min=limits[1],
        n_common=n,
        n_only_before=n_only_before,
        n_only_after=n_only_after,
        mean_before=float(before.value.mean()) if n else NAN,
        change=float(difference.mean()) if n else NAN,
        change_error=float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else NAN,
        ratio=float(after.value.sum() / total) if significant else NAN,
        negative_before=float(np.mean(before.value < 0)) if n else NAN,
        negative_after=float(np.mean(after.value < 0)) if n else NAN,
        i_over_sigma_before=float(np.mean(before.value / before.sigma)) if n else NAN,
        i_over_sigma_after=float(np.mean(after.value / after.sigma)) if n else NAN,
    )
