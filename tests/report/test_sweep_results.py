"""The record as arrays."""

from __future__ import annotations

import copy
import json
import os

import numpy as np
import pytest

from dials_truncfix.report.image_axis import thinned
from dials_truncfix.report.sweep_results import read_record, sweep_results


def test_values_are_those_of_the_record(reported_record):
    rings = sweep_results(reported_record).rings
    images = reported_record["images"]
    assert rings.n_pixels.shape == (6, 4)
    for name in ("n_pixels", "n_zero", "p_nonpositive", "mean", "rmsd", "chi_square"):
        expected = [[ring[name] for ring in image["annuli"]] for image in images]
        np.testing.assert_allclose(getattr(rings, name), expected, rtol=1e-12)
    variance = [[ring["variance"] for ring in image["annuli"]] for image in images]
    np.testing.assert_allclose(rings.sd, np.sqrt(variance), rtol=1e-12)
    assert sum(sum(models.values()) for models in rings.models) == 24
    assert rings.n_unconverged == 0
    np.testing.assert_array_equal(
        sweep_results(reported_record).numbers, np.arange(1, 7)
    )


def test_regions_of_an_annulus_are_averaged(reported_record):
    """Two halves of an annulus count by their pixels; zeros' means by their zeros."""
    record = copy.deepcopy(reported_record)
    for image in record["images"]:
        ring = image["annuli"][1]
        half = {**ring, "n_pixels": 3 * ring["n_pixels"], "mean": ring["mean"] + 1.0}
        half |= {"n_zero": ring["n_zero"], "mean_nonpositive": -7.0}
        image["annuli"].insert(2, half)
    before, after = sweep_results(reported_record).rings, sweep_results(record).rings
    assert after.n_rings == 4
    np.testing.assert_allclose(after.n_pixels[:, 1], 4 * before.n_pixels[:, 1])
    np.testing.assert_allclose(after.n_zero[:, 1], 2 * before.n_zero[:, 1])
    np.testing.assert_allclose(after.mean[:, 1], before.mean[:, 1] + 0.75)
    np.testing.assert_allclose(
        after.mean_nonpositive[:, 1], (before.mean_nonpositive[:, 1] - 7.0) / 2
    )
    np.testing.assert_array_equal(after.mean[:, [0, 2, 3]], before.mean[:, [0, 2, 3]])


def test_an_image_that_lacks_an_annulus_has_none(reported_record):
    record = copy.deepcopy(reported_record)
    inner, outer = record["images"][3]["annuli"][:2]
    outer["d_max"] = inner["d_max"]
    del record["images"][3]["annuli"][0]
    rings = sweep_results(record).rings
    assert np.isnan(rings.mean[3, 0]) and np.isnan(rings.zero_fraction[3, 0])
    assert np.isfinite(np.delete(rings.mean, 3, axis=0)).all()
    assert rings.average("mean")[0] == pytest.approx(np.nanmean(rings.mean[:, 0]))


def test_images_without_fits_are_named(reported_record):
    record = copy.deepcopy(reported_record)
    for number, ring in enumerate(record["images"][2]["annuli"]):
        ring["status"] = "one_level" if number else "no_pixels"
        for name in ("p_nonpositive", "mean", "variance", "mean_nonpositive", "rmsd"):
            ring[name] = None
    found = sweep_results(record)
    assert found.unfitted == ((3, "no pixels and one level"),)
    assert np.isnan(found.rings.mean[2]).all()


def test_a_verdict_alone_has_no_rings(reported_record):
    record = {k: reported_record[k] for k in ("verdict", "source", "versions")}
    assert sweep_results(record).rings is None
    assert sweep_results({**record, "images": []}).illustrations is None


@pytest.mark.parametrize("n", [1, 2, 300, 301, 2000])
def test_drift_is_thinned_to_averages(n):
    numbers = np.arange(11, 11 + n)
    values = 2.0 * numbers
    values[0] = np.nan
    x, y, size = thinned(numbers, values)
    assert len(x) == len(y) <= 300
    assert size == -(-n // 300)
    if n > 1:
        np.testing.assert_allclose(y[1:], 2.0 * x[1:])
        assert x[0] >= 11 and x[-1] <= 10 + n
    assert np.isnan(y[0]) == (size == 1)


def written(folder, content):
    path = folder / "record.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1, 2]",
        "3",
        "[" * 100_000,
        '{"program": "dials.truncfix_compare"}',
        "{}",
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match="is not a record of dials.truncfix: give"):
        read_record(path)


def test_another_schema_is_refused(tmp_path, reported_record):
    path = written(tmp_path, {**reported_record, "schema": 999})
    with pytest.raises(ValueError, match="of schema 999, and this version .* schema 3"):
        read_record(path)


def test_records_without_illustrations_are_refused(tmp_path, reported_record):
    old = {k: v for k, v in reported_record.items() if k != "illustrations"}
    with pytest.raises(ValueError, match="earlier version .* run dials.truncfix again"):
        read_record(written(tmp_path, old))


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_record(str(tmp_path / "pipe"))
