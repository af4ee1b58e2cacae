"""The plotting library that a page carries with it."""

from __future__ import annotations

import base64
import gzip
from functools import lru_cache
from importlib.util import find_spec

_NEEDED = ("jinja2", "plotly")


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
def compressed_plotly_js() -> str:
    """Return plotly.js of the installed Python package, gzip in base64.

    Packages of plotly hold the library whole, 5 MB if it was minified and 10 MB if
    not. Compressed it is a quarter of that, and browsers can unpack it.

    Returns
    -------
    str
        2.5 MB.
    """
    from plotly.offline import get_plotlyjs

    # without a time, so that the same results give the same page
    packed = gzip.compress(get_plotlyjs().encode(), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def plotly_js_version() -> str:
    """Return the version of the library."""
    from plotly.offline import get_plotlyjs_version

    return str(get_plotlyjs_version())
