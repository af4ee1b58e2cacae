"""The images given to dials.truncfix_calibrate, of whatever format, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.images import mean_image
from dials_truncfix.calibrate.pixel_size.specimen_images import (
    is_specimen_file,
    read_specimen_images,
)
from dials_truncfix.command_line.calibrate_rings import load_experiments

Array = npt.NDArray[np.float64]


def read_images(files: Sequence[str]) -> tuple[list[Array], list[str]]:
    """Read all images of all files, in order.

    Parameters
    ----------
    files : sequence of str
        MRC, TIFF or what dials.import reads.

    Returns
    -------
    images : list of ndarray, shape (slow, fast)
    names : list of str
        Theirs, with the number where a file holds several.

    Raises
    ------
    ValueError
        If one cannot be read.
    OSError
        If one is not there.
    """
    images, names = [], []
    for file in files:
        if is_specimen_file(Path(file)):
            found = read_specimen_images(Path(file))
        else:
            imageset = load_experiments([file]).imagesets()[0]
            found = [
                mean_image(imageset, (k + 1, k + 1)).mean for k in range(len(imageset))
            ]
        images += found
        many = len(found) > 1
        names += [
            f"{file} image {k + 1}" if many else str(file) for k in range(len(found))
        ]
    return images, names
