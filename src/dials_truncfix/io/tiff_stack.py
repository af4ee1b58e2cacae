"""Read and write stacks of images in TIFF files, as SerialEM saves frames.

Uncompressed, ZIP and LZW. tifffile does the work; LZW needs imagecodecs beside it, and
where that is missing Pillow takes its place. Rows come top row first, as stored.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.staging import staged_files

_UNCOMPRESSED, _LZW = 1, 5
_ZIP = (8, 32946)
_COMPRESSIONS = {"none": None, "zip": "zlib", "lzw": "lzw"}
_PREDICTORS = (1, 2)
_TYPES = tuple(np.dtype(code) for code in ("u1", "i1", "u2", "i2", "f4"))
_MAX_SIDE = 65536
# zlib and LZW cannot write a byte for more than about a thousand and three thousand.
_HIGHEST_RATIO = 4096
# Å in a centimetre: the unit of XResolution.
_ANGSTROM_PER_CM = 1e8
_CENTIMETRE = 3
_WHOLE_FROM = 10_000
_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True)
class TIFFStack:
    """An opened file. Holds no file open, so it can be pickled and shared.

    Attributes
    ----------
    path : Path
        The file.
    n_frames : int
        Number of images.
    shape : tuple of int
        Rows and columns of each, as stored.
    dtype : numpy.dtype
        Type of the pixels that are handed out.
    description : str
        ImageDescription of the first image.
    pixel_spacing : float
        Size of a pixel at the specimen (Å), from XResolution; 0 when unknown.
    """

    path: Path
    n_frames: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    description: str
    pixel_spacing: float

    @classmethod
    def open(cls, path: PathLike) -> TIFFStack:
        """Read what the directories of a file say.

        Parameters
        ----------
        path : str or os.PathLike
            TIFF file.

        Returns
        -------
        TIFFStack

        Raises
        ------
        ValueError
            If the file is damaged, claims more than it holds, or stores its pixels in
            a way that cameras do not.
        OSError
            If the file cannot be read.
        """
        import tifffile

        name = os.fspath(path)
        with open(path, "rb"):
            pass
        try:
            with tifffile.TiffFile(name) as tiff:
                page = tiff.pages[0]
                _check_page(page, os.path.getsize(name))
                return cls(
                    path=Path(path),
                    n_frames=len(tiff.pages),
                    shape=(int(page.shape[0]), int(page.shape[1])),
                    dtype=np.dtype(page.dtype).newbyteorder("="),
                    description=_description(page),
                    pixel_spacing=_pixel_spacing(page),
                )
        # The parser meets damaged files with almost any exception.
        except Exception as error:
            raise ValueError(f"{name}: no readable TIFF stack: {error}") from error

    def read_frame(self, index: int) -> npt.NDArray[Any]:
        """Read one image.

        Parameters
        ----------
        index : int
            Image number from 0.

        Returns
        -------
        ndarray, shape (ny, nx)
            Pixels as stored, top row first.

        Raises
        ------
        IndexError
            If there is no such image.
        ValueError
            If the image cannot be decoded, or is not like the first one.
        """
        import tifffile

        if not 0 <= index < self.n_frames:
            raise IndexError(f"image {index} of {self.n_frames} in {self.path}")
        name = os.fspath(self.path)
        try:
            with tifffile.TiffFile(name) as tiff:
                page = tiff.pages[index].aspage()
                _check_page(page, os.path.getsize(name))
                if page.shape != self.shape or page.dtype != self.dtype:
                    raise ValueError(
                        f"{page.shape} {page.dtype}, the first one {self.shape} "
                        f"{self.dtype}"
                    )
                if int(page.compression) == _LZW and not _tifffile_knows_lzw():
                    pixels = _read_by_pillow(name, index)
                else:
                    pixels = page.asarray()
        # The parser meets damaged files with almost any exception.
        except Exception as error:
            raise ValueError(f"{name}: image {index}: {error}") from error
        if pixels.shape != self.shape:
            raise ValueError(f"{name}: image {index} came out as {pixels.shape}")
        result: npt.NDArray[Any] = pixels.astype(self.dtype, copy=False)
        return result


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as TIFF files do, those for more than 4 GB included."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_description(path: PathLike) -> str:
    """Read the ImageDescription of the first image; empty where there is none."""
    import tifffile

    try:
        with tifffile.TiffFile(os.fspath(path)) as tiff:
            return _description(tiff.pages[0])
    # The parser meets damaged files with almost any exception.
    except Exception:
        return ""


def has_tiff_name(path: PathLike) -> bool:
    """Whether a file is named like a TIFF file."""
    return os.path.splitext(os.fspath(path))[1].lower() in _SUFFIXES


def write_stack(
    path: PathLike,
    frames: Iterable[npt.NDArray[Any]],
    *,
    description: str = "",
    compression: str = "lzw",
    pixel_spacing: float = 0.0,
) -> int:
    """Write images to a TIFF file, holding one in memory at a time.

    Parameters
    ----------
    path : str or os.PathLike
        File to write. It appears after the last image.
    frames : iterable of ndarray, shape (ny, nx)
        Top row first; uint8, int8, uint16, int16 or float32. The first one sets shape
        and type of all.
    description : str
        ImageDescription of the first image, ASCII.
    compression : str
        ``none``, ``zip`` or ``lzw``.
    pixel_spacing : float
        Size of a pixel at the specimen (Å); 0 for unknown.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    ValueError
        If there is no image, if images differ in shape or type, or if something
        cannot be stored.
    """
    if compression not in _COMPRESSIONS:
        raise ValueError(
            f"compression {compression!r} is not one of {', '.join(_COMPRESSIONS)}"
        )
    name = os.fspath(path)
    checked = _alike(frames, name)
    by_pillow = compression == "lzw" and not _tifffile_knows_lzw()
    with staged_files([Path(path)]) as (temporary,):
        if by_pillow:
            count = _write_by_pillow(temporary, checked, description, pixel_spacing)
        else:
            count = _write_by_tifffile(
                temporary, checked, description, compression, pixel_spacing
            )
        if not count:
            raise ValueError(f"no image to write to {name}")
    return count


def _alike(frames: Iterable[npt.NDArray[Any]], name: str) -> Iterable[npt.NDArray[Any]]:
    """Pass images on that are like the first one, which must be storable."""
    first: tuple[tuple[int, ...], np.dtype[Any]] | None = None
    for index, frame in enumerate(frames):
        dtype = frame.dtype.newbyteorder("=")
        if first is None:
            if frame.ndim != 2 or not frame.size or dtype not in _TYPES:
                raise ValueError(
                    f"{name}: no TIFF stack for images of shape {frame.shape}, {dtype}"
                )
            first = frame.shape, dtype
        if (frame.shape, dtype) != first:
            raise ValueError(
                f"image {index} is {frame.shape} {dtype}, the first one "
                f"{first[0]} {first[1]}"
            )
        yield np.ascontiguousarray(frame, dtype=dtype)


def _write_by_tifffile(
    path: Path,
    frames: Iterable[npt.NDArray[Any]],
    description: str,
    compression: str,
    pixel_spacing: float,
) -> int:
    import tifffile

    options: dict[str, Any] = {}
    if pixel_spacing > 0:
        # A fraction of our own: tifffile's are good to three digits at such numbers.
        resolution = _ANGSTROM_PER_CM / pixel_spacing
        denominator = 1 if resolution > _WHOLE_FROM else _WHOLE_FROM
        fraction = (round(resolution * denominator), denominator)
        options = {"resolution": (fraction, fraction)}
        options["resolutionunit"] = _CENTIMETRE
    count = 0
    with tifffile.TiffWriter(path) as writer:
        for frame in frames:
            writer.write(
                frame,
                photometric="minisblack",
                compression=_COMPRESSIONS[compression],
                description=description if not count and description else None,
                contiguous=False,
                metadata=None,
                software=False,
                **options,
            )
            count += 1
    return count


def _write_by_pillow(
    path: Path,
    frames: Iterable[npt.NDArray[Any]],
    description: str,
    pixel_spacing: float,
) -> int:
    image_module, plugin = _pillow()
    count = 0
    with plugin.AppendingTiffWriter(str(path), new=True) as writer:
        for frame in frames:
            options: dict[str, Any] = {"compression": "tiff_lzw"}
            if pixel_spacing > 0:
                resolution = _ANGSTROM_PER_CM / pixel_spacing
                options["resolution"] = resolution
                options["resolution_unit"] = "cm"
            if description and not count:
                options["description"] = description
            if frame.dtype not in (np.uint8, np.uint16, np.float32):
                raise ValueError(
                    f"LZW of {frame.dtype} needs the Python package imagecodecs; "
                    "without it give zip"
                )
            image = image_module.fromarray(frame)
            image.save(writer, format="TIFF", **options)
            writer.newFrame()
            count += 1
    if isinstance(writer, io.BytesIO):
        # Newer Pillows would close the file once more when the object goes.
        io.BytesIO.close(writer)
    return count


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, TiffImagePlugin
    except ImportError:
        raise ValueError(
            "TIFF with LZW compression needs the Python package imagecodecs or Pillow"
        ) from None
    return Image, TiffImagePlugin


def _read_by_pillow(name: str, index: int) -> npt.NDArray[Any]:
    image_module, plugin = _pillow()
    # Pillow warns of images of more than 89 million pixels, and a K3 has 94: the size
    # was compared with that of the file already.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", image_module.DecompressionBombWarning)
        with open(name, "rb") as stream, plugin.TiffImageFile(stream) as image:
            image.seek(index)
            return np.asarray(image)


def _tifffile_knows_lzw() -> bool:
    try:
        import imagecodecs
    except ImportError:
        return False
    return hasattr(imagecodecs, "lzw_decode")


def _check_page(page: Any, file_bytes: int) -> None:
    """Raise ValueError for an image that a camera does not write, or that is not there."""
    shape, dtype = tuple(page.shape), np.dtype(page.dtype or "O")
    if len(shape) != 2:
        raise ValueError(f"shape {shape} is not that of a grey-level image")
    if dtype not in _TYPES or int(page.bitspersample) != 8 * dtype.itemsize:
        raise ValueError(f"{page.bitspersample} bits per pixel are not supported")
    if not all(0 < side <= _MAX_SIDE for side in shape):
        raise ValueError(f"{shape[1]} x {shape[0]} pixels are impossible")
    compression = int(page.compression)
    if compression not in (_UNCOMPRESSED, _LZW, *_ZIP):
        raise ValueError(f"compression {compression} is none that SerialEM writes")
    if int(page.predictor) not in _PREDICTORS:
        raise ValueError(f"predictor {int(page.predictor)} is not supported")
    needed = shape[0] * shape[1] * dtype.itemsize
    stored = sum(page.databytecounts)
    last = max(
        (o + n for o, n in zip(page.dataoffsets, page.databytecounts)), default=0
    )
    ratio = 1 if compression == _UNCOMPRESSED else _HIGHEST_RATIO
    if last > file_bytes or stored * ratio < needed:
        raise ValueError(
            f"the header claims {shape[1]} x {shape[0]} pixels ({needed} bytes), but "
            f"the file of {file_bytes} bytes does not hold them"
        )


def _description(page: Any) -> str:
    tag = page.tags.get(270)
    return str(tag.value) if tag is not None else ""


def _pixel_spacing(page: Any) -> float:
    """Size of a pixel (Å) where the resolution stands for one, else 0."""
    tag, unit = page.tags.get(282), page.tags.get(296)
    if tag is None or unit is None or int(unit.value) != _CENTIMETRE:
        return 0.0
    numerator, denominator = tag.value
    if not (numerator and denominator):
        return 0.0
    return float(_ANGSTROM_PER_CM * denominator / numerator)
