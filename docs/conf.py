"""Sphinx configuration."""

from __future__ import annotations

import re
import sys
from pathlib import Path

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
