"""Images given to dials.truncfix_calibrate, whatever their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dials.util import Sorry

from dials_truncfix.calibrate.pixel_size.specimen_images import is_specimen_file
from dials_truncfix.calibrate.recorded_images import (
    RecordedImage,
    images_of_imageset,
    images_of_stack,
)
from dials_truncfix.command_line.calibrate_rings import load_experiments


def load_images(files: Sequence[str]) -> tuple[list[RecordedImage], bool]:
    """List the images of files, in the order of the files.

    Parameters
    ----------
    files : sequence of str
        MRC and TIFF files, and what dials.import reads.

    Returns
    -------
    images : list of RecordedImage
        All of them.
    rotated : bool
        Whether the specimen turned along them.

    Raises
    ------
    Sorry
        About the first file that cannot be read.
    ValueError
        About a file that is damaged.
    """
    images: list[RecordedImage] = []
    others = [f for f in files if not is_specimen_file(Path(f))]
    for file in files:
        if file not in others:
            images += images_of_stack(Path(file))
    rotated = False
    if others:
        for imageset in load_experiments(others).imagesets():
            if imageset is None:
                raise Sorry(f"{others[0]} refers to no images")
            images += images_of_imageset(imageset)
            rotated |= _rotates(imageset)
    return images, rotated


def _rotates(imageset: Any) -> bool:
    scan = getattr(imageset, "get_scan", lambda: None)()
    return (
        scan is not None and len(imageset) > 1 and abs(scan.get_oscillation()[1]) > 1e-6
    )
