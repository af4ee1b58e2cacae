"""NeXus output: a master file in the form of NXmx, and data files with the images.

The master describes the experiment as NXmx wants it, for all programs, and holds the
models once more as JSON, which restores them to the last digit. A virtual data set
shows the images of all data files as one array; an image's place in it is its number
less one, whatever part of a sweep was written.

References
----------
Bernstein, H. J. et al. (2020). IUCrJ 7, 784-792. doi:10.1107/S2052252520008672
NeXus application definition NXmx,
https://manual.nexusformat.org/classes/applications/NXmx.html
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.corrected_header import CorrectedHeader, check_models
from dials_truncfix.io.hdf5 import DAMAGE, check_size, write_hdf5
from dials_truncfix.io.nexus_data import DATASET, read_image
from dials_truncfix.io.nxmx import write_nxmx

#: Says that a file is ours, and how it is laid out.
CONVENTION = "TRUNCFIX_1.0"
#: The group of what NXmx has no place for.
GROUP = "/entry/truncfix"


@dataclass(frozen=True)
class DataFile:
    """A data file.

    Attributes
    ----------
    name : str
        File name; it lies beside the master.
    numbers : tuple of int
        Number of each of its images, from 1.
    """

    name: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Master:
    """What a master file says.

    Attributes
    ----------
    header : CorrectedHeader
        How the images were made, and the models; the scan is that of all images
        (see :func:`dials_truncfix.compat.scan_to_dict`).
    files : tuple of DataFile
        Where the images are.
    bad_pixels : ndarray of bool, shape (ny, nx), or None
        Pixels that measure nothing in any image.
    """

    header: CorrectedHeader
    files: tuple[DataFile, ...]
    bad_pixels: npt.NDArray[np.bool_] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Number of each image, in the order of the data files."""
        return tuple(number for file in self.files for number in file.numbers)


def write_master(
    path: PathLike,
    master: Master,
    *,
    rotation_axis: Sequence[float] | None,
    electrons: bool,
) -> None:
    """Write a master file; the data files need not be there yet.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    master : Master
        What it says.
    rotation_axis : sequence of float or None
        Axis of the rotation in the laboratory, in the coordinates of dxtbx; None for
        stills.
    electrons : bool
        Whether the beam is one of electrons.

    Raises
    ------
    ValueError
        If there is no image, an image number is below 1, or the models cannot be
        described.
    OSError
        If the file cannot be written.
    """
    check_numbers(master.numbers)
    fast, slow = master.header.panel["image_size"]
    with write_hdf5(path) as file:
        file.attrs["NX_class"] = "NXroot"
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        write_nxmx(
            entry,
            master.header,
            n_images=max(master.numbers),
            rotation_axis=rotation_axis,
            electrons=electrons,
            bad_pixels=master.bad_pixels,
        )
        _write_own(entry.create_group("truncfix"), master)
        _write_virtual(file, master.files, (slow, fast), _untrusted(master.header))


def check_numbers(numbers: Sequence[int]) -> None:
    """Raise a ValueError where an image has no place in a master file."""
    if not numbers or min(numbers) < 1:
        raise ValueError(
            "NeXus files count their images from 1, and "
            + (f"there is an image {min(numbers)}" if numbers else "there is no image")
            + ": give output.format=cbf"
        )


def is_ours(path: PathLike) -> bool:
    """Whether this is a master file of dials.truncfix."""
    try:
        with h5py.File(path, "r") as file:
            return GROUP in file and "convention" in file[GROUP].attrs
    except DAMAGE:
        return False


def read_master(path: PathLike) -> Master:
    """Read a master file, but none of its data files.

    Parameters
    ----------
    path : str or os.PathLike
        Master file.

    Returns
    -------
    Master

    Raises
    ------
    ValueError
        If it is none of ours, of another version, or damaged.
    """
    name = os.fspath(path)
    try:
        with h5py.File(path, "r") as file:
            group = file[GROUP]
            convention = group.attrs["convention"]
            if not isinstance(convention, str):
                raise TypeError("its convention is no text")
            if convention != CONVENTION:
                raise ValueError(
                    f"{name} was written by another version of dials.truncfix "
                    f"({convention}): run dials.truncfix again"
                )
            return _read_own(group)
    except DAMAGE as error:
        raise ValueError(
            f"{name} is no undamaged master file of dials.truncfix ({error}): copy it or "
            "run dials.truncfix again"
        ) from None


def read_numbered(path: PathLike, master: Master, number: int) -> npt.NDArray[np.int32]:
    """Read the image of this number.

    Parameters
    ----------
    path : str or os.PathLike
        Master file.
    master : Master
        What it says.
    number : int
        Number of the image.

    Returns
    -------
    ndarray of int32, shape (ny, nx)

    Raises
    ------
    ValueError
        If there is no such image, or its data file is missing or damaged.
    """
    for file in master.files:
        if number in file.numbers:
            source = Path(path).parent / file.name
            pixels = read_image(source, file.numbers.index(number))
            fast, slow = master.header.panel["image_size"]
            if pixels.shape != (slow, fast):
                raise ValueError(
                    f"{source} holds images of {pixels.shape[1]} × {pixels.shape[0]} "
                    f"pixels where {os.fspath(path)} says {fast} × {slow}: they are "
                    "of different sweeps; run dials.truncfix again"
                )
            return pixels
    raise ValueError(f"{os.fspath(path)} holds no image {number}")


def _untrusted(header: CorrectedHeader) -> int:
    """Give a value below the trusted range: that of images that are not there."""
    low: float = header.panel["trusted_range"][0]
    return math.ceil(low) - 1


def _write_virtual(
    file: Any, files: Sequence[DataFile], shape: tuple[int, int], fill: int
) -> None:
    """Map the images of the data files to one array, by their numbers."""
    n_images = max(number for data_file in files for number in data_file.numbers)
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    # h5py's own way to make a virtual data set leaves the time of day in the file
    creation.set_obj_track_times(False)
    creation.set_fill_value(np.array(fill, "<i4"))
    whole = h5py.h5s.create_simple((n_images, *shape))
    for data_file in files:
        numbers = np.asarray(data_file.numbers)
        source = h5py.h5s.create_simple((len(numbers), *shape))
        for run in np.split(
            np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1
        ):
            size = (len(run), *shape)
            source.select_hyperslab((int(run[0]), 0, 0), size)
            whole.select_hyperslab((int(numbers[run[0]]) - 1, 0, 0), size)
            # HDF5 takes a single % for the start of a pattern
            name = data_file.name.replace("%", "%%").encode()
            creation.set_virtual(whole, name, DATASET.encode(), source)
    whole.select_all()
    kind = h5py.h5t.py_create(np.dtype("<i4"), logical=True)
    h5py.h5d.create(file.id, DATASET.encode(), kind, whole, dcpl=creation)


def _write_own(group: Any, master: Master) -> None:
    """Write what NXmx has no place for."""
    header = master.header
    group.attrs["NX_class"] = "NXprocess"
    group.attrs["convention"] = CONVENTION
    group["program"] = "dials.truncfix"
    group["version"] = header.version
    group["seed"] = np.uint64(header.seed)
    group["offset"] = np.int64(header.offset)
    group["offset"].attrs["units"] = "ADU"
    for name in ("gain", "pedestal", "trusted_range"):
        group[name] = header.panel[name]
        group[name].attrs["units"] = "ADU"
    group["models"] = json.dumps(dict(header.models), sort_keys=True)
    if master.bad_pixels is not None:
        group["bad_pixels"] = h5py.SoftLink("/entry/instrument/detector/pixel_mask")
    group["files"] = [file.name for file in master.files]
    group["file_of_image"] = np.repeat(
        np.arange(len(master.files)), [len(file.numbers) for file in master.files]
    )
    group["image_number"] = np.asarray(master.numbers, dtype=np.int64)


def _read_own(group: Any) -> Master:
    """Inverse of `_write_own`."""
    for name in ("models", "offset", "seed", "version", "files", "bad_pixels"):
        if name in group:
            check_size(group[name])
    check_size(group["image_number"])
    check_size(group["file_of_image"])
    models = json.loads(group["models"].asstr()[()])
    check_models(models)
    header = CorrectedHeader(
        models,
        int(group["offset"][()]),
        int(group["seed"][()]),
        group["version"].asstr()[()],
    )
    numbers, owner = group["image_number"][()], group["file_of_image"][()]
    names = group["files"].asstr()[()]
    for name in names:
        if os.path.basename(name) != name:
            raise ValueError(
                f"{group.file.filename} names a file of another folder ({name}): run "
                "dials.truncfix again"
            )
    files = tuple(
        DataFile(name, tuple(int(n) for n in numbers[owner == position]))
        for position, name in enumerate(names)
    )
    bad = group.get("bad_pixels")
    return Master(header, files, None if bad is None else bad[()] != 0)
