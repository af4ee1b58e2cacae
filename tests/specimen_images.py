"""Images of a simulated specimen through a camera that truncates, with known truth."""

from __future__ import annotations

import numpy as np

from dials_truncfix.camera.f416 import F416
from dials_truncfix.io.mdoc import Mdoc, MdocSection
from dials_truncfix.simulate.specimen import random_particles, specimen_electrons

CAMERA = F416(binning=8)
SIZE = 512
#: Electrons per pixel of a weak, a fair and a good image.
LEVELS = (5.0, 15.0, 50.0)
#: Pixels (fast, slow) by 1 µm of image shift (x, y).
SHIFT_MATRIX = np.array([[78.2, 21.5], [-20.3, 80.1]])
#: As SerialEM makes them: out and back to the middle, µm.
SHIFTS = np.array(
    [[0, 0], [1.2, 0], [0, 0], [-1.2, 0], [0, 0], [0, 1.2], [0, 0], [0, -1.2], [0, 0]]
)
#: Pixels per minute.
DRIFT = np.array([0.31, -0.18])


def specimen(seed, size=SIZE, margin=200):
    return random_particles((-margin, -margin), (size + margin, size + margin), seed)


def through_camera(electrons, seed, number=1, truncated=True):
    """What the camera stores; its fixed pattern is the same whatever the seed."""
    pattern = CAMERA.fixed_pattern(electrons.shape, 7)
    recording = CAMERA.expose(electrons, pattern, seed, number)
    stored = recording.clipped if truncated else recording.unclipped
    return stored.astype(float)


def turned(magnification, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return magnification * np.array([[c, -s], [s, c]])


def magnified_pair(
    seed, level, magnification=1.083, degrees=4.7, shift=(21.3, -14.8), blur=2.0
):
    """An image near focus, and one at high defocus."""
    particles = specimen(seed)
    near = specimen_electrons(particles, (SIZE, SIZE), level)
    far = specimen_electrons(
        particles,
        (SIZE, SIZE),
        level,
        matrix=turned(magnification, degrees),
        shift=shift,
        blur=blur,
    )
    return through_camera(near, seed, 1), through_camera(far, seed, 2)


def shifted_series(seed, level, shifts=SHIFTS, play=0.0):
    """Images at shifts (µm), one a minute, which the deflectors miss by `play` (px)."""
    particles = specimen(seed)
    rng = np.random.default_rng(seed)
    images = []
    for k, shift in enumerate(shifts):
        place = SHIFT_MATRIX @ shift + k * DRIFT + play * rng.standard_normal(2)
        electrons = specimen_electrons(particles, (SIZE, SIZE), level, shift=place)
        images.append(through_camera(electrons, seed, k + 1))
    return images


def series_mdoc(shifts=SHIFTS, key="ImageShift", **changes):
    """SerialEM's description of a series, one image a minute."""
    sections = tuple(
        MdocSection(
            "ZValue",
            str(k),
            {
                key: f"{x:.6g} {y:.6g}",
                "Magnification": "5000",
                "PixelSpacing": "120",
                "RotationAngle": "178.4",
                "DateTime": f"08-Oct-21  07:{k:02d}:00",
                **changes,
            },
        )
        for k, (x, y) in enumerate(shifts)
    )
    return Mdoc({"ImageFile": "series.mrc"}, (), sections)


#: Shifts of the images of a distorted series, pixels (fast, slow).
OVERLAPS = ((0, 0), (190, 15), (-20, 180), (-185, -10), (170, 175))


def distorted_series(terms, parameters, seed, level, overlaps=OVERLAPS):
    """Images of one specimen, all with the same distortion."""

    def distort(places):
        # a distortion is known at the place on the image
        found = places
        for _ in range(6):
            found = places + terms.design(found) @ parameters
        return found

    particles = specimen(seed, margin=400)
    return [
        through_camera(
            specimen_electrons(
                particles, terms.shape, level, shift=shift, distort=distort
            ),
            seed,
            k + 1,
        )
        for k, shift in enumerate(overlaps)
    ]
