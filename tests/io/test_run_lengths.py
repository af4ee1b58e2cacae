from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dials_truncfix.io.run_lengths import RunLengths, expand, run_lengths


@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.int16, np.uint8]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9),
    )
)
def test_images_come_back(image):
    np.testing.assert_array_equal(expand(run_lengths(image), image.shape), image)


def test_a_mask_takes_a_few_numbers():
    mask = np.ones((512, 512), bool)
    mask[100:300, 200:210] = False
    assert len(run_lengths(mask).values) == 401


@pytest.mark.parametrize(
    "values, lengths",
    [
        ([1], [10**15]),
        ([1, 0], [10**15, -(10**15) + 12]),
        ([1], [11]),
        ([], []),
        ([1, 0], [12]),
        ([0] * 13, [0] * 12 + [12]),
    ],
)
def test_runs_of_another_image_take_no_memory(values, lengths):
    runs = RunLengths(np.array(values, np.int32), np.array(lengths, np.int64))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="pixels|lengths"):
            expand(runs, (3, 4))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
