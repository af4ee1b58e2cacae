from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dials_truncfix.correction.draws.draw import draw_zeros, replace_zeros
from dials_truncfix.correction.draws.mixture import linear_mixture
from dials_truncfix.correction.draws.quantiles import QuantileTables
from dials_truncfix.correction.draws.zeros import find_zeros
from dials_truncfix.correction.regions.radial_grid import radial_grid

N_CELLS = 4096


def _tables(radius, mean, sd, rounding="round"):
    """Quantiles of normal distributions below the threshold."""
    threshold = {"round": 0.5, "floor": 1.0}[rounding]
    mean, sd = (np.asarray(x, float)[:, None] for x in (mean, sd))
    u = (np.arange(N_CELLS) + 0.5) / N_CELLS
    below = stats.norm.cdf((threshold - mean) / sd)
    limit = np.nextafter(np.float32(threshold), np.float32(-1))
    coarse, tail = (
        np.minimum((mean + sd * stats.norm.ppf(v * below)).astype(np.float32), limit)
        for v in (u, u / N_CELLS)
    )
    return QuantileTables(np.asarray(radius, float), coarse, tail, threshold)


def _image(shape=(256, 256), seed=0, rate=1.0):
    image = np.random.default_rng(seed).poisson(rate, shape)
    slow, fast = np.indices(shape)
    radius = np.hypot(slow - shape[0] / 2, fast - shape[1] / 2).astype(np.float32)
    return image, np.ones(shape, bool), radius


TABLES = _tables([30, 80, 120], [3, 1, -1], [6, 5, 4])


@given(
    seed=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**31),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]),
    assign=st.sampled_from(["random", "expected"]),
)
@settings(max_examples=25, deadline=None)
def test_only_eligible_zeros_change_and_none_becomes_positive(
    seed, number, dtype, assign
):
    image, eligible, radius = _image((70, 90), seed % 1000)
    eligible[:, 20:30] = False
    before = image.astype(dtype)
    after = replace_zeros(
        before,
        eligible,
        radius,
        TABLES,
        seed=seed,
        image_number=number,
        assign=assign,
    )
    assert after.dtype == np.int32
    changeable = (image == 0) & eligible
    np.testing.assert_array_equal(after[~changeable], image[~changeable])
    assert (after[changeable] <= 0).all()
    assert (after[changeable] < 0).any()
    np.testing.assert_array_equal(before, image)


@given(data=st.data(), assign=st.sampled_from(["random", "expected"]))
@settings(max_examples=25, deadline=None)
def test_a_pixel_does_not_depend_on_the_others(data, assign):
    # more than one block of pixels, so that blocks are crossed as well
    shape = (300, 500)
    image, eligible, radius = _image(shape, 1, 0.5)
    keys = {"seed": 11, "image_number": 5, "assign": assign}
    all_drawn = replace_zeros(image, eligible, radius, TABLES, **keys)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    alone = image.copy()
    keep = rng.random(shape) < data.draw(st.sampled_from([1e-4, 0.01, 0.5]))
    alone[~keep] = rng.integers(0, 3, (~keep).sum())
    other_radius = np.where(keep, radius, radius.max() - radius)
    allowed = keep | (rng.random(shape) < 0.5)
    drawn = replace_zeros(alone, allowed, other_radius, TABLES, **keys)
    np.testing.assert_array_equal(drawn[keep], all_drawn[keep])


def test_seed_and_image_number_change_the_draws():
    image, eligible, radius = _image()
    drawn = {
        (seed, number): replace_zeros(
            image, eligible, radius, TABLES, seed=seed, image_number=number
        )
        for seed in (0, 1, 2**32, 2**64 - 1)
        for number in (0, 1, 2**31)
    }
    keys = list(drawn)
    for i, a in enumerate(keys):
        for b in keys[:i]:
            same = (drawn[a] == drawn[b])[image == 0].mean()
            assert same < 0.25, (a, b)


def test_known_draws():
    """The same on every machine and with every release of NumPy."""
    zeros = np.zeros((1, 8), np.int32)
    drawn = replace_zeros(
        zeros,
        zeros == 0,
        np.full(zeros.shape, 30, np.float32),
        TABLES,
        seed=20161109,
        image_number=7,
    )
    key = np.random.SeedSequence([20161109, 0, 7, 0, 0, 0])
    words = np.random.PCG64DXSM(key).random_raw(2)
    bits = [(int(w) >> shift) & 0xFFFF for w in words for shift in (0, 16, 32, 48)]
    expected = [np.floor(TABLES.coarse[0, b // 16] + 0.5) for b in bits]
    assert min(bits) >= 16  # none in the tail
    np.testing.assert_allclose(drawn[0], expected, atol=1)
    assert (drawn[0] == expected).sum() >= 6


@pytest.mark.parametrize("rounding", ["round", "floor"])
@pytest.mark.parametrize("ring", [0, 1, 2])
def test_the_distribution_at_a_knot(rounding, ring):
    tables = _tables([30, 80, 120], [3, 1, -1], [6, 5, 4], rounding)
    shape = (1000, 1000)
    zeros = np.zeros(shape, np.uint16)
    radius = np.full(shape, tables.radius[ring], np.float32)
    arguments = (zeros, np.ones(shape, bool), radius, tables)
    keys = {"seed": 3, "image_number": 1, "rounding": rounding}
    drawn = replace_zeros(*arguments, **keys)
    threshold = tables.threshold
    law = stats.norm([3, 1, -1][ring], [6, 5, 4][ring])
    value, count = np.unique(drawn, return_counts=True)
    edges = threshold - np.arange(0, 60)
    expected = -np.diff(law.cdf(edges)) / law.cdf(threshold)
    observed = np.zeros(59)
    observed[-value] = count / drawn.size
    # the knots lie up to half a node away, which shifts the mean by 0.01 ADU
    np.testing.assert_allclose(observed, expected, atol=0.003)
    assert np.cumsum(observed)[-1] == pytest.approx(1)
    mean = -(expected * np.arange(59)).sum()
    assert drawn.mean() == pytest.approx(mean, abs=0.03)
    smoothed = replace_zeros(*arguments, **keys, assign="expected")
    assert smoothed.mean() == pytest.approx(mean, abs=0.03)
    assert np.ptp(smoothed) == 1


def test_the_tail_goes_beyond_the_coarse_table():
    zeros = np.zeros((2000, 2000), np.uint8)
    tables = _tables([1.0], [0.0], [100.0])
    drawn = replace_zeros(
        zeros, zeros == 0, np.ones(zeros.shape), tables, seed=1, image_number=1
    )
    low = drawn[drawn < tables.coarse[0, 0]]
    # half of the lowest cell lies below its middle
    assert len(low) == pytest.approx(zeros.size / N_CELLS / 2, rel=0.2)
    assert drawn.min() < 100 * stats.norm.ppf(0.5 * 3 / zeros.size)
    expected = 100 * stats.norm.ppf(0.25 / N_CELLS * np.array([0.2, 0.5, 0.8]))
    np.testing.assert_allclose(np.quantile(low, [0.2, 0.5, 0.8]), expected, rtol=0.05)


def test_no_step_at_the_edges_of_annuli():
    shape = (400, 1500)
    radius = np.tile(np.linspace(0, 150, shape[1], dtype=np.float32), (shape[0], 1))
    zeros = np.zeros(shape, np.int32)
    drawn = replace_zeros(
        zeros, zeros == 0, radius, TABLES, seed=1, image_number=1, assign="expected"
    )
    profile = drawn.reshape(400, 30, 50).mean(axis=(0, 2))
    assert np.abs(np.diff(profile, 2)).max() < 0.06


def test_given_uniforms_are_the_places_in_the_distribution():
    image, eligible, radius = _image()
    labels = np.where(eligible, 0, -1).astype(np.int16)
    zeros = find_zeros(image, labels)
    grid = radial_grid(radius, 0.0, 180.0)
    mixture = linear_mixture(TABLES.radius, grid.radius)
    keys = {"seed": 1, "image_number": 1}

    def draw(uniforms):
        drawn = draw_zeros(
            image, labels, grid.node, TABLES, mixture, uniforms=uniforms, **keys
        )
        return drawn.ravel()[zeros]

    generator = np.random.default_rng(5)
    u = generator.uniform(size=len(zeros))
    low, high = draw(0.9 * u), draw(0.9 * u + 0.1)
    assert (low <= high).all()
    assert (low < high).mean() > 0.2
    independent = replace_zeros(image, eligible, radius, TABLES, **keys).ravel()[zeros]
    scatter = independent.std() / np.sqrt(len(zeros))
    assert abs(draw(u).mean() - independent.mean()) < 5 * scatter
    with pytest.raises(ValueError, match="3 uniforms"):
        draw(u[:3])


@pytest.mark.parametrize("sd", [5.0, 90.0])
@pytest.mark.parametrize("highest", [3, 40_000])
def test_narrow_images_and_narrow_tables(sd, highest):
    """Sixteen bits or thirty-two, a byte for a value or two: the same draws."""
    tables = _tables([30, 80, 120], [3, 1, -1], [sd, sd, sd])
    image, eligible, radius = _image((300, 500), 2, 0.8)
    image[150, 7] = highest
    keys = {"seed": 1, "image_number": 4}
    wide = replace_zeros(image.astype(np.int64), eligible, radius, tables, **keys)
    narrow = replace_zeros(image.astype(np.uint16), eligible, radius, tables, **keys)
    np.testing.assert_array_equal(narrow, wide)
    assert narrow[150, 7] == highest
    assert (narrow.min() < -128) == (sd > 50)


def test_without_tables_or_zeros_nothing_changes():
    image, eligible, radius = _image()
    none = QuantileTables(
        np.empty(0), np.empty((0, 8), np.float32), np.empty((0, 8), np.float32), 0.5
    )
    keys = {"seed": 1, "image_number": 1}
    np.testing.assert_array_equal(
        replace_zeros(image, eligible, radius, none, **keys), image
    )
    bright = image + 1
    np.testing.assert_array_equal(
        replace_zeros(bright, eligible, radius, TABLES, **keys), bright
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"assign": "mean"}, "'mean'"),
        ({"rounding": "up"}, "'up'"),
        ({"rounding": "floor"}, "threshold 0.5"),
        ({"seed": -1}, "not -1"),
        ({"seed": 2**64}, "below 2\\*\\*64"),
        ({"radius": np.ones((3, 3))}, "differ in shape"),
    ],
)
def test_refuses(change, message):
    image, eligible, radius = _image((20, 20))
    arguments = {
        "image": image,
        "eligible": eligible,
        "radius": radius,
        "tables": TABLES,
        "seed": 1,
        "image_number": 1,
    }
    with pytest.raises(ValueError, match=message):
        replace_zeros(**{**arguments, **change})
