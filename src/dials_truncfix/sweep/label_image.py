"""Label images, which say what is fitted apart: read from files of many kinds."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy
from dxtbx.format.Registry import get_format_class_for_file

from dials_truncfix.correction.regions.areas import known_labels
from dials_truncfix.io.numpy_archive import parse_array
from dials_truncfix.io.run_lengths import RunLengths, expand, run_lengths

IntArray = npt.NDArray[np.int32]

_KINDS = (
    "give an image of integers (.npy, .tif, or what dxtbx reads) or the mask file of "
    "dials.generate_mask"
)
_PICKLES = (".mask", ".pickle", ".pkl")
_TIFFS = (".tif", ".tiff")
# What a mask file is made of. Others could do anything when they are unpickled.
_HARMLESS = {
    "scitbx_array_family_flex_ext": ("bool", "int", "grid"),
    "_codecs": ("encode",),
}


@dataclass(frozen=True)
class LabelImage:
    """A label for every pixel; pixels labelled 0 are left as they are.

    Attributes
    ----------
    path : str
        File that it was read from.
    sha256 : str
        Of this file.
    shape : tuple of int
        (slow, fast), pixels.
    runs : RunLengths
        The labels.
    """

    path: str
    sha256: str
    shape: tuple[int, int]
    runs: RunLengths

    def pixels(self) -> IntArray:
        """Label of each pixel, shape (slow, fast), int32.

        Raises
        ------
        ValueError
            When the runs do not make up an image of this size.
        """
        return expand(self.runs, self.shape)

    def require_shape(self, shape: tuple[int, int]) -> None:
        """Raise a ValueError when images of this shape are another size."""
        if self.shape != shape:
            raise ValueError(
                f"{self.path} has {self.shape[1]} × {self.shape[0]} pixels, but the "
                f"images have {shape[1]} × {shape[0]}: make the labels from one of "
                "these images"
            )


def read_label_image(path: str) -> LabelImage:
    """Read labels from a file.

    Parameters
    ----------
    path : str
        A NumPy file, a TIFF, a mask of dials.generate_mask (True is label 1, False 0),
        or an image that dxtbx reads.

    Returns
    -------
    LabelImage

    Raises
    ------
    ValueError
        When the file is none of these, holds more than one image, another type than
        integers, negative labels, too many labels, or only label 0.
    OSError
        When the file cannot be read.
    """
    content = Path(path).read_bytes()
    labels = _one_image(path, _read(path, content))
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"{path} holds numbers of type {labels.dtype}: labels must be integers"
        )
    try:
        found = known_labels(labels)
    except ValueError as error:
        raise ValueError(f"{path} is no label image: {error}") from None
    if found[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{path} holds the label {found[-1]}: give smaller numbers")
    slow, fast = labels.shape
    return LabelImage(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        shape=(slow, fast),
        runs=run_lengths(labels.astype(np.int32)),
    )


def _read(path: str, content: bytes) -> Any:
    """Array of whatever a file holds."""
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".npy":
            return parse_array(content)
        if suffix in _TIFFS:
            import tifffile

            return tifffile.imread(path)
        if suffix in _PICKLES or content.startswith(b"\x80"):
            return _read_mask(path)
        format_class = get_format_class_for_file(path)
        if format_class is not None:
            return _arrays(format_class(path).get_raw_data())
    except OSError:
        raise
    except Exception as error:
        # readers of damaged files raise whatever they come across
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read ({reason[:200]}): {_KINDS}") from None
    raise ValueError(f"{path} is in no known format: {_KINDS}")


def _read_mask(path: str) -> Any:
    """Read a mask of dials.generate_mask."""
    with open(path, "rb") as stream:
        return _arrays(_MaskUnpickler(stream).load())


class _MaskUnpickler(pickle.Unpickler):
    """Reads mask files and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a part of flex arrays."""
        if name in _HARMLESS.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which no mask does")


def _arrays(panels: Any) -> Any:
    """Arrays of one or several panels of flex."""
    if isinstance(panels, tuple):
        return [flumpy.to_numpy(panel) for panel in panels]
    return flumpy.to_numpy(panels)


def _one_image(path: str, data: Any) -> npt.NDArray[Any]:
    """Return the only image of a file."""
    images = data if isinstance(data, list) else [data]
    if len(images) == 1:
        image = np.asarray(images[0])
        while image.ndim > 2 and image.shape[0] == 1:
            image = image[0]
        if image.ndim == 2 and image.size:
            return image
        found = f"an array of shape {image.shape}"
    else:
        found = f"{len(images)} panels"
    raise ValueError(f"{path} holds {found}: labels must be one image in grey")
