"""Random numbers that belong to one image, whatever was drawn before."""

from __future__ import annotations

import numpy as np

#: What a stream of random numbers is for: streams never share numbers.
FIXED_PATTERN, ELECTRONS, READOUT = range(3)

#: Image number of what all images of a series share.
WHOLE_SERIES = 0


def random_stream(seed: int, image_number: int, purpose: int) -> np.random.Generator:
    """Open the stream of random numbers of one image and one purpose.

    Any image of a series can be made alone, in any order and by any process.

    Parameters
    ----------
    seed : int
        Seed of the series, >= 0.
    image_number : int
        Number of the image from 1, or `WHOLE_SERIES`.
    purpose : int
        `FIXED_PATTERN`, `ELECTRONS` or `READOUT`.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        If a number is negative.
    """
    if seed < 0 or image_number < 0:
        raise ValueError(
            f"seed {seed} and image number {image_number} must not be negative"
        )
    key = np.random.SeedSequence([seed, image_number, purpose])
    return np.random.Generator(np.random.PCG64(key))
