"""The beam in simulated images: place, size, evenness, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.disc.circle import circle_start, fit_circle
from dials_truncfix.calibrate.disc.disc import measure_disc
from dials_truncfix.calibrate.disc.disc_words import disc_record, warnings
from dials_truncfix.simulate.beam_disc import disc_electrons
from dials_truncfix.simulate.specimen import specimen_electrons
from specimen_images import LEVELS, specimen, through_camera

SHAPE = (256, 256)


def beam(
    level=30.0, centre=(131.3, 122.8), radius=80.4, seed=1, truncated=False, **extra
):
    electrons = disc_electrons(SHAPE, centre, radius, level, **extra)
    return through_camera(electrons, seed, 1, truncated)


def z_of(image, centre, radius):
    circle = measure_disc(image, "beam").circle
    error = np.append(circle.centre - centre, circle.radius - radius)
    return error / np.sqrt(circle.covariance.diagonal()), error


@pytest.mark.parametrize("level", LEVELS)
def test_the_whole_beam_at_three_levels(level):
    z, error = z_of(beam(level), (131.3, 122.8), 80.4)
    assert np.all(np.abs(z) < 4), z
    assert np.all(np.abs(error) < 0.5 / level**0.5), error


@pytest.mark.parametrize(
    ("centre", "radius"), [((60.0, 30.0), 100.0), ((-10.0, 128.0), 115.0)]
)
def test_a_beam_partly_off_the_image(centre, radius):
    image = beam(50.0, centre, radius)
    z, error = z_of(image, centre, radius)
    assert np.all(np.abs(z) < 4), z
    assert np.all(np.abs(error) < 0.5), error
    disc = measure_disc(image, "beam")
    assert disc.arc < 0.6 and disc.centroid is None


def test_errors_of_circles_are_as_large_as_stated():
    z = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        azimuth = np.linspace(0, 4.0, 80)
        points = np.array([50.0, 40.0]) + 30 * np.column_stack(
            [np.cos(azimuth), np.sin(azimuth)]
        )
        points += 0.2 * rng.standard_normal(points.shape)
        points[7] += 8
        circle = fit_circle(points, np.array([48.0, 43.0]), 28.0)
        error = np.append(circle.centre - [50.0, 40.0], circle.radius - 30.0)
        z.append(error / np.sqrt(circle.covariance.diagonal()))
        assert not circle.kept[7]
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((spread > 0.85) & (spread < 1.25)), spread


def test_a_start_among_stray_points():
    rng = np.random.default_rng(1)
    azimuth = rng.uniform(0, 2 * np.pi, 60)
    circle = 100 + 40 * np.column_stack([np.cos(azimuth), np.sin(azimuth)])
    points = np.concatenate([circle, rng.uniform(0, 200, (40, 2))])
    centre, radius = circle_start(points, 2.0)
    assert centre == pytest.approx([100, 100], abs=0.5)
    assert radius == pytest.approx(40, abs=0.5)
    with pytest.raises(ValueError, match="straight"):
        circle_start(np.column_stack([np.arange(30.0), np.arange(30.0)]), 2.0)


def test_slope_and_centroid_of_an_uneven_beam():
    disc = measure_disc(beam(50.0, gradient=(0.2, -0.1)), "beam")
    assert disc.even.gradient == pytest.approx([0.2, -0.1], abs=0.02)
    # of a disc with slope g the centroid is g R / 4 off
    offset = disc.centroid.place - [131.3, 122.8]
    assert offset == pytest.approx([0.2 * 80.4 / 4, -0.1 * 80.4 / 4], abs=0.3)
    assert any("is uneven" in sentence for sentence in warnings([disc]))
    flat = measure_disc(beam(50.0), "beam")
    assert flat.even.unevenness < 0.02
    assert np.all(
        np.abs(flat.centroid.place - [131.3, 122.8]) < 4 * flat.centroid.errors
    )


def test_a_beam_that_is_not_round():
    disc = measure_disc(beam(50.0, ellipticity=0.03), "beam")
    assert 2 * disc.roundness == pytest.approx(0.03, abs=0.004)
    assert any("longer than wide" in sentence for sentence in warnings([disc]))


def test_truncation_makes_the_beam_smaller_and_is_told():
    disc = measure_disc(beam(5.0, truncated=True), "beam")
    assert -1.2 * disc.truncation_error - 0.3 < disc.circle.radius - 80.4 < 0
    assert any("too small by up to" in sentence for sentence in warnings([disc]))
    assert not warnings([measure_disc(beam(30.0), "beam")])


def test_a_hole_in_the_beam_does_no_harm():
    image = beam(30.0)
    image[110:130, 120:140] = 0
    _, error = z_of(image, (131.3, 122.8), 80.4)
    assert np.all(np.abs(error) < 0.2), error


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full(SHAPE, 3.0), "is blank"),
        (through_camera(np.full(SHAPE, 20.0), 1), "no edge of a beam"),
        (
            through_camera(np.full(SHAPE, 20.0) * np.linspace(0.3, 1, 256), 1),
            "no edge of a beam",
        ),
        (
            through_camera(specimen_electrons(specimen(1), SHAPE, 20.0), 1),
            "no edge of a beam",
        ),
        (np.minimum(beam(30.0), 150.0), "is saturated"),
        (beam(30.0, radius=4.0), "no edge|no disc|pixels of the beam's edge"),
        (
            through_camera(20.0 * (np.indices(SHAPE)[1] > 100), 1),
            "no disc|% of the beam's edge",
        ),
        (beam(30.0, centre=(-190.0, 128.0), radius=200.0), "% of the|no disc"),
    ],
)
def test_what_shows_no_beam_is_refused(image, words):
    with pytest.raises(ValueError, match=f"picture.*({words})"):
        measure_disc(image, "picture")


def test_the_record_holds_plain_values():
    record = disc_record([measure_disc(beam(), "beam")], 2.0)
    assert record["images"][0]["radius_px"] == pytest.approx(80.4, abs=0.2)
    assert "µm" in record["findings"][0]
