"""Pixel sizes and rotations of a camera's magnifications, linked by what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.magnifications.magnification_table import Magnification

Array = npt.NDArray[np.float64]

#: Taken where a number comes without its uncertainty: parts, and degrees.
UNSTATED_PART, UNSTATED_DEG = 0.01, 0.5
_QUARTER = 90.0
#: Links that disagree by more than so many standard uncertainties are reported.
_DISAGREE = 4.0


@dataclass(frozen=True)
class Link:
    """A difference between two magnifications, or a value of one.

    Attributes
    ----------
    first : int or None
        Number of the row from which it counts; None for a value.
    second : int
        Number of the row.
    value, error : float
        Natural logarithm of the pixel size (nm), or degrees.
    """

    first: int | None
    second: int
    value: float
    error: float


@dataclass(frozen=True)
class Chained:
    """One magnification in its chain.

    Attributes
    ----------
    row : Magnification
        As measured.
    pixel_size_nm, pixel_size_error_nm : float or None
        By all links; None where no chain leads to a measured pixel size.
    relative_deg, relative_error_deg : float or None
        Rotation against the next lower magnification; None across a gap.
    rotation_deg, rotation_error_deg : float
        Against the lowest magnification of the chain.
    chain : int
        Number of the chain of rotations.
    """

    row: Magnification
    pixel_size_nm: float | None
    pixel_size_error_nm: float | None
    relative_deg: float | None
    relative_error_deg: float | None
    rotation_deg: float
    rotation_error_deg: float
    chain: int


@dataclass(frozen=True)
class Chain:
    """All magnifications of a camera, the lowest first.

    Attributes
    ----------
    members : tuple of Chained
        In their order.
    gaps : tuple of (float, float)
        Neighbours that nothing links in rotation.
    disagreements : tuple of str
        Links that do not fit the rest.
    """

    members: tuple[Chained, ...]
    gaps: tuple[tuple[float, float], ...]
    disagreements: tuple[str, ...]


def chain_magnifications(rows: Sequence[Magnification]) -> Chain:
    """Link the rows of one camera by weighted least squares.

    Parameters
    ----------
    rows : sequence of Magnification
        Of one camera, in any order.

    Returns
    -------
    Chain
    """
    rows = sorted(rows, key=lambda row: row.magnification)
    number = {row.magnification: k for k, row in enumerate(rows)}
    sizes, turns = _size_links(rows, number), _turn_links(rows, number)
    size, size_cov, size_part = _solve(len(rows), sizes)
    turn, turn_cov, turn_part = _solve(len(rows), turns)
    known = {size_part[link.second] for link in sizes if link.first is None}
    names = {part: n for n, part in enumerate(dict.fromkeys(turn_part))}
    members = []
    for k, row in enumerate(rows):
        pixel = error = relative = relative_error = None
        if size_part[k] in known:
            pixel = math.exp(size[k])
            error = pixel * math.sqrt(max(size_cov[k, k], 0.0))
        if k and turn_part[k] == turn_part[k - 1]:
            step = np.zeros(len(rows))
            step[[k - 1, k]] = -1.0, 1.0
            relative = float(turn[k] - turn[k - 1])
            relative_error = math.sqrt(max(float(step @ turn_cov @ step), 0.0))
        members.append(
            Chained(
                row=row,
                pixel_size_nm=pixel,
                pixel_size_error_nm=error,
                relative_deg=relative,
                relative_error_deg=relative_error,
                # the first of a chain is zero but for rounding
                rotation_deg=round(float(turn[k]), 9) + 0.0,
                rotation_error_deg=math.sqrt(max(turn_cov[k, k], 0.0)),
                chain=names[turn_part[k]],
            )
        )
    gaps = [
        (rows[k - 1].magnification, rows[k].magnification)
        for k in range(1, len(rows))
        if turn_part[k] != turn_part[k - 1]
    ]
    wrong = _disagreements(rows, sizes, size, "pixel size")
    wrong += _disagreements(rows, turns, turn, "rotation")
    return Chain(tuple(members), tuple(gaps), tuple(wrong))


def _size_links(rows: Sequence[Magnification], number: dict[float, int]) -> list[Link]:
    links = []
    for k, row in enumerate(rows):
        if row.pixel_size_nm is not None:
            error = row.pixel_size_error_nm or UNSTATED_PART * row.pixel_size_nm
            links.append(
                Link(None, k, math.log(row.pixel_size_nm), error / row.pixel_size_nm)
            )
        if row.ratio is not None and row.reference in number:
            error = row.ratio_error or UNSTATED_PART * row.ratio
            links.append(
                Link(number[row.reference], k, -math.log(row.ratio), error / row.ratio)
            )
    return links


def _turn_links(rows: Sequence[Magnification], number: dict[float, int]) -> list[Link]:
    links = [
        Link(number[row.reference], k, row.turn_deg, row.turn_error_deg or UNSTATED_DEG)
        for k, row in enumerate(rows)
        if row.turn_deg is not None and row.reference in number
    ]
    measured = {frozenset((link.first, link.second)) for link in links}
    for k in range(1, len(rows)):
        low, high = rows[k - 1], rows[k]
        if low.axis_deg is None or high.axis_deg is None:
            continue
        # an axis tells no quarter turns, a pair of images does
        if frozenset((k - 1, k)) in measured:
            continue
        step = high.axis_deg - low.axis_deg
        step -= _QUARTER * round(step / _QUARTER)
        error = math.hypot(
            low.axis_error_deg or UNSTATED_DEG, high.axis_error_deg or UNSTATED_DEG
        )
        links.append(Link(k - 1, k, step + _QUARTER * high.quarter_turns, error))
    return links


def _solve(n: int, links: Sequence[Link]) -> tuple[Array, Array, list[int]]:
    """Values, their covariance, and the number of the part to which each belongs.

    In a part without a value of its own the first member is zero.
    """
    part = list(range(n))
    for link in links:
        if link.first is not None:
            old, new = part[link.second], part[link.first]
            part = [min(old, new) if p in (old, new) else p for p in part]
    fixed = {part[link.second] for link in links if link.first is None}
    gauge = [
        Link(None, k, 0.0, 1.0) for k in range(n) if part[k] == k and k not in fixed
    ]
    free = {link.second for link in gauge}
    design, value, weight = [], [], []
    for link in [*links, *gauge]:
        line = np.zeros(n)
        line[link.second] = 1.0
        if link.first is not None:
            line[link.first] = -1.0
        design.append(line)
        value.append(link.value)
        weight.append(1 / link.error)
    if not n:
        return np.zeros(0), np.zeros((0, 0)), part
    left = np.array(design) * np.array(weight)[:, None]
    inverse = np.linalg.inv(left.T @ left)
    found = inverse @ left.T @ (np.array(value) * weight)
    # the member that was set to zero is zero, not zero ± 1
    for start in free:
        inverse[np.ix_(*[[k for k in range(n) if part[k] == start]] * 2)] -= 1.0
    return found, inverse, part


def _disagreements(
    rows: Sequence[Magnification], links: Sequence[Link], found: Array, what: str
) -> list[str]:
    sentences = []
    for link in links:
        first = 0.0 if link.first is None else found[link.first]
        off = abs(found[link.second] - first - link.value) / link.error
        if off > _DISAGREE:
            name = f"{rows[link.second].magnification:g}"
            if link.first is not None:
                name += f" against {rows[link.first].magnification:g}"
            sentences.append(
                f"The {what} of {name} is {off:.0f} of its standard uncertainties from "
                "what the rest of the table says."
            )
    return sentences
