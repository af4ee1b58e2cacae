"""Read and write MRC files, image by image.

Images are reached by seeking: opening a file costs its header, and reading an image
costs that image, however many there are. Rows come as they are stored, which in MRC
files is the bottom row first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dials_truncfix.io import nibbles
from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.mrc_header import (
    BYTE_MODE,
    FOUR_BIT_MODE,
    HEADER_BYTES,
    MRCHeader,
    pack_header,
    parse_header,
)

_MODE_OF_TYPE = {
    np.dtype("i1"): BYTE_MODE,
    np.dtype("u1"): BYTE_MODE,
    np.dtype("i2"): 1,
    np.dtype("f4"): 2,
    np.dtype("u2"): 6,
    np.dtype("f2"): 12,
}
# Packed rows are unpacked as they are read, in pieces that stay in the cache.
_BYTES_AT_ONCE = 1 << 17

#: How 4-bit pixels are stored: as mode 101, or as bytes of images of half the width.
PACKINGS = ("mode101", "squeezed")


@dataclass(frozen=True)
class MRCStack:
    """An opened file. Holds no file open, so it can be pickled and shared.

    Attributes
    ----------
    path : Path
        The file.
    header : MRCHeader
        Its header.
    """

    path: Path
    header: MRCHeader

    @classmethod
    def open(cls, path: PathLike) -> MRCStack:
        """Read the header of a file, and compare it with the size of the file.

        Parameters
        ----------
        path : str or os.PathLike
            MRC file.

        Returns
        -------
        MRCStack

        Raises
        ------
        ValueError
            If the header is impossible, or claims more than the file holds.
        OSError
            If the file cannot be read.
        """
        name = os.fspath(path)
        with open(path, "rb") as stream:
            data = stream.read(HEADER_BYTES)
            held = os.fstat(stream.fileno()).st_size
        try:
            header = parse_header(data)
        except ValueError as error:
            raise ValueError(f"{name} is no readable MRC file: {error}") from None
        needed = header.data_offset + header.nz * header.image_bytes
        if needed > held:
            complete = max(0, held - header.data_offset) // header.image_bytes
            raise ValueError(
                f"{name}: the header claims {header.nz} images of {header.nx} x "
                f"{header.ny} pixels ({needed} bytes), but the file of {held} bytes "
                f"holds {complete} of them; copy or record it again"
            )
        return cls(Path(path), header)

    @property
    def n_frames(self) -> int:
        """Number of images."""
        return self.header.nz

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return self.header.ny, self.header.nx

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels that are handed out, in the byte order of the machine."""
        return self.header.dtype.newbyteorder("=")

    def read_frame(self, index: int) -> npt.NDArray[Any]:
        """Read one image.

        Parameters
        ----------
        index : int
            Image number from 0.

        Returns
        -------
        ndarray, shape (ny, nx)
            Pixels, bottom row first; uint8 where two share a byte.

        Raises
        ------
        IndexError
            If there is no such image.
        ValueError
            If the file became shorter since it was opened.
        """
        header = self.header
        if not 0 <= index < header.nz:
            raise IndexError(f"image {index} of {header.nz} in {self.path}")
        pixels = np.empty(self.shape, dtype=self.dtype)
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(header.data_offset + index * header.image_bytes)
            try:
                if header.is_packed:
                    _read_packed(stream, header.row_bytes, pixels)
                else:
                    _read_into(stream, pixels.reshape(-1).view(np.uint8))
            except EOFError:
                raise ValueError(
                    f"{self.path}: image {index} is no longer complete"
                ) from None
        if not header.dtype.isnative:
            pixels.byteswap(inplace=True)
        return pixels


def _read_into(stream: BinaryIO, buffer: npt.NDArray[np.uint8]) -> None:
    view = buffer.data
    got = 0
    while got < len(view):
        n_bytes = stream.readinto(view[got:])  # type: ignore[attr-defined]
        if not n_bytes:
            raise EOFError
        got += n_bytes


def _read_packed(
    stream: BinaryIO, row_bytes: int, pixels: npt.NDArray[np.uint8]
) -> None:
    step = max(1, _BYTES_AT_ONCE // row_bytes)
    buffer = np.empty((step, row_bytes), dtype=np.uint8)
    for first in range(0, pixels.shape[0], step):
        rows = pixels[first : first + step]
        packed = buffer[: len(rows)]
        _read_into(stream, packed.reshape(-1))
        nibbles.unpack(packed, pixels.shape[1], out=rows)


def write_stack(
    path: PathLike,
    frames: Iterable[npt.NDArray[Any]],
    *,
    packing: str | None = None,
    labels: Sequence[str] = (),
    pixel_spacing: float = 0.0,
    byte_order: str = "<",
    extended_header: bytes = b"",
    extended_type: str = "",
) -> MRCHeader:
    """Write images to a file, holding one in memory at a time.

    Parameters
    ----------
    path : str or os.PathLike
        File to write. It appears after the last image.
    frames : iterable of ndarray, shape (ny, nx)
        Bottom row first; int8, uint8, int16, uint16, float16 or float32. The first
        one sets shape and type of all.
    packing : str, optional
        One of `PACKINGS`: store uint8 images of values 0 to 15 two pixels to a byte.
    labels : sequence of str
        At most ten, of at most 80 characters.
    pixel_spacing : float
        Size of a pixel at the specimen (Å); 0 for unknown.
    byte_order : str
        ``<`` or ``>``.
    extended_header : bytes
        What to put between header and pixels.
    extended_type : str
        Four letters that name its kind.

    Returns
    -------
    MRCHeader
        As written.

    Raises
    ------
    ValueError
        If there is no image, if images differ in shape or type, or if something
        cannot be stored.
    """
    if packing is not None and packing not in PACKINGS:
        raise ValueError(f"packing {packing!r} is not one of {', '.join(PACKINGS)}")
    if byte_order not in ("<", ">"):
        raise ValueError(f"byte order {byte_order!r} is not < or >")
    header: MRCHeader | None = None
    dtype = np.dtype("u1")
    total, count = 0.0, 0
    lowest, highest = np.inf, -np.inf
    with atomic_write(path) as stream:
        for frame in frames:
            if header is None:
                dtype = frame.dtype.newbyteorder("=")
                header = MRCHeader(
                    **_storage(frame, packing, os.fspath(path)),
                    labels=tuple(labels),
                    byte_order=byte_order,
                    extended_bytes=len(extended_header),
                    extended_type=extended_type,
                    pixel_spacing=pixel_spacing,
                )
                stream.write(pack_header(header) + extended_header)
            if frame.shape != (header.ny, header.nx) or frame.dtype != dtype:
                raise ValueError(
                    f"image {count} is {frame.shape} {frame.dtype}, "
                    f"the first one {(header.ny, header.nx)} {dtype}"
                )
            lowest = min(lowest, float(frame.min()))
            highest = max(highest, float(frame.max()))
            total += float(frame.mean(dtype=np.float64))
            count += 1
            rows = nibbles.pack(frame) if header.is_packed else frame
            stream.write(np.ascontiguousarray(rows, dtype=header.dtype).data)
        if header is None:
            raise ValueError(f"no image to write to {os.fspath(path)}")
        header = replace(
            header, nz=count, lowest=lowest, highest=highest, mean=total / count
        )
        packed = pack_header(header)
        stream.seek(0)
        stream.write(packed)
    return parse_header(packed)


def _storage(frame: npt.NDArray[Any], packing: str | None, name: str) -> dict[str, Any]:
    """Fields of the header that follow from the first image."""
    dtype = frame.dtype.newbyteorder("=")
    if frame.ndim != 2 or not frame.size:
        raise ValueError(f"{name}: images must have two sides, got {frame.shape}")
    if dtype not in _MODE_OF_TYPE:
        raise ValueError(f"{name}: MRC has no mode for pixels of type {dtype}")
    if packing is not None and dtype != np.uint8:
        raise ValueError(f"{name}: only uint8 can be packed, not {dtype}")
    return {
        "nx": frame.shape[1],
        "ny": frame.shape[0],
        "nz": 1,
        "mode": FOUR_BIT_MODE if packing == "mode101" else _MODE_OF_TYPE[dtype],
        "signed": dtype == np.int8,
        "squeezed": packing == "squeezed",
    }
