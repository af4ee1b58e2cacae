"""Write docs/neighbours.rst from docs/measured/dials-*.json.

Usage: python benchmarks/neighbours_page.py
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from neighbour_inputs import (
    BATCH,
    N_IMAGES,
    N_STILLS,
    STOCK_STILLS,
    STOCK_SWEEP,
    SWEEPS,
    TABLES,
)
from rst_pages import DOCS, MEASURED, page_title, section, table

PAGE = DOCS / "neighbours.rst"
#: One input's outcomes of one release, by command.
Outcomes = dict[str, list[dict[str, Any]]]


def records() -> dict[str, list[dict[str, Any]]]:
    """Read what was tried, by release of DIALS, oldest first."""
    found = [json.loads(path.read_text()) for path in MEASURED.glob("dials-*.json")]
    found.sort(key=lambda record: [int(n) for n in re.findall(r"\d+", record["dials"])])
    return {record["dials"]: record["outcomes"] for record in found}


class Notes:
    """Numbered notes on what did not work; commands that fail alike share one."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self.texts: list[str] = []

    def number(self, outcome: dict[str, Any]) -> int:
        """Give the number of a note, a new one if it was not there."""
        command = " ".join(generic(outcome).split()[:1] + _formats(outcome))
        message = plain(outcome["message"].rstrip(".: "))
        why = plain(outcome["reason"])
        key = (command, why or message)
        if key not in self._numbers:
            text = f"``{command}``: {message}." + (f" {why}." if why else "")
            self.texts.append(text)
            self._numbers[key] = len(self.texts)
        return self._numbers[key]


def cell(outcomes: list[dict[str, Any]], n_inputs: int, notes: Notes) -> str:
    """How many inputs a command did what it should on, and notes on the others."""
    if not outcomes:
        return ""
    done = sum(each["status"] == "done" for each in outcomes)
    numbers = {notes.number(each) for each in outcomes if each["status"] != "done"}
    marks = ", ".join(str(number) for number in sorted(numbers))
    known = {each["status"] for each in outcomes} == {"known"}
    ours = any(each["input"] in (*SWEEPS, *TABLES) for each in outcomes)
    text = "as stock data" if known and ours else f"{done} of {n_inputs}"
    return f"{text} [{marks}]" if marks else text


def _formats(outcome: dict[str, Any]) -> list[str]:
    return [word for word in outcome["command"].split() if word.startswith("format=")]


def plain(message: str) -> str:
    """Take what reStructuredText would understand out of a message."""
    return re.sub(r"([\\*`|_])", r"\\\1", message)


def rows(
    found: dict[str, list[dict[str, Any]]], inputs: tuple[str, ...], notes: Notes
) -> Iterator[list[str]]:
    """Rows of a table: a command, what came out, and how it went in each release."""
    mine = {
        release: [each for each in outcomes if each["input"] in inputs]
        for release, outcomes in found.items()
    }
    commands = dict.fromkeys(
        generic(each) for outcomes in mine.values() for each in outcomes
    )
    for command in commands:
        cells, shown = [], ""
        for outcomes in mine.values():
            alike = [each for each in outcomes if generic(each) == command]
            cells.append(cell(alike, len(alike), notes))
            shown = shown or next(
                (e["message"] for e in alike if e["status"] == "done"), ""
            )
        yield [f"``{command}``", plain(shown), *cells]


def generic(outcome: dict[str, Any]) -> str:
    """Give the command without what is different for every input or only names output."""
    text = outcome["command"]
    for images in SWEEPS.values():
        text = text.replace(images, "IMAGES")
    text = re.sub(r"postrefined_\d+", "postrefined_N", text)
    words = text.split()
    kept = [word for word in words if not re.match(r"(output|mtz|mmcif|nxs)\.", word)]
    return " ".join(dict.fromkeys(kept))


def tried_on(release: str, outcomes: list[dict[str, Any]]) -> str:
    """Say on which inputs how many commands were tried."""
    numbers = Counter(each["input"] for each in outcomes)
    inputs = ", ".join(f"{kind} ({number})" for kind, number in numbers.items())
    return f"Commands tried with DIALS {release}: {inputs}."


def page(found: dict[str, list[dict[str, Any]]]) -> str:
    """Whole page."""
    notes = Notes()
    releases = list(found)
    head = ["Command", "What came out", *releases]
    sweeps = table(head, list(rows(found, tuple(SWEEPS), notes)))
    tables = table(head, list(rows(found, TABLES, notes)))
    stock = table(head, list(rows(found, (STOCK_SWEEP, STOCK_STILLS), notes)))
    texts = [f"{number}. {text}" for number, text in enumerate(notes.texts, 1)]
    return (
        "\n\n".join(
            [
                page_title("Commands of DIALS"),
                ".. Written by benchmarks/neighbours_page.py from measured/dials-*.json:\n"
                "   change these, not this page.",
                "``make neighbours`` runs commands of DIALS on what this package writes, and "
                "looks at what they leave behind: numbers of images and reflections, pixels "
                "that are the same as before, merged files that iotbx reads. The tables say "
                f"what was tried with DIALS {' and '.join(releases)}. *3 of 4*: of four "
                "inputs that it was tried on, exit code 0 and sane output on three. *As "
                "stock data*: it fails, and fails in the same way on data that this package "
                "did not touch. Numbers in brackets are those of the notes at the end. "
                "*What came out* is of the first input of the first release.",
                *(tried_on(release, outcomes) for release, outcomes in found.items()),
                section(
                    "Corrected sweeps",
                    f"A simulated sweep of {N_IMAGES} images, corrected to CBF, SMV, NeXus "
                    "and a sidecar, one folder for each. What reads images has to give the "
                    "same numbers on each; the rest is tried on the first.",
                    sweeps,
                ),
                section(
                    "Postrefined tables",
                    f"{N_STILLS} simulated stills, integrated by ``dials.stills_process`` and "
                    "postrefined to ``postrefined.expt`` and ``postrefined.refl``, and with "
                    f"``output.lattices_per_file={BATCH}`` to three numbered parts, which "
                    "``dials.combine_experiments`` joins: ``dials.merge`` takes one pair of "
                    "files. Tables that were made without images (CrystFEL streams, "
                    "``stills.output=reflections``) have no image sets: "
                    "``dials.unit_cell_histogram``, which counts crystals on each image "
                    "(``plot_number_of_crystals``), fails on these.",
                    tables,
                ),
                section(
                    "Stock data",
                    "What ours is compared with: a sweep that needs no correction, which "
                    "``dials.convert_to_cbf`` wrote (``stock_*.cbf``, ``stock.expt``), and the "
                    "same stills scaled by ``dials.scale`` (``stock.expt``, ``stock.refl``). The "
                    "main commands are run on them, and those that fail above.",
                    stock,
                ),
                section("Notes", "\n".join(texts) or "Nothing failed."),
            ]
        )
        + "\n"
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(records()))


if __name__ == "__main__":
    main()
