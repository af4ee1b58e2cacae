"""What the record keeps for the figures, against the images themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.correction.gain import NoiseProfile
from dials_truncfix.correction.regions.regions import RegionTable
from dials_truncfix.correction.value_counts import ValueCounts
from dials_truncfix.io.packed import unpack_array
from dials_truncfix.io.plain import from_plain
from dials_truncfix.sweep.close_look import BeforeAndAfter, CloseLook
from dials_truncfix.sweep.illustrations import (
    NO_PIXEL,
    Illustrations,
    make_illustrations,
)
from recordings import pixels_of

LIMIT = 1 << 24


@pytest.fixture(scope="module")
def kept(reported_record):
    return from_plain(Illustrations, reported_record["illustrations"])


@pytest.fixture(scope="module")
def images(reported):
    """Recorded and corrected pixels of the six images."""
    return [pixels_of(reported / name) for name in ("imported.expt", "truncfix.expt")]


def test_histograms_are_those_of_the_images(kept, images, reported_record):
    recorded, corrected = images
    counts = kept.histograms
    assert counts.images == (1, 2, 3, 4, 5, 6)
    assert sum(counts.n_pixels) == recorded.size
    found = unpack_array(counts.recorded, LIMIT).sum(axis=0)
    values, number = np.unique(recorded, return_counts=True)
    expected = np.zeros(len(found), int)
    expected[values[values < len(found)]] = number[values < len(found)]
    np.testing.assert_array_equal(found, expected)
    found = unpack_array(counts.corrected, LIMIT).sum(axis=0)
    restored = corrected[recorded == 0]
    assert restored.min() == counts.lowest
    np.testing.assert_array_equal(found, np.bincount(restored - counts.lowest))
    assert len(found) == 1 - counts.lowest
    zeros = [
        [ring["n_zero"] for ring in i["annuli"]] for i in reported_record["images"]
    ]
    np.testing.assert_array_equal(
        unpack_array(counts.recorded, LIMIT)[:, 0], np.sum(zeros, axis=0)
    )


def test_the_picture_is_the_image(kept, images):
    recorded, corrected = images
    picture = kept.picture
    index = picture.image - 1
    assert picture.binning == 2
    for packed, image in (
        (picture.before, recorded[index]),
        (picture.after, corrected[index]),
    ):
        steps = unpack_array(packed, LIMIT)
        expected = image.reshape(128, 2, 128, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(
            steps * picture.step, expected, rtol=0, atol=picture.step / 2
        )
    assert picture.step < 1.0


def test_the_piece_shows_a_spot_at_full_size(kept, images):
    picture = kept.picture
    assert picture.shows_spot
    slow, fast = picture.corner
    for packed, sweep in zip((picture.piece_before, picture.piece_after), images):
        piece = unpack_array(packed, LIMIT)
        expected = sweep[picture.image - 1, slow : slow + 33, fast : fast + 33]
        np.testing.assert_array_equal(piece, expected)
    assert 5 < picture.d_spacing < 40


def test_noise_points_are_those_of_the_estimate(kept, reported_record):
    points = unpack_array(kept.noise.points, LIMIT)
    low, high = reported_record["gain_estimate"]["mean_range"]
    assert points[:, 1].min() == pytest.approx(low, rel=1e-5)
    assert points[:, 1].max() == pytest.approx(high, rel=1e-5)
    assert set(points[:, 0]) == {1, 2, 3, 4, 5, 6}


def look(index=0, n_regions=30, picture=None, fitted=True):
    """Look at an image of ten annuli of three regions each."""
    ring = np.arange(n_regions) // 3
    limits = np.stack([ring, ring + 1], axis=1) / 10.0
    nothing = np.zeros(0)
    return CloseLook(
        index=index,
        noise=NoiseProfile(nothing, nothing, nothing, nothing),
        regions=RegionTable(
            n_pixels=np.full(n_regions, 100),
            radius=limits.mean(axis=1).astype(np.float32),
            limits=limits,
            ring=ring,
            cell=np.arange(n_regions) % 3,
            host=np.arange(3),
        ),
        d_limits=np.stack([1 / (ring + 0.5), 1 / (ring + 1.5)], axis=1),
        counts=ValueCounts(
            recorded=np.full((n_regions, 4), 2),
            corrected=np.full((n_regions, 2), 1),
            expected=np.full((n_regions, 5), 1.5),
            i_max=np.full(n_regions, 2 if fitted else -1),
        ),
        picture=picture,
    )


def test_many_regions_are_added_up_annulus_by_annulus():
    kept = make_illustrations([look(0), look(1)], range(7, 20))
    counts = kept.histograms
    assert counts.images == (7, 8)
    assert counts.n_pixels == (600,) * 10
    assert (unpack_array(counts.recorded, LIMIT) == 12).all()
    assert unpack_array(counts.recorded, LIMIT).shape == (10, 4)
    assert (unpack_array(counts.expected, LIMIT) == 9.0).all()
    assert counts.d_limits[0] == (2.0, 1 / 1.5)
    assert kept.noise is None and kept.picture is None


def test_only_images_of_one_division_are_added():
    kept = make_illustrations([look(0, 6), look(1, 9), look(2, 9)], range(1, 9))
    assert kept.histograms.images == (2, 3)
    assert len(kept.histograms.d_limits) == 9


def test_images_without_fits_are_left_out():
    assert make_illustrations([look(0, fitted=False)], [1]).histograms is None
    assert make_illustrations([], []) == Illustrations(None, None, None)


def test_unmeasured_and_bright_points_of_a_picture():
    values = np.full((4, 4), 3.0)
    values[0, 0], values[1, 1] = np.nan, 1e9
    picture = BeforeAndAfter(
        1, values, values, (0, 0), False, 2.0, np.zeros((2, 2)), np.zeros((2, 2))
    )
    kept = make_illustrations([replace(look(), picture=picture)], [1]).picture
    steps = unpack_array(kept.before, LIMIT)
    assert steps[0, 0] == NO_PIXEL
    assert steps[1, 1] == np.iinfo(np.int16).max
    assert steps[2, 2] * kept.step == 3.0
