"""Random bits of pixels, keyed by seed, image number and pixel index.

Each image has a stream of its own, and each pixel its place in it: images in any order,
on any number of processes, get the same bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def next_bits(
    generator: np.random.BitGenerator, n_pixels: int
) -> npt.NDArray[np.uint16]:
    """
    Take sixteen random bits for each of the next pixels.

    Parameters
    ----------
    generator : numpy.random.BitGenerator
        From `start_stream`.
    n_pixels : int
        Number of pixels; of all calls but the last a multiple of four.

    Returns
    -------
    ndarray, shape (n_pixels,), uint16
    """
    # All 64 bits are asked for, so these are the generator's words as they come; its
    # own `random_raw` takes twice the time.
    words = np.random.Generator(generator).integers(
        0, 2**64, (n_pixels + 3) // 4, dtype=np.uint64
    )
    # Little-endian on every machine, for the same images everywhere.
    return words.astype("<u8", copy=False).view("<u2")[:n_pixels]


def further_word(seed: int, image_number: int) -> np.uint64:
    """
    Draw what tells the further bits of an image from those of others.

    Parameters
    ----------
    seed, image_number : int
        As for `draw.replace_zeros`.

    Returns
    -------
    uint64
    """
    return np.uint64(start_stream(seed, image_number, 1).random_raw())


def further_bits(
    word: np.uint64, index: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """
    Take further random bits for the few pixels in the lowest cell of the tables.

    Parameters
    ----------
    word : uint64
        From `further_word`.
    index : ndarray, shape (n,), int64
        Pixel indices.

    Returns
    -------
    ndarray, shape (n,), uint64
        The finaliser of SplitMix64 applied to a word of the image and the index.

    References
    ----------
    Steele, G. L., Lea, D. & Flood, C. H. (2014). Proc. OOPSLA '14, 453-472,
    doi:10.1145/2660193.2660195.
    """
    z = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + word
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def start_stream(seed: int, image_number: int, stream: int) -> np.random.PCG64DXSM:
    """
    Start the generator of one image.

    A permuted congruential generator takes half the time of a counter-based one, and
    can be advanced to any pixel as well.

    Parameters
    ----------
    seed, image_number : int
        As for `draw.replace_zeros`.
    stream : int
        Number of one of the independent streams of an image.

    Returns
    -------
    numpy.random.PCG64DXSM

    References
    ----------
    O'Neill, M. E. (2014). Technical report HMC-CS-2014-0905, Harvey Mudd College
    (the generator; "DXSM" is its later output function).
    """
    # Words of fixed width, so that no two keys make the same sequence of words.
    key = np.array([seed, image_number % 2**64, stream], dtype="<u8").view("<u4")
    return np.random.PCG64DXSM(np.random.SeedSequence(key.tolist()))
