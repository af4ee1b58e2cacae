"""Bad pixels become the mean of the good ones around them."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.defect_correction import plan_correction


def test_mean_of_good_neighbours():
    image = np.arange(25, dtype=np.float32).reshape(5, 5)
    bad = np.zeros((5, 5), bool)
    bad[2, 2] = bad[0, 0] = bad[2, 3] = True
    damaged = np.where(bad, 9999, image).astype(np.float32)
    kept = damaged.copy()
    filled = plan_correction(bad).apply(damaged)
    np.testing.assert_array_equal(damaged, kept)
    np.testing.assert_array_equal(filled[~bad], image[~bad])
    assert plan_correction(bad).apply(damaged, overwrite=True) is damaged
    np.testing.assert_array_equal(damaged, filled)
    assert filled[0, 0] == pytest.approx((1 + 5 + 6) / 3)
    assert filled[2, 2] == pytest.approx((6 + 7 + 8 + 11 + 16 + 17 + 18) / 7)


def test_wide_regions_are_filled_inwards():
    bad = np.zeros((40, 40), bool)
    bad[:, 10:15] = bad[:7] = True
    image = np.full((40, 40), 12, np.uint16)
    plan = plan_correction(bad)
    assert plan.n_bad == bad.sum()
    filled = plan.apply(np.where(bad, 0, image).astype(np.uint16))
    assert filled.dtype == np.uint16
    np.testing.assert_array_equal(filled, image)


def test_integers_are_rounded():
    image = np.array([[1, 0, 2]], np.uint8)
    filled = plan_correction(np.array([[False, True, False]])).apply(image)
    assert filled.tolist() == [[1, 2, 2]]


def test_nothing_and_everything_bad():
    image = np.ones((3, 4), np.int16)
    np.testing.assert_array_equal(
        plan_correction(np.zeros((3, 4), bool)).apply(image), image
    )
    plan = plan_correction(np.ones((3, 4), bool))
    assert plan.n_bad == 12
    assert (plan.apply(image) == 0).all()
    with pytest.raises(ValueError, match="shape"):
        plan.apply(np.ones((4, 3)))
