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


def test_a_failure_is_known_only_where_stock_data_fail_alike(benchmark):
    results = benchmark("neighbour_outcomes")
    reason = benchmark("neighbour_steps").NO_TEMPLATE.text

    def judged(stock_input, stock_status, stock_reason):
        def outcome(name, kind, status, why):
            command = f"dials.export {name}.expt format=mosflm"
            return results.Outcome("dials.export", command, kind, status, "", why)

        stock = outcome("stock", stock_input, stock_status, stock_reason)
        ours = outcome("postrefined", "postrefined", "failed", reason)
        return results.known([ours, stock])[0].status

    assert judged("stock stills", "failed", reason) == "known"
    assert judged("stock stills", "done", "") == "failed"
    assert judged("stock stills", "failed", "another reason") == "failed"
    assert judged("stock sweep", "failed", reason) == "failed"


def test_a_reason_is_that_of_its_message_only(benchmark, tmp_path):
    attempt = benchmark("neighbours").attempt
    steps = benchmark("neighbour_steps")

    def refuse(folder, printed):
        raise ValueError("no attribute 'get_oscillation'")

    with_reason = steps.Step("dials.version", refuse, reason=steps.NO_SCAN)
    assert attempt(with_reason, tmp_path, "cbf", None).reason == steps.NO_SCAN.text
    step = steps.Step("dials.version", refuse, reason=steps.NO_PROFILES)
    outcome = attempt(step, tmp_path, "cbf", None)
    assert outcome.status == "failed" and not outcome.reason


def test_what_changed_between_formats_has_failed(benchmark):
    results = benchmark("neighbour_outcomes")
    outcomes = [
        results.Outcome("dials.show", "dials.show truncfix.expt", kind, "done", text)
        for kind, text in (("cbf", "a"), ("smv", "a"), ("nexus", "b"))
    ]
    found = results.compared(outcomes, {"dials.show truncfix.expt"})
    assert [each.status for each in found] == ["done", "done", "failed"]


def test_the_page_on_benchmarks_is_that_of_the_record(benchmark):
    page = benchmark("benchmarks_page")
    if not page.RECORD.exists():
        pytest.skip("python benchmarks/benchmark.py --page has not been run")
    assert page.PAGE.read_text() == page.page(page.json.loads(page.RECORD.read_text()))
