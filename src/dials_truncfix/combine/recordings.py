"""Whether the images of replicates are different draws of the same recording.

A draw changes only what was recorded as zero, and makes it no more than zero.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix import compat
from dials_truncfix.compare.files import Integrated

PixelArray = npt.NDArray[np.int64]

#: In a recording worth integrating, at least this part of the pixels lies above zero.
_PART_ABOVE_ZERO = 1e-3


def check_recordings(replicates: Sequence[Integrated]) -> str | None:
    """Look at one image of each replicate.

    Parameters
    ----------
    replicates : sequence of Integrated
        At least two.

    Returns
    -------
    str or None
        Why it could not be checked; None if all is well.

    Raises
    ------
    ValueError
        If images are not of one recording, or two replicates hold the same draws.
    """
    images = []
    for replicate in replicates:
        pixels = _middle_image(replicate)
        if pixels is None:
            return (
                f"The images of {replicate.experiments_path} cannot be read: nothing "
                "but their geometry says that the replicates are of one recording."
            )
        # the offset of unsigned images is part of the pedestal
        images.append(pixels - round(_pedestal(replicate) - _pedestal(replicates[0])))
    seen: dict[str, Integrated] = {}
    for replicate, pixels in zip(replicates, images):
        if not is_redrawn(images[0], pixels):
            raise ValueError(
                f"{replicates[0].experiments_path} and {replicate.experiments_path} are "
                "no replicates of one sweep: pixels above zero differ; give replicates "
                "that dials.truncfix made in one run"
            )
        draws = hashlib.sha256(pixels.tobytes()).hexdigest()
        if draws in seen:
            raise ValueError(
                f"{seen[draws].experiments_path} and {replicate.experiments_path} hold "
                "the same draws: give replicates that dials.truncfix made in one run, "
                "each once"
            )
        seen[draws] = replicate
    return None


def is_redrawn(image: PixelArray, other: PixelArray) -> bool:
    """Whether two images differ in nothing but low pixels.

    Parameters
    ----------
    image, other : ndarray of int, shape (slow, fast)
        Pixels on one offset, which need not be known.
    """
    if image.shape != other.shape:
        return False
    differs = image != other
    if not differs.any():
        return True
    highest = max(int(image[differs].max()), int(other[differs].max()))
    return np.count_nonzero(image > highest) >= _PART_ABOVE_ZERO * image.size


def _pedestal(replicate: Integrated) -> float:
    return float(replicate.experiments[0].detector[0].get_pedestal())


def _middle_image(replicate: Integrated) -> PixelArray | None:
    """Read an image; None if there is none. Untrusted pixels are 0."""
    try:
        experiments = ExperimentListFactory.from_json_file(
            str(replicate.experiments_path), check_format=True
        )
        imageset = experiments[0].imageset
        pixels = imageset.get_raw_data(len(imageset) // 2)[0].as_numpy_array()
    # whatever the classes of dxtbx make of images that are gone or damaged
    except Exception:
        return None
    low, high = compat.trusted_limits(replicate.experiments[0].detector[0])
    return np.where((pixels >= low) & (pixels <= high), pixels, 0).astype(np.int64)
