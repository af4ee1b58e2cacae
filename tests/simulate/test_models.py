from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate.models import (
    DEFAULT_SPACE_GROUP,
    DEFAULT_UNIT_CELL,
    Geometry,
    Rotation,
    make_crystal,
    make_experiment,
    random_orientation,
)


def test_the_crystal_has_its_cell_and_orientation():
    u = random_orientation(4)
    model = make_crystal(DEFAULT_UNIT_CELL, DEFAULT_SPACE_GROUP, u)
    assert np.allclose(model.get_unit_cell().parameters(), DEFAULT_UNIT_CELL)
    assert np.allclose(np.reshape(model.get_U(), (3, 3)), u)
    assert str(model.get_space_group().info()) == "P 43 21 2"


def test_orientations_follow_the_seed():
    assert np.array_equal(random_orientation(1), random_orientation(1))
    assert not np.allclose(random_orientation(1), random_orientation(2))
    assert np.linalg.det(random_orientation(3)) == pytest.approx(1)


def test_the_default_camera_sees_what_the_published_one_saw():
    experiment = make_experiment(Geometry(), Rotation(), F416())
    panel, s0 = experiment.detector[0], experiment.beam.get_s0()
    assert panel.get_image_size() == (1024, 1024)
    assert panel.get_pixel_size() == pytest.approx((0.0624, 0.0624))
    # "resolutions up to 1.75 Å at the edges and 1.25 Å in the corners"
    edge = panel.get_resolution_at_pixel(s0, (0, 512))
    corner = panel.get_resolution_at_pixel(s0, (0, 0))
    assert edge == pytest.approx(1.75, abs=0.03)
    assert corner == pytest.approx(1.25, abs=0.04)


def test_beam_centre_distance_and_axis():
    experiment = make_experiment(
        Geometry(
            distance=900.0,
            beam_centre=(100.5, 150.25),
            rotation_axis=(0.0, 3.0, 0.0),
            image_size=(256, 200),
        ),
        Rotation(start=-10, width=0.25, n_images=7, exposure=2),
        F416(),
    )
    panel = experiment.detector[0]
    centre = panel.get_beam_centre_px(experiment.beam.get_s0())
    assert centre == pytest.approx((100.5, 150.25))
    assert panel.get_distance() == pytest.approx(900)
    assert experiment.goniometer.get_rotation_axis() == pytest.approx((0, 1, 0))
    assert experiment.scan.get_oscillation() == pytest.approx((-10, 0.25))
    assert experiment.scan.get_image_range() == (1, 7)


@pytest.mark.parametrize(
    "cell, group, u, message",
    [
        (DEFAULT_UNIT_CELL, "P 43 21 2", np.eye(3) * 2, "not a rotation"),
        (DEFAULT_UNIT_CELL, "P 43 21 2", np.diag([1, 1, -1]), "left-handed"),
        (DEFAULT_UNIT_CELL, "P 99", np.eye(3), "P 99 is not a space group"),
        ((50, 60, 70, 90, 90, 90), "P 43 21 2", np.eye(3), "does not fit"),
    ],
)
def test_impossible_crystals_are_refused(cell, group, u, message):
    with pytest.raises(ValueError, match=message):
        make_crystal(cell, group, u)


def test_impossible_geometry_is_refused():
    with pytest.raises(ValueError, match="distance 0"):
        Geometry(distance=0)
    with pytest.raises(ValueError, match="no direction"):
        Geometry(rotation_axis=(0, 0, 0))
    with pytest.raises(ValueError, match="0 images"):
        Rotation(n_images=0)
    with pytest.raises(ValueError, match="off the image"):
        make_experiment(Geometry(beam_centre=(2000, 10)), Rotation(), F416())
