"""Pages of the documentation that are written from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

DOCS = Path(__file__).resolve().parents[1] / "docs"
MEASURED = DOCS / "measured"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Table in reStructuredText, numbers as they are given."""
    # an empty first cell would be a row that goes on
    text = [[cell or "\\" for cell in row] for row in (head, *rows)]
    return str(tabulate(text[1:], text[0], tablefmt="rst", disable_numparse=True))


def page_title(title: str) -> str:
    """Give the title of a page, above its sections."""
    line = "=" * len(title)
    return f"{line}\n{title}\n{line}"


def section(title: str, *paragraphs: str) -> str:
    """Title, and what is below it."""
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *paragraphs])
