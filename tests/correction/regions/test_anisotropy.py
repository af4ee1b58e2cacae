"""The test of how uniform annuli are: it sees waves, and is not fooled by spots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dials_truncfix.correction.regions.anisotropy import (
    WORTH_SECTORS,
    anisotropy,
    azimuth_grid,
    count_zeros,
)
from dials_truncfix.correction.regions.annuli import equal_area_annuli
from dials_truncfix.correction.regions.radial_grid import radial_grid

SHAPE = (512, 512)
CENTRE = (250.0, 262.0)
SLOW, FAST = np.indices(SHAPE) + 0.5
RADIUS = np.hypot(SLOW - CENTRE[0], FAST - CENTRE[1]).astype(np.float32)
AZIMUTH = np.arctan2(SLOW - CENTRE[0], FAST - CENTRE[1])
ANNULI = equal_area_annuli(RADIUS, np.ones(SHAPE, bool), 6)
GRID = azimuth_grid(
    radial_grid(RADIUS, float(ANNULI.edges[0]), float(ANNULI.edges[-1])),
    ANNULI.edges,
    CENTRE,
)
MEAN = 2.0 + 20 * np.exp(-RADIUS / 60)
SIGMA = 5.0


def test_of(images, labels=ANNULI.labels, slope=0.2):
    counts = [count_zeros(np.maximum(image, 0), labels, GRID) for image in images]
    return anisotropy(counts, slope)


# a helper, whatever its name begins with
test_of.__test__ = False


def images(mean, n_images=3, noise=None):
    generator = np.random.default_rng(7)
    for _ in range(n_images):
        white = generator.normal(size=SHAPE) if noise is None else noise(generator)
        yield np.rint(mean + SIGMA * white).astype(np.int32)


def test_uniform_annuli_are_not_suspected():
    rings = test_of(images(MEAN))
    assert len(rings) == 6
    for ring in rings:
        assert ring.chance > 1e-3
        assert ring.amplitude < 0.2
        assert not ring.advised
    assert np.mean([ring.statistic for ring in rings]) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_amplitude_of_a_wave_is_found(fold):
    rings = test_of(images(MEAN + 1.0 * np.cos(fold * AZIMUTH - 0.4)))
    # neither the steep part, where few pixels are zero, nor the corners
    for ring in rings[1:-1]:
        assert ring.chance < 1e-6
        assert ring.advised
    found = [ring.amplitude for ring in rings[1:-1]]
    np.testing.assert_allclose(found, 1.0, rtol=0.2)


def test_the_error_is_that_of_the_zeros_drawn_from_another_mean():
    (first, *_), (same, *_) = (
        test_of(images(MEAN + np.cos(AZIMUTH)), slope=slope) for slope in (0.1, 0.2)
    )
    assert same.error == pytest.approx(2 * first.error)
    assert first.advised == (first.error >= WORTH_SECTORS)
    fraction = np.mean(
        np.concatenate([i[ANNULI.labels == 0] for i in images(MEAN)]) <= 0
    )
    assert first.error == pytest.approx(0.1 * fraction * first.amplitude, rel=0.05)


def test_spots_and_shared_noise_are_no_anisotropy():
    def correlated(generator):
        white = ndimage.gaussian_filter(generator.normal(size=SHAPE), 0.7)
        return white / white.std()

    generator = np.random.default_rng(3)
    spots = np.zeros(SHAPE)
    at = generator.integers(0, SHAPE[0], (2, 200))
    spots[at[0], at[1]] = 4e4 * generator.random(200)
    spots = ndimage.gaussian_filter(spots, 1.5)
    for ring in test_of(images(MEAN + spots, noise=correlated)):
        assert ring.chance > 1e-4
        assert not ring.advised


def test_masked_sectors_and_corners_do_not_matter():
    labels = ANNULI.labels.copy()
    labels[np.abs(AZIMUTH - 1.0) < 0.3] = -1
    for ring in test_of(images(MEAN), labels):
        assert ring.chance > 1e-3
    assert test_of(images(MEAN + np.cos(AZIMUTH)), labels)[3].advised


def test_without_zeros_nothing_is_said():
    for ring in test_of(images(MEAN + 100)):
        assert np.isnan([ring.statistic, ring.amplitude, ring.error]).all()
        assert not ring.advised
    assert anisotropy([], 0.2) == []
