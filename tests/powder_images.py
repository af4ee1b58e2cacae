"""Ring patterns of known geometry, as arrays and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dials_truncfix.calibrate.ellipse import Ellipse, strain_matrix
from dials_truncfix.calibrate.rings.cake import Pixels
from dials_truncfix.calibrate.rings.standards import named_standard
from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate import output
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.models import Geometry, Rotation, make_experiment
from dials_truncfix.simulate.powder import PowderGeometry, powder_electrons
from dials_truncfix.simulate.spots import add_gaussian_spots

WAVELENGTH = 0.02507934
CAMERA = F416(binning=8)
SIZE = 512
DISTANCE, CENTRE = 1200.0, (262.3, 247.6)
ELLIPSE = Ellipse(1.012, 0.7)
#: What the files say.
STATED_DISTANCE = 1110.0
N_SPOTS = 20


def powder_recording(seed, level, *, name="aluminium", ellipse=ELLIPSE, rings=True):
    """An image through the camera; `level` is the height of the strongest ring, e⁻."""
    geometry = PowderGeometry(
        (SIZE, SIZE),
        CAMERA.pixel_size,
        WAVELENGTH,
        DISTANCE,
        CENTRE,
        strain_matrix(*ellipse.strain),
    )
    standard = named_standard(name, 0.6)
    electrons = powder_electrons(
        geometry,
        standard.d,
        level * rings * standard.strength**0.5,
        ring_width=1.6,
        background=Background(inner=7 * level, outer=level, ring=0.0),
        texture=0.3,
        texture_azimuth=0.2,
        beam_stop_radius=18.0,
        beam_stop_arm=8.0,
    )
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIZE, (2, N_SPOTS))
    add_gaussian_spots(electrons, x, y, rng.exponential(2000.0, N_SPOTS), 1.0)
    pattern = CAMERA.fixed_pattern(electrons.shape, seed)
    return CAMERA.expose(electrons, pattern, seed, 1)


def pixels_of(image):
    """All pixels of an image with their positions."""
    slow, fast = np.indices(image.shape)
    size = CAMERA.pixel_size
    return Pixels(
        size * (fast.ravel() + 0.5),
        size * (slow.ravel() + 0.5),
        image.ravel().astype(float),
        size,
    )


def write_powder(folder: Path, seed=1, level=5.0, **changes) -> Path:
    """Write an image whose header has a wrong camera length and beam centre."""
    recording = powder_recording(seed, level, **changes)
    experiment = make_experiment(
        Geometry(wavelength=WAVELENGTH, distance=STATED_DISTANCE),
        Rotation(n_images=1),
        CAMERA,
    )
    names = output.OutputNames("powder")
    output.write_images(
        folder,
        names,
        [recording],
        experiment,
        CAMERA,
        image_format="smv",
        high_tension_kv=200,
        frames_per_part=None,
        unclipped=False,
        seed=seed,
    )
    return folder / names.smv(1)
