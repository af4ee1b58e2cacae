"""Commands of DIALS on what this package writes, and the pages about them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.mark.slow
def test_main_commands_of_dials_work_on_what_is_written(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "neighbours.py", "--quick", "--json", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert list(tmp_path.glob("dials-*.json"))


def test_the_page_on_neighbours_is_that_of_the_records(benchmark):
    page = benchmark("neighbours_page")
    found = page.records()
    if not found:
        pytest.skip("make neighbours has not been run")
    assert len(found) == 2
    assert page.PAGE.read_text() == page.page(found)


def test_a_step_that_leaves_nothing_behind_has_failed(benchmark, tmp_path):
    attempt = benchmark("neighbours").attempt
    steps = benchmark("neighbour_steps")
    checks = benchmark("neighbour_checks")
    step = steps.Step("dials.version", checks.written("nothing.expt"))
    outcome = attempt(step, tmp_path, "cbf", None)
    assert outcome.status == "failed" and "nothing.expt" in outcome.message
    step = steps.Step("dials.version", checks.says(r"DIALS (\S+)"))
    assert attempt(step, tmp_path, "cbf", None).status == "done"
    step = steps.Step("dials.show missing.expt", checks.says("(.)"))
    assert attempt(step, tmp_path, "cbf", None).status == "absent"


def test_the_page_on_benchmarks_is_that_of_the_record(benchmark):
    page = benchmark("benchmarks_page")
    if not page.RECORD.exists():
        pytest.skip("python benchmarks/benchmark.py --page has not been run")
    assert page.PAGE.read_text() == page.page(page.json.loads(page.RECORD.read_text()))
