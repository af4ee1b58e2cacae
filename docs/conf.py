"""Sphinx configuration."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

_package = Path(__file__).resolve().parents[1] / "src" / "dials_truncfix"

project = "dials_truncfix"
author = "the dials_truncfix developers"
release = re.search(
    r'^__version__ = "(.+)"$', (_package / "__init__.py").read_text(), re.MULTILINE
).group(1)
version = release

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
# the second brings MathJax along, so that formulas need no network
extensions = [
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "dials_command",
    "excerpts",
]
exclude_patterns = ["_build"]
highlight_language = "text"
html_theme = "alabaster"
html_theme_options = {
    "description": "Repair of truncated electron diffraction images",
    "page_width": "1180px",
    "sidebar_width": "200px",
    # as wide as the tables of logs
    "body_max_width": "890px",
}
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_show_copyright = False

#: Pages that benchmarks write, of which a copy of the source may have none.
_MEASURED = ("benchmarks", "neighbours")


def _name_measured_pages(app: Any, docname: str, source: list[str]) -> None:
    """Put the pages of benchmarks that are there into the index, before the citations."""
    if docname == "index":
        there = [name for name in _MEASURED if name in app.env.found_docs]
        entries = "".join(f"   {name}\n" for name in there)
        source[0] = source[0].replace("   citing\n", f"{entries}   citing\n")


def setup(app: Any) -> None:
    """Connect what the pages need."""
    app.connect("source-read", _name_measured_pages)
