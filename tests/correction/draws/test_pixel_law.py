"""Laws of the zeros of an image: of regions, local, and with correlated draws."""

from __future__ import annotations

import numpy as np
import pytest

from camera_images import CAMERA, add_spots, background, fitted, readings
from dials_truncfix.correction.draws.draw import draw_zeros
from dials_truncfix.correction.draws.pixel_law import (
    draw_pixels,
    with_correlation,
    with_local_rates,
)

KEYS = {"seed": 3, "image_number": 7, "rounding": "round"}


def _image(**changes):
    rate, _ = add_spots(background(256), 80, electrons=60)
    return fitted(readings(rate), n_annuli=3, **changes)


def test_regional_draws_are_those_of_the_tables():
    image = _image()
    law = image.law
    drawn = draw_pixels(image.clipped, law, assign="random", **KEYS)
    direct = draw_zeros(
        image.clipped, law.labels, law.node, law.tables, law.mixture, **KEYS
    )
    np.testing.assert_array_equal(drawn, direct)
    # nodes are ordered by their mean, which falls from the middle outwards
    assert (np.diff(law.expected) < 0).mean() > 0.9


def test_local_rates_need_a_camera():
    image = _image()
    with pytest.raises(ValueError, match="camera"):
        with_local_rates(image.clipped, image.law, image.fits, spots_only=False)


@pytest.mark.parametrize("spots_only", [False, True])
def test_local_law(spots_only):
    """Draws stay non-positive, positive pixels as they are, means of rings within 2 %."""
    image = _image(camera=CAMERA)
    law = with_local_rates(image.clipped, image.law, image.fits, spots_only)
    means = []
    for each in (image.law, law):
        drawn = draw_pixels(image.clipped, each, assign="random", **KEYS)
        positive = image.clipped > 0
        np.testing.assert_array_equal(drawn[positive], image.clipped[positive])
        assert (drawn[~positive] <= 0).all()
        means.append(drawn[image.clipped == 0].mean())
    assert means[1] == pytest.approx(means[0], rel=0.02)
    assert (draw_pixels(image.clipped, law, assign="random", **KEYS) == drawn).all()


def test_pixels_outside_the_regions_stay():
    mask = np.ones((256, 256), bool)
    mask[60:90, 60:200] = False
    image = _image(camera=CAMERA, mask=mask)
    law = with_local_rates(image.clipped, image.law, image.fits, False)
    drawn = draw_pixels(image.clipped, law, assign="random", **KEYS)
    np.testing.assert_array_equal(drawn[~mask], image.clipped[~mask])
    assert (drawn[mask] < 0).any()


def test_correlation_is_given_only_where_there_is_any():
    image = _image()
    assert with_correlation(image.clipped, image.law) is image.law
    blurred = fitted(readings(background(256), psf=0.9), n_annuli=3)
    law = with_correlation(blurred.clipped, blurred.law)
    assert law.correlation is not None and law.scores is not None
