"""The plotting library that a page carries with it."""

from __future__ import annotations

import base64
import gzip
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_NEEDED = ("jinja2", "plotly")
_DEBIAN = Path("/usr/share/python3-plotly/plotly.js")


def missing_packages() -> str:
    """Say in one sentence why no page can be made; empty when one can.

    Returns
    -------
    str
        For a log or an error message.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    names = " and ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"{names} {verb} not installed: add {'it' if len(missing) == 1 else 'them'} "
        f"with conda, pip or the system's packages (python3-{missing[-1]} on Debian)"
    )


@lru_cache(maxsize=1)
def plotly_js() -> str:
    """Return plotly.js of the installed Python package.

    It is looked for where packages of plotly have it: plotly's own way to it imports
    IPython, which takes longer than most of a page.

    Returns
    -------
    str
        5 MB if it was minified and 10 MB if not.
    """
    spec = find_spec("plotly")
    folders = (spec and spec.submodule_search_locations) or ()
    inside = (Path(folder) / "package_data" / "plotly.min.js" for folder in folders)
    for path in (*inside, _DEBIAN):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def compressed_plotly_js() -> str:
    """Return plotly.js of the installed Python package, gzip in base64.

    Compressed it is a quarter as large or less, and browsers can unpack it.

    Returns
    -------
    str
        2.5 MB.
    """
    # without a time, so that the same results give the same page
    packed = gzip.compress(plotly_js().encode(), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def plotly_js_version() -> str:
    """Return the version of the library, which it begins with."""
    found = re.search(r"plotly\.js v(\d[\w.-]*)", plotly_js()[:1000])
    return found[1] if found else "of unknown version"
