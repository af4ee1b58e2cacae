"""A record in its file: each fact once, and all of them back to the last digit."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.sweep.inputs import Inputs
from dials_truncfix.sweep.measure import MeasureTask, fit_images
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.recipe import make_recipe, placed, recipe_to_plain
from dials_truncfix.sweep.recipe_checks import recipe_from_plain
from dials_truncfix.sweep.record import as_json, run_record
from dials_truncfix.sweep.record_layout import BY_LINE, lay_out, recipe_of, spread_out
from dials_truncfix.sweep.work import SweepWork, pack
from recordings import record, true_frames

PANEL = PanelValues(7.25, -4.5, -32768, 65534, 3)


class _Verdict:
    class verdict_class:
        value = "truncated"

    reason, statistics, regions = "", {}, ()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Fits, recipe and record of a sweep whose fourth image is blank."""
    folder = tmp_path_factory.mktemp("layout")
    true = true_frames(5, 128)
    true[3] = 0
    path = record(folder, true, frames_per_part=2).path
    imageset = ExperimentListFactory.from_filenames([str(path)])[0].imageset
    options = CorrectionOptions(n_annuli=4, minimum_pixels=1000, seed=2**63 + 1)
    work = SweepWork(imageset, options)
    fits = fit_images(MeasureTask(pack(imageset, options), tuple(range(5))))
    recipe = make_recipe(work.source, options, PANEL, "smv", fits)
    recipe = placed(recipe, folder)
    files = Inputs(work.source.files()).record()
    described = run_record(work.source, files, options, _Verdict)
    described.update({k: v for k, v in asdict(PANEL).items() if k not in BY_LINE})
    paths = {file["path"] for file in files}
    described.update(lay_out(fits, recipe, paths))
    return fits, recipe, json.loads(as_json(described, BY_LINE))


def test_the_recipe_comes_back(run):
    _, recipe, content = run
    plain = recipe_of(content)
    back = recipe_to_plain(recipe_from_plain(plain, "a"))
    assert json.dumps(back) == json.dumps(recipe_to_plain(recipe))


def test_pooled_fits_keep_their_own_counts(run):
    fits, recipe, content = run
    total = replace(fits[0].fits, n_pixels=fits[0].fits.n_pixels * 5)
    pooled = [replace(image, fits=total) for image in fits]
    images = tuple(replace(image, fits=0) for image in recipe.images)
    recipe = replace(recipe, fits=(total,), images=images)
    content = {**content, **lay_out(pooled, recipe, set())}
    (again,) = recipe_from_plain(recipe_of(content), "a").fits
    np.testing.assert_array_equal(again.n_pixels, total.n_pixels)
    n_pixels = spread_out(content)["images"][2]["annuli"][1]["n_pixels"]
    assert 5 * n_pixels == total.n_pixels[1]


def test_the_report_gets_each_annulus_of_each_image(run):
    fits, _, content = run
    spread = spread_out(content)
    assert not set(spread) & {"recipe", "fits", "divisions"}
    assert [image["image"] for image in spread["images"]] == [1, 2, 3, 4, 5]
    for image, fitted in zip(spread["images"], fits):
        assert len(image["annuli"]) == len(fitted.fits.status)
        for k, annulus in enumerate(image["annuli"]):
            assert annulus["status"] == fitted.fits.status[k]
            assert annulus["model"] == fitted.fits.family[k]
            assert annulus["n_zero"] == fitted.regions.n_zero[k]
            if annulus["status"] == "fitted":
                assert annulus["parameters"] == fitted.fits.theta[k].tolist()
                assert annulus["mean"] == fitted.fits.mean[k]
            else:
                assert annulus["parameters"] == [None, None, None]
                assert annulus["mean"] is None
    json.dumps(spread, allow_nan=False)


def test_images_left_as_they_are(run):
    _, recipe, content = run
    images = tuple(replace(image, fits=None) for image in recipe.images)
    copied = replace(recipe, images=images, fits=())
    content = {**content, **lay_out([], copied, set())}
    assert spread_out(content)["images"] == []
    assert recipe_from_plain(recipe_of(content), "a").images == images


def test_each_image_takes_one_line_of_few_bytes(run):
    *_, content = run
    text = as_json(content, BY_LINE).decode()
    assert json.loads(text) == content
    lines = [line for line in text.splitlines() if line.startswith('  {"image":')]
    assert len(lines) == 5
    assert max(map(len, lines)) < 250
    assert text.count("simulated") == text.count("<f8") == 0
    assert text.count('"theta"') == 5


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["images"][1].pop("n_zero"),
        lambda c: c["images"][1]["n_zero"].pop(),
        lambda c: c["images"][1].update(fits=7),
        lambda c: c["images"][1].update(division="x"),
        lambda c: c["fits"][1].update(theta=3),
        lambda c: c.update(images=3),
    ],
)
def test_damage_is_an_error(run, edit):
    content = copy.deepcopy(run[2])
    edit(content)
    with pytest.raises((LookupError, TypeError, ValueError)):
        spread_out(content)
        recipe_from_plain(recipe_of(content), "a")
