"""Each thing that calls for attention is told, and nothing else."""

from __future__ import annotations

import copy

import pytest

from dials_truncfix.report.cautions import cautions
from dials_truncfix.report.sweep_results import sweep_results


@pytest.fixture
def sound(reported_record):
    """A record of which nothing is to be said: all fits by one family."""
    record = copy.deepcopy(reported_record)
    for image in record["images"]:
        for ring in image["annuli"]:
            ring["model"] = "emg"
    assert cautions(sweep_results(record)) == []
    return record


def told(record):
    (sentence,) = cautions(sweep_results(record))
    assert sentence.endswith(".")
    return sentence


def each(record, ring, **changes):
    for image in record["images"]:
        image["annuli"][ring].update(changes)


def test_a_forced_verdict(sound):
    sound["verdict"]["class"] = "counting"
    assert "force=True" in told(sound)


@pytest.mark.parametrize("n_failed", [1, 2, 5])
def test_images_without_fits(sound, n_failed):
    for image in sound["images"][:n_failed]:
        for ring in image["annuli"]:
            ring.update(status="one_level", mean=None, chi_square=None, n_zero=0)
            ring.update(p_nonpositive=None, mean_nonpositive=None, variance=None)
    sentence = told(sound)
    assert ("image 1 (one level); its" in sentence) == (n_failed == 1)
    assert ("images 1 (one level), 2 (one level)" in sentence) == (n_failed > 1)


def test_many_failed_images_are_not_all_named(sound):
    sound["images"] = [
        {**copy.deepcopy(sound["images"][0]), "image": i} for i in range(1, 100)
    ]
    for image in sound["images"][:90]:
        for ring in image["annuli"]:
            ring.update(status="no_pixels", mean=None, chi_square=None, n_pixels=0)
            ring.update(p_nonpositive=None, mean_nonpositive=None, n_zero=0)
    assert "8 (no pixels) and 82 more" in told(sound)


@pytest.mark.parametrize("histograms", ["image", "sweep"])
def test_many_zeros(sound, histograms):
    sound["parameters"]["histograms"] = histograms
    n_pixels = sound["images"][0]["annuli"][3]["n_pixels"]
    each(sound, 3, n_zero=int(0.8 * n_pixels), p_nonpositive=0.8)
    sentence = told(sound)
    assert "70 % of the pixels are zero in annulus 4 (" in sentence
    assert ("fit.histograms=block" in sentence) == (histograms == "image")


def test_poor_fits(sound):
    each(sound, 0, chi_square=5.0)
    each(sound, 2, chi_square=12.0)
    sentence = told(sound)
    assert "annuli 1 and 3: " in sentence
    assert "12.0 in annulus 3" in sentence


def test_another_number_of_zeros_than_fitted(sound):
    fitted = sound["images"][0]["annuli"][1]["p_nonpositive"]
    n_pixels = sound["images"][0]["annuli"][1]["n_pixels"]
    each(sound, 1, n_zero=int((fitted + 0.05) * n_pixels))
    assert "Annulus 2 (" in told(sound)
    assert "% of the pixels more" in told(sound)


def test_fits_that_did_not_converge(sound):
    for image in sound["images"][:2]:
        image["annuli"][0]["converged"] = False
    assert told(sound).startswith("2 of 24 fits ended before")


def test_an_unreliable_gain(sound):
    sound["gain_estimate"].update(reliable=False, reason="only 3 radii", gain=None)
    assert "could not be estimated: only 3 radii" in told(sound)


def test_a_gain_that_was_given_and_differs(sound):
    sound["gain"] = 1.0
    assert "The gain that was given, 1, differs" in told(sound)


def test_a_camera_that_differs(sound):
    sound["camera"] = {"gain": 5.5, "fit": {"misfit": 1e-6}}
    assert cautions(sweep_results(sound)) == []
    sound["gain"] *= 1.3
    assert "effective gain of the camera" in told(sound)
    sound["gain"] /= 1.3
    sound["camera"]["fit"]["misfit"] = 1e-3
    assert "describes the images badly" in told(sound)


def test_families_that_disagree(sound):
    for image in sound["images"][:2]:
        image["annuli"][1]["model"] = "lognormal"
    assert cautions(sweep_results(sound)) == []
    for image in sound["images"][:2]:
        image["annuli"][1]["mean_nonpositive"] -= 2.0
    sentence = told(sound)
    assert "in annulus 2 the mean of the zeros is −" in sentence
    assert "by emg (4 fits)" in sentence and "by lognormal (2 fits)" in sentence


def test_an_uneven_background(sound):
    sound["anisotropy"][2].update(advised=True, amplitude=0.5, error=0.1)
    sentence = told(sound)
    assert "annulus 3" in sentence and "± 0.10 ADU" in sentence
    sound["parameters"]["shape"] = "sectors"
    assert cautions(sweep_results(sound)) == []


def test_correlated_noise(sound):
    sound["noise_correlation"].update(
        significant=True, neighbour=0.3, neighbour_sd=0.01, box_variance=2.5
    )
    assert "up to 2.50 times too small" in told(sound)
    sound["parameters"]["noise"] = "correlated"
    assert cautions(sweep_results(sound)) == []


def test_choices_that_bias(sound):
    sound["parameters"]["assign"] = "expected"
    assert "look better than they are" in told(sound)
    sound["parameters"].update(assign="random", family="paper")
    assert "overestimates" in told(sound)
