from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.model import Detector, GoniometerFactory

from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.from_images import CountedSweep
from dials_truncfix.simulate.models import Geometry, Rotation, make_experiment

NO_BACKGROUND = Background(inner=0, outer=0, ring=0)


class Counts:
    """An imageset of two images that counted electrons, with a gap and a bad pixel."""

    def __init__(self):
        self.models = make_experiment(
            Geometry(image_size=(64, 48)), Rotation(n_images=2), F416()
        )
        self.models.detector[0].set_type("SENSOR_PAD")
        self.models.detector[0].set_trusted_range((-0.5, 1000.5))
        self.models.goniometer = GoniometerFactory.make_goniometer(
            (0, 1, 0), (0, 1, 0, -1, 0, 0, 0, 0, 1)
        )
        rng = np.random.default_rng(0)
        self.pixels = rng.poisson(2.0, (2, 48, 64)).astype(np.int32)
        self.pixels[:, :, 30:33] = -1
        self.pixels[1, 5, 5] = -2

    def __len__(self):
        return 2

    def get_detector(self):
        return self.models.detector

    def get_beam(self):
        return self.models.beam

    def get_goniometer(self):
        return self.models.goniometer

    def get_scan(self):
        return self.models.scan

    def get_path(self, index):
        return f"count_{index}.cbf"

    def get_raw_data(self, index):
        return (flumpy.from_numpy(self.pixels[index]),)

    def get_mask(self, index):
        return (flumpy.from_numpy(self.pixels[index] >= 0),)


def counted(imageset=None, **kwargs):
    settings = {
        "camera": F416(),
        "background": NO_BACKGROUND,
        "multiply": 1,
        "keep": 1.0,
        "seed": 3,
        **kwargs,
    }
    return CountedSweep(imageset=imageset or Counts(), **settings)


def test_counts_are_electrons():
    sweep = counted()
    assert sweep.n_images == 2
    assert sweep.shape == (48, 64)
    for k in range(2):
        raw = sweep.imageset.pixels[k]
        expected = np.where(sweep.valid, raw, 0)
        assert np.array_equal(sweep.electrons(k), expected)


def test_pixels_bad_in_any_image_are_left_out_of_all():
    sweep = counted(background=Background(uniform=50))
    bad = np.zeros((48, 64), dtype=bool)
    bad[:, 30:33] = True
    bad[5, 5] = True
    assert np.array_equal(sweep.valid, ~bad)
    recording = sweep.record(0)
    assert not recording.clipped[bad].any()
    assert not recording.unclipped[bad].any()
    assert np.count_nonzero(recording.unclipped[~bad]) > 0.95 * (~bad).sum()


def test_the_camera_response_is_that_of_its_electrons():
    sweep = counted()
    response = sweep.record(0).unclipped[sweep.valid]
    electrons = sweep.electrons(0)[sweep.valid]
    slope = np.polyfit(electrons, response, 1)[0]
    assert slope == pytest.approx(6, rel=0.05)


def test_thinning_multiplying_and_background():
    plain = counted().electrons(0)[counted().valid]
    thinned = counted(keep=0.25)
    thin = thinned.electrons(0)[thinned.valid]
    assert (thin <= plain).all()
    assert thin.mean() == pytest.approx(0.25 * plain.mean(), rel=0.08)
    many = counted(multiply=3)
    assert np.array_equal(many.electrons(0)[many.valid], 3 * plain)
    lit = counted(background=Background(inner=0, outer=0, ring=0, uniform=5))
    added = lit.electrons(0)[lit.valid] - plain
    assert added.min() >= 0
    assert added.mean() == pytest.approx(5, rel=0.05)
    assert np.array_equal(lit.electrons(1), lit.electrons(1))


def test_the_geometry_is_carried_over():
    sweep = counted()
    experiment, original = sweep.experiment, sweep.imageset
    panel = experiment.detector[0]
    assert panel.get_origin() == original.get_detector()[0].get_origin()
    assert panel.get_type() == "SENSOR_CCD"
    assert panel.get_trusted_range() == (-0.5, 65534.5)
    goniometer = experiment.goniometer
    assert goniometer.get_rotation_axis() == pytest.approx((0, 1, 0))
    assert goniometer.get_fixed_rotation() == pytest.approx(
        original.get_goniometer().get_fixed_rotation()
    )
    # the imageset's own model stays what it was
    assert original.get_detector()[0].get_type() == "SENSOR_PAD"


def test_unusable_images_are_refused():
    with pytest.raises(ValueError, match="multiplied by 0"):
        counted(multiply=0)
    with pytest.raises(ValueError, match="keep 0"):
        counted(keep=0.0)
    many = Counts()
    many.models.detector = two = Detector()
    for _ in range(2):
        two.add_panel(Counts().models.detector[0])
    with pytest.raises(ValueError, match="2 panels"):
        counted(many)
    still = Counts()
    still.models = SimpleNamespace(
        detector=still.models.detector, scan=None, goniometer=None, beam=None
    )
    with pytest.raises(ValueError, match="stills"):
        counted(still)


def test_fractions_and_changing_sizes_are_refused():
    imageset = Counts()
    sweep = counted(imageset)
    assert sweep.valid.any()
    imageset.pixels = imageset.pixels + 0.5
    with pytest.raises(ValueError, match=r"count_1.cbf: .* no counts"):
        sweep.electrons(1)
    imageset.pixels = np.zeros((2, 8, 8), dtype=np.int32)
    with pytest.raises(ValueError, match="count_0.cbf"):
        sweep.electrons(0)
