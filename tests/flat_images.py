"""Evenly lit images of cameras whose gain and noise are known."""

from __future__ import annotations

import numpy as np

from dials_truncfix.calibrate.recorded_images import RecordedImage
from dials_truncfix.camera.f416 import F416

SHAPE = (256, 256)
CAMERA = F416()
BRIGHT = (20.0, 80.0)
DARK = (0.3, 0.8, 1.5)


def flat_pixels(levels=BRIGHT, camera=CAMERA, signed=False, n=2, seed=1, shape=SHAPE):
    """Images of some electrons a pixel, `n` of each level."""
    pattern = camera.fixed_pattern(shape, seed)
    images = []
    for number, level in enumerate(np.repeat(levels, n), start=1):
        found = camera.expose(np.full(shape, level), pattern, seed, number)
        images.append((found.unclipped if signed else found.clipped).astype(np.int32))
    return images


def in_memory(images, saturation=65535):
    """Images as if they came from files."""
    return [
        RecordedImage(
            f"image {number}",
            lambda pixels=pixels: (
                pixels,
                np.ones(pixels.shape, bool),
                pixels >= saturation,
            ),
            0.5,
        )
        for number, pixels in enumerate(images, start=1)
    ]
