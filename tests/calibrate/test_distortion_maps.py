"""Maps and parameters against the DIALS at hand."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from dials.command_line import generate_distortion_maps
from dxtbx import flumpy
from dxtbx.model import DetectorFactory, OffsetPxMmStrategy

from dials_truncfix.calibrate.distortion_maps import (
    dials_ellipse,
    linear_maps,
    map_bytes,
    pixel_positions,
)
from dials_truncfix.calibrate.ellipse import Ellipse, strain_matrix

SIZE, PIXEL = 64, 0.5
CENTRE = (30.2, 34.7)
ELLIPSE = Ellipse(1.012, math.radians(25))
MATRIX = strain_matrix(*ELLIPSE.strain)
UNDO = np.linalg.inv(MATRIX)


def detector():
    return DetectorFactory.simple(
        "CCD",
        500.0,
        (CENTRE[0] * PIXEL, CENTRE[1] * PIXEL),
        "+x",
        "-y",
        (PIXEL, PIXEL),
        (SIZE, SIZE),
        (0, 1e6),
    )


class Images:
    @staticmethod
    def get_detector():
        return detector()


def test_dials_makes_the_same_maps_from_our_parameters():
    """Sign and meaning of phi, l1 and l2 differ between releases."""
    maps = linear_maps((SIZE, SIZE), CENTRE, UNDO)
    words = dials_ellipse(ELLIPSE, (CENTRE[0] * PIXEL, CENTRE[1] * PIXEL))
    dx, dy = generate_distortion_maps.make_dx_dy_ellipse(
        Images, words.phi, words.l1, words.l2, words.centre_xy
    )
    assert np.array(dx[0]).reshape(SIZE, SIZE) == pytest.approx(maps.dx, abs=1e-9)
    assert np.array(dy[0]).reshape(SIZE, SIZE) == pytest.approx(maps.dy, abs=1e-9)
    assert maps.largest > 0.15


def test_the_program_of_dials_reads_the_parameters():
    words = dials_ellipse(ELLIPSE, (1.5, 2.5))
    scope = generate_distortion_maps.scope
    import libtbx.phil

    merged, unused = scope.fetch(
        libtbx.phil.parse(words.as_phil()), track_unused_definitions=True
    )
    read = merged.extract()
    assert not unused
    assert read.mode == "ellipse"
    assert read.ellipse.l1 == pytest.approx(words.l1, abs=1e-8)
    assert read.ellipse.centre_xy == pytest.approx([1.5, 2.5])


def test_a_panel_with_the_maps_sees_circles():
    """Points of an ellipse on the image lie on a circle in mm, to a hundredth pixel."""
    maps = linear_maps((SIZE, SIZE), CENTRE, UNDO)
    dx, dy = (flumpy.from_numpy(m) for m in (maps.dx, maps.dy))
    panel = detector()[0]
    panel.set_px_mm_strategy(OffsetPxMmStrategy(dx, dy))
    angle = np.linspace(0, 2 * np.pi, 50)
    x, y = MATRIX @ (25.0 * np.stack([np.cos(angle), np.sin(angle)]))
    mm = np.array(
        [
            panel.pixel_to_millimeter((CENTRE[0] + a, CENTRE[1] + b))
            for a, b in zip(x, y)
        ]
    )
    radius = np.hypot(*(mm - np.array(CENTRE) * PIXEL).T) / PIXEL
    assert np.ptp(np.hypot(x, y)) > 0.25
    assert radius == pytest.approx(np.full(50, 25.0), abs=0.01)


def test_maps_add_up():
    """A distortion seen through maps is added to theirs."""
    first = linear_maps((SIZE, SIZE), CENTRE, UNDO)
    both = linear_maps((SIZE, SIZE), CENTRE, UNDO, first)
    twice = linear_maps((SIZE, SIZE), CENTRE, UNDO @ UNDO)
    assert both.dx == pytest.approx(twice.dx, abs=1e-9)
    x, _ = pixel_positions((SIZE, SIZE), both)
    assert x[10, 60] == pytest.approx(60.5 - both.dx[10, 60])


def test_files_hold_what_dials_import_reads():
    maps = linear_maps((3, 5), (2.0, 1.0), UNDO)
    (read,) = pickle.loads(map_bytes(maps.dx))
    assert read.all() == (3, 5)
    assert flumpy.to_numpy(read) == pytest.approx(maps.dx)
