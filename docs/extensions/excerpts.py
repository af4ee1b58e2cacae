"""The directive ``excerpt``: a part of the log of a command that a tutorial ran.

``.. excerpt:: sweep_verdict.txt`` shows a file of the folder ``excerpts``. Where it is
cut from, say the options ``:log:``, ``:from:`` and ``:to:``: a file in the folder of the
tutorial, and how the first and the last line begin. ``run_tutorials.py`` reads them and
writes the file anew. Pages that show an excerpt of another page give no options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

FOLDER = Path(__file__).resolve().parents[1] / "excerpts"


class Excerpt(Directive):
    """Show a file of excerpts as it is."""

    required_arguments = 1
    option_spec = dict.fromkeys(("log", "from", "to"), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        """Make a literal block."""
        path = FOLDER / self.arguments[0]
        self.state.document.settings.env.note_dependency(str(path))
        try:
            text = path.read_text().rstrip()
        except OSError:
            raise self.error(f"{path} is missing: run docs/run_tutorials.py") from None
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("excerpt", Excerpt)
    return {"parallel_read_safe": True}
