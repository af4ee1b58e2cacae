"""What every test needs: a libtbx that finds its build, and the shared data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings


def _find_libtbx_build() -> Path | None:
    """Return the libtbx build folder of the base installation, if this is a venv.

    libtbx looks for its environment file below ``sys.prefix``. Inside a virtual
    environment that is the wrong place: cctbx lives below ``sys.base_prefix``.
    """
    if sys.prefix == sys.base_prefix:
        return None
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    candidates = [
        base / "lib" / "cctbx" / python,
        base / "lib" / python / "site-packages" / "share" / "cctbx",
        base / "share" / "cctbx",
    ]
    return next((c for c in candidates if (c / "libtbx_env").is_file()), None)


# pytest loads this file before it collects any test, hence before anything can
# import libtbx, and the children that tests start inherit the variable.
if "LIBTBX_BUILD" not in os.environ:
    _libtbx_build = _find_libtbx_build()
    if _libtbx_build is not None:
        os.environ["LIBTBX_BUILD"] = str(_libtbx_build)

# The same examples in every run, and no failure because a machine is slow.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real files that some tests need; skips where it is absent.

    ``DIALS_TRUNCFIX_TEST_DATA`` names the folder; without it the folder
    ``shared/data`` beside the working copy is taken.
    """
    named = os.environ.get("DIALS_TRUNCFIX_TEST_DATA")
    if named:
        folder = Path(named)
    else:
        folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data files are not present: {folder}")
    return folder
