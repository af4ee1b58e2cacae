from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dxtbx.model import ExperimentList

from dials_truncfix.compare.comparison import CompareOptions, Side, compare
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import read_observations
from dials_truncfix.compare.results import Compared
from dials_truncfix.report.comparison import comparison_page
from integrated_tables import indexed, integrated, truth_of, whole_reflections
from simulated_sweeps import make_small_sweep

EVIL = "<img src=x onerror=alert(1)>"

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def comparison():
    sweep = make_small_sweep()
    true = sweep.reflections.intensity[whole_reflections(sweep)]
    noise = 3 * np.random.default_rng(1).standard_normal(len(true))
    experiment = indexed(sweep, np.eye(3))
    axes = np.reshape(experiment.crystal.get_A(), (3, 3))
    sides = [
        Side(
            read_observations(
                integrated(sweep, np.eye(3, dtype=int), true + noise - lost),
                [experiment],
            ),
            (axes,),
            (0.5,),
            experiment.crystal.get_crystal_symmetry(),
        )
        for lost in (8.0, 0.0)
    ]
    return compare(*sides, CompareOptions(n_shells=4), truth_of(sweep))


def page_of(comparison, gains=(9.0, 9.0)):
    sweep = make_small_sweep()
    sides = [
        Integrated(
            Path(f"{name}.refl"),
            Path(f"{name}.expt"),
            None,
            ExperimentList([indexed(sweep, np.eye(3), gain=gain)]),
        )
        for name, gain in zip((EVIL, "b"), gains)
    ]
    options = CompareOptions(n_shells=4)
    return comparison_page(Compared(*sides, None, "sum", options, comparison))


def plots_of(page):
    found = re.findall(r'class="drawing-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_every_figure_shows_both_sides_or_their_difference(comparison):
    page = page_of(comparison)
    plots = plots_of(page)
    assert len(plots) == 12
    change = plots[0]["data"][0]
    expected = [c.change for c in comparison.changes[:-1]]
    assert change["y"] == pytest.approx(expected, rel=1e-4)
    for plot in plots[2:]:
        assert {curve["name"] for curve in plot["data"]} == {"before", "after"}
    ticks = plots[0]["layout"]["xaxis"]
    for d, place in zip(ticks["ticktext"], ticks["tickvals"]):
        assert place == pytest.approx(float(d) ** -2, rel=0.01)
    assert len(set(re.findall(r'aria-label="([^"]{20,})"', page))) >= 12
    assert "Against the truth" in page


def test_names_of_files_cannot_become_markup(comparison):
    page = page_of(comparison)
    assert "&lt;img src=x onerror=alert(1)&gt;.refl" in page
    assert "<img" not in page


def test_without_truth_nothing_is_said_about_it(comparison):
    page = page_of(replace(comparison, truth_before=None, truth_after=None), (1.0, 9.0))
    assert len(plots_of(page)) == 8
    assert "Against the truth" not in page
    assert "The gain was 1 before and 9 after" in page
