"""From the parameters of dials.truncfix_simulate to what they describe."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

import libtbx.phil

from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.f416 import F416
from dials_truncfix.command_line.program import plain_values
from dials_truncfix.command_line.simulate_camera import (
    AnyCamera,
    lengths,
    make_camera,
    shown_size,
)
from dials_truncfix.io.microscope import electron_wavelength
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.build import Sample, build_stills, build_sweep
from dials_truncfix.simulate.from_images import CountedSweep
from dials_truncfix.simulate.models import Geometry, Rotation
from dials_truncfix.simulate.scene import SpotShape
from dials_truncfix.simulate.stills import StillsModel
from dials_truncfix.simulate.stills_images import SimulatedStills
from dials_truncfix.simulate.sweep import SimulatedSweep

#: Of stills without a camera, Å.
_WAVELENGTH = 1.3
#: Replaced by what sample and camera say.
_MOST_D_MIN = 2.0


def _unless_auto(value: Any) -> Any:
    return None if value is libtbx.Auto else value


def description(params: Any) -> dict[str, Any]:
    """Everything needed to make the data again; not on how many processes."""
    values: dict[str, Any] = plain_values(params)
    values.pop("mp")
    return values


def make_sample(params: Any) -> Sample:
    """Translate the phil parameters of the crystal and its structure factors."""
    crystal, factors = params.crystal, params.structure_factors
    cell, u = _unless_auto(crystal.unit_cell), _unless_auto(crystal.orientation)
    return Sample(
        unit_cell=None if cell is None else tuple(cell),
        space_group=_unless_auto(crystal.space_group),
        orientation=None if u is None else np.reshape(u, (3, 3)),
        mosaicity=crystal.mosaicity,
        structure_factors=None if factors.file is None else Path(factors.file),
        label=factors.label,
        wilson_b=factors.wilson_b,
        extra_b=factors.extra_b,
        d_min=_unless_auto(params.d_min),
        mean_intensity=params.dose.mean_intensity,
    )


def make_geometry(params: Any, camera: AnyCamera) -> Geometry:
    """Translate the phil parameters of beam, camera position and beam stop."""
    p = params.geometry
    distance, radius, arm_width = lengths(params, camera)
    return Geometry(
        wavelength=electron_wavelength(params.beam.high_tension),
        distance=distance,
        beam_centre=None if p.beam_centre is None else tuple(p.beam_centre),
        rotation_axis=tuple(p.rotation_axis),
        image_size=shown_size(params, camera),
        beam_stop_radius=radius,
        beam_stop_arm=arm_width,
    )


def make_background(params: Any) -> Background:
    """Translate the phil parameters of what lies between the spots."""
    b = params.background
    return Background(
        inner=b.inner,
        inner_decay=b.inner_decay,
        outer=b.outer,
        outer_decay=b.outer_decay,
        ring=b.ring,
        ring_d=b.ring_d,
        ring_width=b.ring_width,
        uniform=b.uniform,
    )


def make_spots(params: Any) -> SpotShape:
    """Translate the phil parameters of the shape of spots."""
    spot = params.spot
    return SpotShape(spot.core_sigma, spot.tail_sigma, spot.tail_fraction)


def simulated_sweep(params: Any) -> SimulatedSweep:
    """Make the sweep of a simulated crystal from the phil parameters.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    """
    scan, camera = params.scan, make_camera(params)
    return build_sweep(
        make_sample(params),
        make_geometry(params, camera),
        Rotation(scan.start, scan.width, scan.n_images, scan.exposure),
        camera,
        make_background(params),
        make_spots(params),
        params.seed,
    )


def stills_images(params: Any) -> tuple[SimulatedStills, Any]:
    """Make stills and their true intensities from the phil parameters.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    """
    if params.stills.wavelength is not libtbx.Auto:
        raise ValueError(
            "stills.wavelength is for reflections: images are of electrons, whose "
            "wavelength beam.high_tension sets"
        )
    camera = make_camera(params, still=True)
    return build_stills(
        make_sample(params),
        make_geometry(params, camera),
        stills_model(params, _MOST_D_MIN),
        camera,
        make_background(params),
        make_spots(params),
        params.seed,
    )


def counted_sweep(params: Any, imageset: Any) -> CountedSweep:
    """Make the sweep of given images from the phil parameters.

    Raises
    ------
    ValueError
        If the images cannot be used.
    """
    camera = make_camera(params)
    if not isinstance(camera, (F416, CCD)):
        raise ValueError(
            "source=images passes counts to a camera that integrates them: f416 or ccd"
        )
    return CountedSweep(
        imageset=imageset,
        camera=camera,
        background=Background(
            inner=0.0,
            outer=params.images.radial,
            outer_decay=params.images.radial_decay,
            ring=0.0,
            uniform=params.images.uniform,
        ),
        multiply=params.images.multiply,
        keep=params.images.keep,
        seed=params.seed,
    )


def stills_model(params: Any, d_min: float) -> StillsModel:
    """Translate the phil parameters of stills.

    Raises
    ------
    ValueError
        If a parameter is impossible.
    """
    p = params.stills
    wavelength = _WAVELENGTH if p.wavelength is libtbx.Auto else p.wavelength
    return StillsModel(
        n_lattices=p.n_lattices,
        s0=(0.0, 0.0, -1.0 / wavelength),
        model=Model(p.model),
        rs=p.rs,
        rs_spread=p.rs_spread,
        mosaicity=math.radians(p.mosaicity),
        orientation_error=math.radians(p.orientation_error),
        cell_error=p.cell_error,
        axis_error=p.axis_error,
        g_spread=p.g_spread,
        b_spread=p.b_spread,
        mean_intensity=p.mean_intensity,
        background=p.background,
        reach=p.reach,
        d_min=d_min,
    )
