from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.correction.histogram import negative_counts, ring_histograms

DTYPES = [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64]


@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(DTYPES),
    n_rings=st.integers(1, 12),
    n_bins=st.sampled_from([2, 5, 256, 300, 70_000]),
    width=st.sampled_from([1, 50, 400]),
)
@settings(max_examples=40, deadline=None)
def test_equals_counting_ring_by_ring(seed, dtype, n_rings, n_bins, width):
    rng = np.random.default_rng(seed)
    shape = (200, width)  # 400 columns are more than one block
    info = np.iinfo(dtype)
    low, high = max(info.min, -20), min(info.max, 90_000)
    image = rng.integers(low, high, shape).astype(dtype)
    image.ravel()[:2] = info.min, info.max
    labels = rng.integers(-1, n_rings, shape).astype(np.int16)
    got = ring_histograms(image, labels, n_rings, n_bins)
    negative = negative_counts(image, labels, n_rings)
    assert got.shape == (n_rings, n_bins)
    assert got.dtype == np.int64
    for ring in range(n_rings):
        values = image[labels == ring].astype(np.int64)
        kept = np.minimum(values[values >= 0], n_bins - 1)
        np.testing.assert_array_equal(got[ring], np.bincount(kept, minlength=n_bins))
        assert negative[ring] == (values < 0).sum()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((4, 4))}, "integers"),
        ({"labels": np.zeros((4, 5), np.int16)}, "differ in shape"),
        ({"labels": np.full((4, 4), 3, np.int16)}, "label 3"),
        ({"n_rings": 0}, "not 0"),
        ({"n_bins": 1}, "not 1"),
    ],
)
def test_refuses(change, message):
    arguments = {
        "image": np.zeros((4, 4), np.int32),
        "labels": np.zeros((4, 4), np.int16),
        "n_rings": 3,
        "n_bins": 10,
    }
    with pytest.raises(ValueError, match=message):
        ring_histograms(**{**arguments, **change})
