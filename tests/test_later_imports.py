"""Large packages stay out of processes that do not use them, and work where they are used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest


def _run(code: str) -> str:
    """Run code in a fresh interpreter; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["sweep.write", "command_line.truncfix"])
def test_the_correction_imports_no_large_package(module):
    code = f"""
import sys
from dials_truncfix import executors
# as processes of a pool begin
executors._begin()
import dials_truncfix.{module}
large = ["pandas._libs", "sklearn.base", "scipy.stats", "matplotlib"]
print([name for name in large if name in sys.modules])
"""
    assert _run(code) == "[]"


def test_dxtbx_clusters_the_panels_of_a_detector():
    pytest.importorskip("sklearn.cluster")
    code = """
import dials_truncfix.command_line
from dxtbx.model import detector_helpers
print("sklearn.base" in __import__("sys").modules)
print(detector_helpers.sklearn.cluster.DBSCAN.__name__)
from sklearn.cluster import KMeans
import sklearn.linear_model
print(KMeans.__name__, sklearn.linear_model.__name__, sklearn.__name__)
"""
    assert _run(code).splitlines() == [
        "False",
        "DBSCAN",
        "KMeans sklearn.linear_model sklearn",
    ]


def test_dials_makes_its_tables():
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("DIALS without pandas")
    code = """
import dials_truncfix.command_line
from dials.array_family import flex_ext
import sys
print("pandas.core" in sys.modules, list(flex_ext.pd.DataFrame({"h": [1]})))
"""
    assert _run(code) == "False ['h']"


def test_a_module_that_was_put_off_knows_its_version():
    pytest.importorskip("pandas")
    code = """
import inspect, sys
import dials_truncfix.command_line
import pandas
inspect.getmodule(inspect.currentframe())
print("pandas.core" in sys.modules, pandas.__version__)
"""
    import pandas

    assert _run(code) == f"False {pandas.__version__}"


def test_a_library_leaves_them_alone():
    pytest.importorskip("pandas")
    code = """
import dials_truncfix.sweep.write
import dials_truncfix.format.FormatTruncfixSidecar
import pandas
print(type(pandas).__name__, pandas.__version__ is not None)
"""
    assert _run(code) == "module True"


def test_what_is_there_already_or_nowhere_is_left_alone():
    code = """
import sys
import pandas
from importlib import util
found = util.find_spec
util.find_spec = lambda name: None if name == "sklearn" else found(name)
from dials_truncfix import later_imports
later_imports.import_later()
print(type(sys.modules["pandas"]).__name__, "sklearn" in sys.modules)
"""
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("no pandas")
    assert _run(code) == "module False"


def test_who_asks_finds_the_packages_installed():
    code = """
import sys
from importlib.util import find_spec
names = [name for name in ("pandas", "sklearn") if find_spec(name)]
import dials_truncfix.command_line
print(names == [name for name in ("pandas", "sklearn") if find_spec(name)])
print([name for name in ("pandas._libs", "sklearn.base") if name in sys.modules])
"""
    assert _run(code).splitlines() == ["True", "[]"]
