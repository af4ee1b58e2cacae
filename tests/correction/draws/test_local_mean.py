"""Rates at pixels, from the pixels around them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from camera_images import CAMERA, add_spots, background, readings
from dials_truncfix.correction.draws.local_mean import local_rates
from dials_truncfix.correction.draws.rate_laws import rate_laws

LAWS = rate_laws(CAMERA)
# Mean integer of a zero at each rate, ADU.
MEAN_OF_ZERO = np.floor(LAWS.tables.coarse + 0.5).mean(axis=1)


def _rates(rate, start, seed=1, mask=None, **options):
    """Image, and local rates from a given start."""
    image = np.maximum(readings(rate, seed=seed), 0)
    mask = np.ones(rate.shape, bool) if mask is None else mask
    return image, local_rates(image, mask, LAWS.nearest(start), LAWS, **options)


def _error(image, rates, rate):
    """What zeros are drawn too high on average, by pixel, ADU; 0 where positive."""
    node = np.log(np.maximum(rate, LAWS.rate[0]))
    true = np.interp(node, np.log(LAWS.rate), MEAN_OF_ZERO)
    return np.where(image == 0, MEAN_OF_ZERO[rates] - true, 0.0)


@pytest.mark.parametrize("level", [0.05, 0.3, 2.0])
def test_a_flat_background_stays(level):
    """Its mean within 0.01 ADU; few pixels move by as much as spots do."""
    rate = np.full((400, 400), level)
    image, rates = _rates(rate, rate)
    assert abs(_error(image, rates, rate).mean()) < 0.01
    assert (LAWS.rate[rates] > 3 * level + 0.3).mean() < 2e-3


def test_zeros_beside_spots():
    """Most of what is drawn too low in the light of spots is made up for."""
    base = background(512)
    rate, places = add_spots(base, 250, electrons=50, sigma=1.2)
    image, rates = _rates(rate, base)
    before = _error(image, LAWS.nearest(base), rate)
    after = _error(image, rates, rate)
    spots = np.zeros(rate.shape, bool)
    for row, column in places:
        spots[row - 4 : row + 5, column - 4 : column + 5] = True
    lost, left = (error[spots].sum() / len(places) for error in (before, after))
    assert lost < -1.4
    assert abs(left) < 0.25 * abs(lost)
    assert abs(after[~spots].mean()) < 0.01


def test_a_background_that_the_start_does_not_follow():
    """A slope of ± 60 %: errors of its dark and bright ends shrink fourfold."""
    rate = 1.0 * np.linspace(0.4, 1.6, 400) * np.ones((400, 400))
    image, rates = _rates(rate, np.full(rate.shape, 1.0))
    before = _error(image, LAWS.nearest(np.full(rate.shape, 1.0)), rate)
    after = _error(image, rates, rate)
    for part in (np.s_[:, :100], np.s_[:, 300:]):
        assert abs(before[part].mean()) > 0.03
        assert abs(after[part].mean()) < 0.25 * abs(before[part].mean())


def test_a_wrong_start_is_put_right():
    rate = background(400)
    for factor in (0.5, 2.0):
        image, rates = _rates(rate, factor * rate)
        assert abs(_error(image, rates, rate).mean()) < 0.015


def test_a_pixel_has_no_part_in_its_own_rate():
    rate, _ = add_spots(background(300), 60, electrons=40)
    image, rates = _rates(rate, background(300))
    changed = image.copy()
    changed[150, 150] = 0 if image[150, 150] else 9
    mask = np.ones(rate.shape, bool)
    again = local_rates(changed, mask, LAWS.nearest(background(300)), LAWS)
    assert abs(int(again[150, 150]) - int(rates[150, 150])) <= 1
    assert (again != rates)[145:156, 145:156].any()


def test_masked_pixels_do_not_count():
    rate = background(300)
    mask = np.ones(rate.shape, bool)
    mask[100:130, 50:90] = False
    image = np.maximum(readings(rate), 0)
    start = LAWS.nearest(rate)
    first = local_rates(image, mask, start, LAWS)
    image[100:130, 50:90] = 5000
    second = local_rates(image, mask, start, LAWS)
    np.testing.assert_array_equal(first[mask], second[mask])


def test_zeros_at_masks_and_edges():
    """Beside masked pixels and at the edge of the image nothing is off."""
    rate = np.full((400, 400), 0.5)
    mask = np.ones(rate.shape, bool)
    mask[:, 190:210] = False
    image, rates = _rates(rate, rate, mask=mask)
    error = _error(image, rates, rate)
    assert abs(error[:, 187:190].mean()) < 0.02
    assert abs(error[:2].mean()) < 0.02


def test_spots_only():
    """Where the noise is correlated, what neighbours say of it is not taken for light."""
    rate = np.full((400, 400), 0.7)
    correlated = np.maximum(readings(rate, psf=0.8), 0)
    mask = np.ones(rate.shape, bool)
    start = LAWS.nearest(rate)
    near = uniform_filter(correlated.astype(float), 3)
    bulk = near < np.quantile(near, 0.8)
    follows = [
        np.corrcoef(
            local_rates(correlated, mask, start, LAWS, spots_only=only)[bulk],
            near[bulk],
        )[0, 1]
        for only in (False, True)
    ]
    assert follows[0] > 0.4
    assert follows[1] < 0.5 * follows[0]
    base = background(512)
    rate, places = add_spots(base, 250, electrons=80, sigma=0.8)
    image, rates = _rates(rate, base, spots_only=True)
    beside = (places[:, 0], places[:, 1] + 2)
    assert (rates[beside].astype(int) - LAWS.nearest(base)[beside]).mean() > 15


def test_images_that_say_nothing_keep_the_start():
    start = np.full((50, 60), 80, np.uint8)
    mask = np.ones(start.shape, bool)
    bright = np.full(start.shape, 1000)
    np.testing.assert_array_equal(local_rates(bright, mask, start, LAWS), start)
    few = np.zeros(start.shape, np.int32)
    np.testing.assert_array_equal(local_rates(few, ~mask, start, LAWS), start)
    # nothing but zeros says that there is no light
    assert (local_rates(few, mask, start, LAWS) < 40).all()


def test_negative_pixels_are_no_zeros():
    """Where images that are signed already are corrected by force."""
    rate = background(200)
    image = readings(rate)
    mask = np.ones(rate.shape, bool)
    rates = local_rates(image, mask, LAWS.nearest(rate), LAWS)
    assert rates.shape == image.shape
