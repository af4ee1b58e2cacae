"""Rings of simulated images, whose geometry is known.

The camera is truncated, and the images have texture, spots and a beam stop with its arm.
"""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.rings.ring_fit import fit_cells, fit_rings
from dials_truncfix.calibrate.rings.ring_model import RingGeometry
from dials_truncfix.calibrate.rings.ring_result import tan_two_theta
from dials_truncfix.calibrate.rings.ring_search import symmetry_centre
from dials_truncfix.calibrate.rings.ring_stretches import cut_stretches, fit_stretch
from dials_truncfix.calibrate.rings.rings import RingOptions, calibrate_rings
from dials_truncfix.calibrate.rings.standards import custom_standard, named_standard
from powder_images import (
    CAMERA,
    CENTRE,
    DISTANCE,
    ELLIPSE,
    SIZE,
    STATED_DISTANCE,
    WAVELENGTH,
    pixels_of,
    powder_recording,
)

#: Height of the strongest ring, e⁻ per pixel; the read noise is 2 e⁻.
LEVELS = (4.0, 12.0, 40.0)


def measure(image, standard="aluminium", saturated=None, **options):
    if isinstance(standard, str):
        standard = named_standard(standard, 0.7)
    valid = np.ones(image.shape, dtype=bool)
    middle = SIZE / 2 * CAMERA.pixel_size
    return calibrate_rings(
        pixels_of(image),
        image.astype(float),
        valid,
        ~valid if saturated is None else saturated,
        standard,
        RingGeometry((middle, middle), STATED_DISTANCE, (0.0, 0.0)),
        WAVELENGTH,
        RingOptions(**options),
    )


@pytest.mark.parametrize("level", LEVELS)
def test_distance_centre_and_ellipse(level):
    """Within 0.05 %, 0.1 px and 0.001, and within four standard uncertainties."""
    result = measure(powder_recording(3, level).clipped)
    assert result.distance == pytest.approx(DISTANCE, rel=5e-4)
    assert result.centre == pytest.approx(CENTRE, abs=0.1)
    assert result.ellipse.ellipticity == pytest.approx(ELLIPSE.ellipticity, abs=1e-3)
    deviation = np.array(
        [
            *(np.array(result.centre) - CENTRE) * CAMERA.pixel_size,
            np.log(result.distance / DISTANCE),
            *(np.array(result.fit.geometry.strain) - ELLIPSE.strain),
        ]
    )
    z = deviation / np.sqrt(np.diagonal(result.fit.covariance))
    assert np.abs(z).max() < 4
    assert np.abs(z).max() > 0.2


def test_a_larger_ellipse_is_found_from_the_middle_of_the_image():
    ellipse = type(ELLIPSE)(1.045, 2.1)
    result = measure(powder_recording(4, 12.0, ellipse=ellipse).clipped)
    assert result.ellipse.ellipticity == pytest.approx(0.045, abs=1e-3)
    assert result.ellipse.azimuth == pytest.approx(2.1, abs=0.02)


def test_spacings_can_be_given():
    result = measure(
        powder_recording(5, 12.0).clipped, custom_standard([2.338, 2.0248, 1.4317])
    )
    assert result.distance == pytest.approx(DISTANCE, rel=5e-4)
    assert len(result.d) == 3


def test_the_centre_is_that_of_symmetry():
    image = powder_recording(6, 12.0).clipped.astype(float)
    valid = np.ones(image.shape, dtype=bool)
    # a hole that does not measure
    valid[100:140, 300:340] = False
    image[~valid] = 1e5
    assert symmetry_centre(image, valid) == pytest.approx(CENTRE, abs=1.0)
    with pytest.raises(ValueError, match="no pixel"):
        symmetry_centre(image, ~np.ones_like(valid))


@pytest.mark.parametrize("wrong", ["graphite", "silicon"])
def test_a_wrong_standard_is_refused(wrong):
    with pytest.raises(ValueError, match=wrong):
        measure(powder_recording(7, 12.0).clipped, wrong)


def test_wrong_spacings_are_refused():
    """One ring of four is 2 % off."""
    spacings = custom_standard([2.338, 2.0248 * 1.02, 1.4317, 1.2210])
    with pytest.raises(ValueError, match="not those of|strong ring"):
        measure(powder_recording(8, 12.0).clipped, spacings)


def test_an_image_without_rings_is_refused():
    with pytest.raises(ValueError, match="no rings of aluminium were found"):
        measure(powder_recording(9, 12.0, rings=False).clipped)


def test_saturated_rings_are_refused():
    recording = powder_recording(10, 40.0)
    level = np.percentile(recording.unclipped, 97)
    with pytest.raises(ValueError, match="saturated"):
        measure(recording.clipped, saturated=recording.unclipped > level)


def test_the_same_pixels_give_the_same_geometry_from_any_start():
    """Within 0.3 standard uncertainties: fits of cells alone differ by 0.6."""
    image = powder_recording(11, 4.0).clipped
    pixels = pixels_of(image)
    tangent = tan_two_theta(named_standard("aluminium", 0.7).d, WAVELENGTH)
    found, sd = [], []
    for shift in (-0.03, 0.0, 0.02):
        centre = tuple((x + shift) * CAMERA.pixel_size for x in CENTRE)
        start = RingGeometry(centre, DISTANCE * (1 + 0.01 * shift), ELLIPSE.strain)
        fit = fit_rings(pixels, tangent, start, 1.7 * CAMERA.pixel_size)
        assert fit.converged
        at = fit.geometry
        found.append([*at.centre, np.log(at.distance), *at.strain])
        sd.append(np.sqrt(np.diagonal(fit.covariance)))
    assert (np.ptp(found, axis=0) / np.mean(sd, axis=0)).max() < 0.3


def test_derivatives_of_stretches_are_those_of_differences():
    """The score is the derivative of half the weighted sum of squares."""
    image = powder_recording(12, 12.0).clipped
    pixels = pixels_of(image)
    tangent = tan_two_theta(named_standard("aluminium", 1.3).d, WAVELENGTH)
    centre = tuple((x + 0.2) * CAMERA.pixel_size for x in CENTRE)
    start = RingGeometry(centre, DISTANCE, (0.002, 0.01))
    cells = fit_cells(pixels, tangent, start, 1.7 * CAMERA.pixel_size)
    stretch = cut_stretches(pixels, cells.windows, cells.frame)[5]

    def half_squares(x, y, length, p, q):
        moved = RingGeometry(
            (start.centre[0] + x, start.centre[1] + y),
            start.distance * np.exp(length),
            (start.strain[0] + p, start.strain[1] + q),
        )
        fit = fit_stretch(stretch, tangent, moved, cells.shape)
        return 0.5 * np.sum(stretch.weight * fit.residual**2)

    score = fit_stretch(stretch, tangent, start, cells.shape).score
    for k, step in enumerate([1e-4, 1e-4, 1e-6, 1e-5, 1e-5]):
        ends = [half_squares(*(sign * step * np.eye(5)[k])) for sign in (1, -1)]
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(score[k], rel=1e-3)
