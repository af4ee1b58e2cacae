"""Draws from local distributions, and draws correlated like the noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from camera_images import CAMERA, add_spots, background, box_sums, readings
from dials_truncfix.command_line.truncfix import run
from recordings import imported, pixels_of, record
from truncfix_runs import SMALL, fails

N_IMAGES = 2
SIZE = 192
BLUR = 0.8


def _frames(psf):
    rates = [
        add_spots(background(SIZE), 60, electrons=60, seed=seed)[0]
        for seed in range(N_IMAGES)
    ]
    frames = [readings(rate, CAMERA, psf, seed) for seed, rate in enumerate(rates)]
    return np.array(frames), np.array(rates)


@pytest.fixture(scope="module")
def sharp(tmp_path_factory):
    return record(tmp_path_factory.mktemp("movie"), _frames(0.0)[0])


@pytest.fixture(scope="module")
def blurred(tmp_path_factory):
    true = _frames(BLUR)[0]
    noise = np.random.default_rng(9).normal(0, 5, true.shape)
    # most of the read noise is common to neighbouring pixels
    noise = gaussian_filter(noise, (0, BLUR, BLUR), mode="wrap") * 3
    return record(tmp_path_factory.mktemp("movie"), np.rint(true + noise).astype(int))


#: Given, so that it need not be found.
KNOWN = [
    f"fit.camera.gain={CAMERA.gain}",
    f"fit.camera.pulse_variance={CAMERA.pulse_variance}",
    f"fit.camera.read_noise={CAMERA.read_noise}",
]


def _corrected(recording, here, *options, name="a"):
    run(
        [
            str(imported(recording, here)),
            *SMALL,
            "annuli.minimum_pixels=5000",
            f"output.directory={name}",
            f"output.experiments={name}.expt",
            *options,
        ]
    )
    return pixels_of(here / f"{name}.expt")


def _json(here):
    return json.loads((here / "dials.truncfix.json").read_text())


def test_local(sharp, here, caplog):
    local = _corrected(sharp, here, "assign=local", *KNOWN)
    parameters = _json(here)["parameters"]
    assert parameters["assign"] == "local"
    camera = _corrected(sharp, here, "fit.model=camera", *KNOWN, name="b")
    positive = sharp.truncated > 0
    np.testing.assert_array_equal(local[positive], sharp.truncated[positive])
    assert (local[~positive] <= 0).all()
    # zeros in the light of spots are drawn less low than by the law of their annulus
    light = _frames(0.0)[1] - background(SIZE)
    beside = ~positive & (light > 0.5)
    assert beside.sum() > 150
    error = [x[beside].mean() - sharp.true[beside].mean() for x in (camera, local)]
    assert error[0] < -0.2
    assert abs(error[1]) < 0.6 * abs(error[0])
    far = light < 0.01
    assert local[far].mean() == pytest.approx(sharp.true[far].mean(), abs=0.1)


def test_correlated(blurred, here, caplog):
    independent = _corrected(blurred, here, name="a")
    correlated = _corrected(blurred, here, "noise=correlated", name="b")
    assert "The noise of neighbouring pixels is correlated by 0." in caplog.text
    assert "noise=correlated draws the lost values alike" in caplog.text
    noise = _json(here)["noise_correlation"]
    assert noise["significant"] and noise["n_images"] == N_IMAGES
    assert 0.2 < noise["neighbour"] < 0.7
    assert noise["box_variance"] > 2
    positive = blurred.truncated > 0
    np.testing.assert_array_equal(correlated[positive], blurred.truncated[positive])
    assert correlated.mean() == pytest.approx(independent.mean(), abs=0.05)
    scatter = [
        np.mean([box_sums(a - b).var() for a, b in zip(x, blurred.true)])
        for x in (independent, correlated)
    ]
    # draws that go with their neighbours are nearer to what was lost
    assert scatter[1] != scatter[0]
    variance = [
        np.mean([(box_sums(i) - box_sums(background(SIZE) * 6)).var() for i in x])
        for x in (blurred.true, independent, correlated)
    ]
    assert abs(variance[2] / variance[0] - 1) < 0.1


def test_processes_and_formats_do_not_matter(blurred, here):
    options = ("assign=local", "noise=correlated", *KNOWN)
    one = _corrected(blurred, here, *options, name="a")
    two = _corrected(blurred, here, *options, "nproc=2", name="b")
    np.testing.assert_array_equal(one, two)
    sidecar = _corrected(blurred, here, *options, "output.format=sidecar", name="c")
    np.testing.assert_array_equal(one, sidecar)


def test_without_correlation_draws_are_independent(sharp, here):
    independent = _corrected(sharp, here, name="a")
    correlated = _corrected(sharp, here, "noise=correlated", name="b")
    np.testing.assert_array_equal(independent, correlated)
    assert not _json(here)["noise_correlation"]["significant"]


def test_what_excludes_each_other(sharp, here):
    expt = imported(sharp, here)
    told = fails([expt, "assign=expected", "noise=correlated"])
    assert "assign=expected makes none" in told
    told = fails([expt, "assign=local", "fit.model=emg"])
    assert "fit.model=camera" in told
