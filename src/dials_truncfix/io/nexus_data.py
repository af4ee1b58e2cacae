"""Data files of NeXus output: some images each, every image one chunk.

A chunk that is a whole image is decompressed once when the image is read. The filters
are those of HDF5 itself, or that of the Python package hdf5plugin.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

import h5py
import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.hdf5 import DAMAGE, check_size, write_hdf5_and_bytes

IntArray = npt.NDArray[np.signedinteger[Any]]

#: Where the images are, in the data files and in the master.
DATASET = "/entry/data/data"
COMPRESSIONS = ("gzip", "bitshuffle", "uncompressed")

_BITSHUFFLE = 32008
# Block size chosen by the filter, and LZ4 behind the shuffle.
_BITSHUFFLE_LZ4 = (0, 2)
# Level 1, and no shuffle: the bytes above the lowest are runs of the sign, which
# DEFLATE packs better where they stand. More effort takes time and saves little.
_GZIP_LEVEL = 1


def check_compression(compression: str) -> None:
    """Make sure that images can be compressed so.

    Parameters
    ----------
    compression : {'gzip', 'bitshuffle', 'uncompressed'}
        Of the data files.

    Raises
    ------
    ValueError
        If it is another word, or the filter is not installed.
    """
    _filter(compression)


@contextmanager
def open_data_file(
    path: PathLike, shape: tuple[int, int, int], compression: str = "gzip"
) -> Iterator[Callable[[Iterable[IntArray]], None]]:
    """Write a data file, image by image; it appears when all went well.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    shape : tuple of int
        Number of images, ny, nx.
    compression : {'gzip', 'bitshuffle', 'uncompressed'}
        How each image is compressed.

    Yields
    ------
    callable
        Writes the next image: its pixels in runs of consecutive ones, such as its rows,
        signed integers of up to 32 bits.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        As `check_compression`, or if an image has another number of pixels.
    """
    options = _filter(compression)
    with write_hdf5_and_bytes(path) as (file, write_at):
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs["NX_class"] = "NXdata"
        data.attrs["signal"] = "data"
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if compression == "uncompressed":
            # all places are known before anything is written
            creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        pixels = data.create_dataset(
            "data", shape, "<i4", chunks=(1, *shape[1:]), dcpl=creation, **options
        )
        positions = itertools.count()

        def write(image: Iterable[IntArray]) -> None:
            chunk = (next(positions), 0, 0)
            runs = _checked(image, shape[1] * shape[2])
            if compression == "uncompressed":
                at = pixels.id.get_chunk_info_by_coord(chunk).byte_offset
                for run in runs:
                    write_at(at, run)
                    at += run.nbytes
            elif compression == "gzip":
                deflate = zlib.compressobj(_GZIP_LEVEL)
                pieces = [deflate.compress(run.data) for run in runs]
                content = b"".join([*pieces, deflate.flush()])
                pixels.id.write_direct_chunk(chunk, content)
            else:
                whole, start = np.empty(shape[1:], dtype="<i4"), 0
                for run in runs:
                    whole.reshape(-1)[start : start + run.size] = run
                    start += run.size
                pixels[chunk[0]] = whole

        yield write


def _checked(runs: Iterable[IntArray], n_pixels: int) -> Iterator[IntArray]:
    """Make runs what the file holds, and see that there are as many pixels."""
    n_found = 0
    for run in runs:
        n_found += run.size
        if n_found > n_pixels:
            break
        yield np.ascontiguousarray(run, dtype="<i4")
    if n_found != n_pixels:
        raise ValueError(f"an image of {n_pixels} pixels has {n_found}")


def read_image(path: PathLike, position: int) -> npt.NDArray[np.int32]:
    """Read one image of a data file.

    Parameters
    ----------
    path : str or os.PathLike
        Data file.
    position : int
        Place of the image in the file, from 0.

    Returns
    -------
    ndarray of int32, shape (ny, nx)

    Raises
    ------
    ValueError
        If the file is missing or damaged, or its filter is not installed.
    """
    name = os.fspath(path)
    try:
        with h5py.File(path, "r") as file:
            data = file[DATASET]
            if data.ndim != 3:
                raise TypeError(f"{data.ndim} dimensions")
            check_size(data, images=1)
            if _uses_bitshuffle(data):
                _need_bitshuffle(f"{name} is compressed with bitshuffle, which")
            pixels: npt.NDArray[np.int32] = data[position]
    except FileNotFoundError:
        raise ValueError(
            f"{name} is missing: put it back beside its master file, or run "
            "dials.truncfix again"
        ) from None
    except DAMAGE as error:
        raise ValueError(
            f"{name} is damaged ({_reason(error)}): copy it or run dials.truncfix again"
        ) from None
    if pixels.ndim != 2 or pixels.dtype != np.int32:
        raise ValueError(f"{name} holds no images of 32-bit integers")
    return pixels


def _reason(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else "no reason given"


def _filter(compression: str) -> dict[str, Any]:
    """Options of h5py for a compression."""
    if compression not in COMPRESSIONS:
        raise ValueError(
            f"compression {compression} is none of {', '.join(COMPRESSIONS)}"
        )
    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": _GZIP_LEVEL}
    if compression == "bitshuffle":
        _need_bitshuffle("output.compression=bitshuffle")
        return {"compression": _BITSHUFFLE, "compression_opts": _BITSHUFFLE_LZ4}
    return {}


def _uses_bitshuffle(data: Any) -> bool:
    filters = data.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    return _BITSHUFFLE in codes


def _need_bitshuffle(what: str) -> None:
    """Raise a ValueError when HDF5 does not find the filter."""
    if h5py.h5z.filter_avail(_BITSHUFFLE):
        return
    try:
        # importing it tells HDF5 where its filters are
        import hdf5plugin  # noqa: F401
    except ImportError:
        pass
    if not h5py.h5z.filter_avail(_BITSHUFFLE):
        raise ValueError(
            f"{what} needs the Python package hdf5plugin with this filter: install it, "
            "or write the images with output.compression=gzip"
        )
