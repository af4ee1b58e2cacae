"""The table of magnifications in words, tables and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dials_truncfix import __version__
from dials_truncfix.calibrate.magnifications.chain import Chain, Chained
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.magnifications/1"
#: Pixel size times magnification is about the same at all magnifications.
_OUTLYING = 0.05
#: Beyond so many degrees a quarter turn may be missing, or too much.
_LARGE_TURN = 30.0


def product(member: Chained) -> float | None:
    """Pixel size times magnification, nm."""
    if member.pixel_size_nm is None:
        return None
    return member.pixel_size_nm * member.row.magnification


def chain_table(camera: str, chain: Chain) -> Table:
    """List magnifications with what is known of each, and in relation to its neighbours."""
    rows = [
        [
            f"{member.row.magnification:g}",
            _with_error(member.row.pixel_size_nm, member.row.pixel_size_error_nm),
            _with_error(member.pixel_size_nm, member.pixel_size_error_nm),
            _with_error(member.relative_deg, member.relative_error_deg, 3),
            _with_error(member.rotation_deg, member.rotation_error_deg, 3),
            f"{member.chain + 1}",
            "–" if (p := product(member)) is None else f"{1e-3 * p:.5g}",
        ]
        for member in chain.members
    ]
    header = [
        "magnification",
        "pixel size,\nmeasured (nm)",
        "pixel size,\nby the chain (nm)",
        "rotation against\nnext lower (°)",
        "rotation in\nits chain (°)",
        "chain",
        "pixel size ×\nmagnification (µm)",
    ]
    return Table(f"Camera {camera}", header, rows)


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _with_error(value: float | None, error: float | None, digits: int = 5) -> str:
    if value is None:
        return "–"
    text = f"{value:.{digits}g}" if digits == 5 else f"{value:.{digits}f}"
    # the first of a chain is where counting begins
    if error is None or error == 0:
        return text
    return f"{text} ± {error:.2g}"


def findings(chains: Mapping[str, Chain]) -> list[str]:
    """Say what the table holds, in sentences."""
    sentences = []
    for camera, chain in chains.items():
        n = len(chain.members)
        known = sum(member.pixel_size_nm is not None for member in chain.members)
        sentences.append(
            f"Camera {camera}: {_counted(n, 'magnification')}, {known} of them with a pixel "
            "size, in "
            + _counted(len({m.chain for m in chain.members}), "chain")
            + " of rotations."
        )
    if not chains:
        sentences.append("The table is empty.")
    else:
        sentences.append(
            "Valid as long as the microscope is not aligned anew. Rotations count from the "
            "lowest magnification of a chain, from fast towards slow."
        )
    return sentences


def warnings(chains: Mapping[str, Chain]) -> list[str]:
    """List gaps, and what does not fit."""
    sentences = []
    for camera, chain in chains.items():
        where = f"camera {camera}"
        for low, high in chain.gaps:
            sentences.append(
                f"Gap, {where}: nothing links the rotations of {low:g} and {high:g}; "
                "compare an image of each by mode=pair, or measure the same grating."
            )
        sizes = [m.row.magnification for m in chain.members if m.pixel_size_nm is None]
        if sizes:
            names = ", ".join(f"{size:g}" for size in sizes)
            sentences.append(
                f"Gap, {where}: no pixel size, and no chain to one, at {names}."
            )
        known = {member.row.magnification for member in chain.members}
        for member in chain.members:
            if member.row.reference not in (None, *known):
                sentences.append(
                    f"Gap, {where}: {member.row.magnification:g} was compared with "
                    f"{member.row.reference:g}, which is not in the table."
                )
        products = [product(member) for member in chain.members]
        middle = np.median([p for p in products if p is not None] or [np.nan])
        for member, value in zip(chain.members, products):
            if value is not None and abs(value / middle - 1) > _OUTLYING:
                sentences.append(
                    f"{where.capitalize()}, {member.row.magnification:g}: pixel size × "
                    f"magnification is {100 * (value / middle - 1):+.0f} % off the median: "
                    "check the pixel size, or the camera has another range."
                )
            turn = member.relative_deg
            if turn is not None and abs(turn) > _LARGE_TURN and _by_axis(member):
                near = turn - 90 * round(turn / 90)
                sentences.append(
                    f"{where.capitalize()}, {member.row.magnification:g}: {turn:.1f}° "
                    f"against the next lower may be {near:.1f}° and quarter turns: look, "
                    "and use table.action=turn."
                )
        sentences += [f"{where.capitalize()}: {text}" for text in chain.disagreements]
    return sentences


def _by_axis(member: Chained) -> bool:
    return member.row.turn_deg is None


def table_record(chains: Mapping[str, Chain]) -> dict[str, Any]:
    """Describe the table by plain values; what is not finite becomes None."""
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "cameras": {
            camera: {
                "magnifications": [
                    {
                        **asdict(member.row),
                        "chained_pixel_size_nm": member.pixel_size_nm,
                        "chained_pixel_size_error_nm": member.pixel_size_error_nm,
                        "relative_rotation_deg": member.relative_deg,
                        "relative_rotation_error_deg": member.relative_error_deg,
                        "rotation_in_chain_deg": member.rotation_deg,
                        "rotation_in_chain_error_deg": member.rotation_error_deg,
                        "chain": member.chain + 1,
                        "pixel_size_times_magnification_nm": product(member),
                    }
                    for member in chain.members
                ],
                "gaps": [list(gap) for gap in chain.gaps],
            }
            for camera, chain in chains.items()
        },
        "findings": findings(chains),
        "warnings": warnings(chains),
    }
    return dict(finite_values(record))
