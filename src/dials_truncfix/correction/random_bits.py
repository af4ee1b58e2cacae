"""Random bits of pixels, keyed by seed, image number and pixel index.

They come from a counter-based generator: images in any order, on any number of
processes, get the same bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def next_bits(generator: np.random.Philox, n_pixels: int) -> npt.NDArray[np.uint16]:
    """
    Take sixteen random bits for each of the next pixels.

    Parameters
    ----------
    generator : numpy.random.Philox
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


def further_bits(
    seed: int, image_number: int, index: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """
    Take further random bits for the few pixels in the lowest cell of the tables.

    Parameters
    ----------
    seed, image_number : int
        As for `draw.replace_zeros`.
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
    word = np.uint64(start_stream(seed, image_number, 1).random_raw())
    z = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + word
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def start_stream(seed: int, image_number: int, stream: int) -> np.random.Philox:
    """
    Start the counter-based generator of one image.

    The key comes from the seed, the upper half of the counter from the image number,
    the lower half from the pixel index: images in any order get the same bits.

    Parameters
    ----------
    seed, image_number : int
        As for `draw.replace_zeros`.
    stream : int
        Number of one of the independent streams of an image.

    Returns
    -------
    numpy.random.Philox

    References
    ----------
    Salmon, J. K., Moraes, M. A., Dror, R. O. & Shaw, D. E. (2011). Proc. SC11, 16,
    doi:10.1145/2063384.2063405.
    """
    counter = np.array([0, 0, image_number % 2**64, stream], dtype=np.uint64)
    return np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=counter)
