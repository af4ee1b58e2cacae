"""The table of magnifications as a page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dials_truncfix.calibrate.magnifications.chain import Chain
from dials_truncfix.calibrate.magnifications.table_words import (
    chain_table,
    findings,
    product,
    warnings,
)
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    plot_text,
    render_page,
)
from dials_truncfix.report.palette import CYCLE


def magnifications_page(chains: Mapping[str, Chain]) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(chains)
    words: list[Content] = [Notice(sentences, "plain")]
    if warned := warnings(chains):
        words.insert(0, Notice(warned, "warning"))
    sections = [Section("Magnifications", words)]
    for camera, chain in chains.items():
        figures = [_rotations(chain)]
        if any(product(member) is not None for member in chain.members):
            figures.insert(0, _products(chain))
        sections.append(
            Section(
                f"Camera {camera}",
                [
                    html_table(chain_table(plot_text(camera), chain)),
                    FigureGrid(figures),
                ],
            )
        )
    return render_page(
        "Pixel sizes and rotations of all magnifications",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _axis(chain: Chain) -> dict[str, object]:
    sizes = np.array([member.row.magnification for member in chain.members])
    low, high = np.log10(sizes.min()), np.log10(sizes.max())
    room = max(0.06 * (high - low), 0.05)
    return {
        "title": {"text": "magnification"},
        "type": "log",
        "range": [low - room, high + room],
        "dtick": 1 if high - low > 0.8 else "L" + f"{sizes.max() / 4:.1g}",
    }


def _products(chain: Chain) -> Figure:
    products = [(member, product(member)) for member in chain.members]
    known = [member for member, value in products if value is not None]
    values = np.array([value for _, value in products if value is not None])
    errors = np.array(
        [(m.pixel_size_error_nm or 0.0) * m.row.magnification for m in known]
    )
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [m.row.magnification for m in known],
                    "y": values / 1e3,
                    "error_y": {"type": "data", "array": errors / 1e3, "width": 0},
                    "marker": {"size": 9, "color": CYCLE[0]},
                }
            ],
            "layout": {
                "xaxis": _axis(chain),
                "yaxis": {"title": {"text": "pixel size × magnification (µm)"}},
                "showlegend": False,
            },
        },
        description=f"Pixel size times magnification of {len(known)} magnifications, "
        f"{values.min() / 1e3:.4g} to {values.max() / 1e3:.4g} µm.",
        title="Pixel size × magnification",
        caption="About the same at all magnifications; one that stands out is wrong, or of "
        "another range of the microscope.",
    )


def _rotations(chain: Chain) -> Figure:
    numbers = sorted({member.chain for member in chain.members})
    traces = []
    for k, number in enumerate(numbers):
        part = [member for member in chain.members if member.chain == number]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"chain {number + 1}",
                "x": [m.row.magnification for m in part],
                "y": [m.rotation_deg for m in part],
                "error_y": {
                    "type": "data",
                    "array": [m.rotation_error_deg for m in part],
                    "width": 0,
                },
                "marker": {"size": 9, "color": CYCLE[k % len(CYCLE)]},
                "line": {"color": CYCLE[k % len(CYCLE)]},
            }
        )
    return Figure(
        {
            "data": traces,
            "layout": {
                "xaxis": _axis(chain),
                "yaxis": {"title": {"text": "rotation (°)"}},
                "showlegend": len(numbers) > 1,
            },
        },
        description=f"Rotations of {len(chain.members)} magnifications in "
        f"{len(numbers)} chains.",
        title="Rotation",
        caption="Within a chain, against its lowest magnification. Nothing links one chain "
        "to another.",
    )
