from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate.background import Background, beam_stop_transmission
from dials_truncfix.simulate.build import Sample, build_sweep
from dials_truncfix.simulate.models import Geometry, Rotation
from dials_truncfix.simulate.scene import SpotShape


def test_all_electrons_of_the_spots_are_on_the_images(small_sweep):
    bare = replace(small_sweep, beam_stop_radius=0.0, beam_stop_arm=0.0)
    r = bare.reflections
    inside = (
        (np.minimum(r.x, 256 - r.x) > 6)
        & (np.minimum(r.y, 240 - r.y) > 6)
        & (np.minimum(r.z, 6 - r.z) > 5 * r.sigma_z)
    )
    r = replace(
        r, **{name: getattr(r, name)[inside] for name in r.__dataclass_fields__}
    )
    bare = replace(bare, reflections=r)
    spots = sum(bare.expected(k) - bare.background_electrons for k in range(6))
    assert inside.sum() > 100
    assert spots.sum() == pytest.approx(r.intensity.sum(), rel=1e-5)


def test_spots_are_where_they_are_predicted(small_sweep):
    r = small_sweep.reflections
    strongest = np.argsort(r.intensity * r.fraction(2))[-5:]
    excess = small_sweep.expected(2) - small_sweep.background_electrons
    for x, y in zip(r.x[strongest].astype(int), r.y[strongest].astype(int)):
        if not (3 < x < 252 and 3 < y < 236):
            continue
        if small_sweep.transmission[y, x] > 0.99:
            box = excess[y - 2 : y + 3, x - 2 : x + 3]
            assert excess[y, x] > 0.5 * box.max()
            assert box.sum() > 100


def test_any_image_can_be_made_alone(small_sweep):
    first = [small_sweep.record(k).clipped for k in (0, 1, 4)]
    other = replace(small_sweep)
    assert np.array_equal(other.record(4).clipped, first[2])
    assert np.array_equal(other.record(0).clipped, first[0])


def test_the_shadow_holds_read_noise_only(small_sweep):
    dark = small_sweep.transmission < 1e-6
    assert dark.sum() > 500
    pixels = np.array([small_sweep.record(k).unclipped[dark] for k in range(6)])
    assert pixels.mean() == pytest.approx(0, abs=0.3)
    assert pixels.std() == pytest.approx(6, rel=0.03)
    assert small_sweep.shadowed().any()
    assert (
        not replace(small_sweep, beam_stop_radius=0.0, beam_stop_arm=0.0)
        .shadowed()
        .any()
    )


def test_no_such_image(small_sweep):
    with pytest.raises(ValueError, match="image 6 of a sweep of 6"):
        small_sweep.expected(6)


def test_background_falls_and_has_a_ring():
    background = Background()
    s = np.linspace(0.03, 0.8, 200)
    assert (background.expected(s) > 0).all()
    assert (np.diff(replace(background, ring=0.0).expected(s)) < 0).all()
    ring = background.expected(1 / 3.4) - replace(background, ring=0.0).expected(
        1 / 3.4
    )
    assert ring == pytest.approx(background.ring)
    assert replace(background, uniform=1.0).expected(5.0) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="outer -1"):
        Background(outer=-1)
    with pytest.raises(ValueError, match="ring_width 0"):
        Background(ring_width=0)


def test_beam_stop():
    transmission = beam_stop_transmission((60, 80), (50.0, 30.0), 10.0, 6.0)
    assert transmission[30, 50] < 1e-6
    assert transmission[30, 0] < 0.01
    assert transmission[30, 79] == pytest.approx(1)
    assert transmission[0, 50] == pytest.approx(1)
    assert (beam_stop_transmission((9, 9), (4.5, 4.5), 0, 0) == 1).all()


def test_structure_factors_bring_their_symmetry(shared_data):
    sweep = build_sweep(
        Sample(
            structure_factors=shared_data / "frames" / "lysozyme_ed_refmac_final.mtz",
            d_min=3.0,
        ),
        Geometry(image_size=(256, 256), distance=800.0),
        Rotation(width=1.0, n_images=3),
        F416(),
        Background(),
        SpotShape(),
        seed=1,
    )
    crystal = sweep.experiment.crystal
    assert str(crystal.get_space_group().info()) == "P 21 21 2"
    assert crystal.get_unit_cell().parameters()[0] == pytest.approx(104.447, abs=0.01)
    assert sweep.reflections.d.min() >= 3.0
    with pytest.raises(ValueError, match="do not fit"):
        build_sweep(
            Sample(
                structure_factors=shared_data
                / "frames"
                / "lysozyme_ed_refmac_final.mtz",
                space_group="P 1",
                d_min=3.0,
            ),
            Geometry(image_size=(256, 256), distance=800.0),
            Rotation(n_images=3),
            F416(),
            Background(),
            SpotShape(),
            seed=1,
        )


def test_impossible_samples_are_refused():
    with pytest.raises(ValueError, match="mosaicity 0"):
        Sample(mosaicity=0)
    with pytest.raises(ValueError, match="-2 Å"):
        Sample(d_min=-2)
    with pytest.raises(ValueError, match="tail_fraction 2"):
        SpotShape(tail_fraction=2)
    with pytest.raises(ValueError, match="widths 0"):
        SpotShape(core_sigma=0)
