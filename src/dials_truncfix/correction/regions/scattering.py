"""Scattering angle of every pixel of a flat detector, and what follows from it."""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Rows handled at once: several arrays of a whole image would be the largest thing in
# memory.
_ROWS = 64
# Pieces of no more pixels are kept, so many of them.
_SMALL, _MOST_KEPT = 1 << 19, 4


class TwoThetaMap:
    """
    Angle between the beam and the line from the sample to each pixel's centre, rad.

    It is read like an array, and worked out where it is read: the angles of all pixels
    of a large image would be the largest thing in memory. Small pieces are kept, as the
    centres of tiles and every so many rows are wanted of each image.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (slow, fast).
    pixel_size : tuple of float
        Size of a pixel (fast, slow), mm.
    origin : array_like, shape (3,)
        Corner of the first pixel, laboratory frame, mm.
    fast_axis, slow_axis : array_like, shape (3,)
        Unit vectors of the detector's axes.
    s0 : array_like, shape (3,)
        Direction of the beam; its length does not matter.
    dtype : numpy.dtype
        Type of the angles.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_size: tuple[float, float],
        origin: npt.ArrayLike,
        fast_axis: npt.ArrayLike,
        slow_axis: npt.ArrayLike,
        s0: npt.ArrayLike,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._s0 = np.asarray(s0, float) / np.linalg.norm(np.asarray(s0, float))
        self._origin, self._fast, self._slow = (
            np.asarray(v, float) for v in (origin, fast_axis, slow_axis)
        )
        self._x = (np.arange(shape[1]) + 0.5) * pixel_size[0]
        self._y = (np.arange(shape[0]) + 0.5) * pixel_size[1]
        self._kept: dict[str, npt.NDArray[np.floating[Any]]] = {}

    def __getitem__(
        self, part: slice | tuple[slice, slice]
    ) -> npt.NDArray[np.floating[Any]]:
        """Angles of some rows, or of some rows and columns."""
        rows, columns = part if isinstance(part, tuple) else (part, slice(None))
        # slices cannot be keys of dictionaries
        key = f"{rows} {columns}"
        if key not in self._kept:
            angles = self._of(self._y[rows], np.ascontiguousarray(self._x[columns]))
            if angles.size > _SMALL:
                return angles
            angles.flags.writeable = False
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = angles
        return self._kept[key]

    def take(
        self, index: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.floating[Any]]:
        """Angles of some pixels, given by indices in C order."""
        slow, fast = np.divmod(index, self.shape[1])
        return self._angles(self._y[slow], self._x[fast]).astype(self.dtype)

    def _of(self, y: FloatArray, x: FloatArray) -> npt.NDArray[np.floating[Any]]:
        """Angles where these rows and columns cross."""
        two_theta = np.empty((len(y), len(x)), dtype=self.dtype)
        for start in range(0, len(y), _ROWS):
            rows = slice(start, start + _ROWS)
            two_theta[rows] = self._angles(y[rows, np.newaxis], x)
        return two_theta

    def _angles(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Angles of points of the detector, mm from its corner."""
        origin, fast, slow = self._origin, self._fast, self._slow
        # |s|² and s·s0 of s = origin + x fast + y slow
        along = origin @ self._s0 + x * (fast @ self._s0) + y * (slow @ self._s0)
        square = (
            origin @ origin
            + (x * x + 2 * x * (origin @ fast))
            + (y * y + 2 * y * (origin @ slow))
            + 2 * (fast @ slow) * y * x
        )
        # the arctangent keeps its precision at the small angles of electron diffraction
        across = np.sqrt(np.maximum(square - along * along, 0.0))
        return np.asarray(np.arctan2(across, along))


#: Radial coordinate of the pixels of an image: an array, or what can be read like one.
Radii = Union[npt.NDArray[np.floating[Any]], TwoThetaMap]


def d_spacing(two_theta: npt.ArrayLike, wavelength: float) -> FloatArray:
    """Resolution of a scattering angle by Bragg's law, Å; infinite at 2θ = 0.

    Parameters
    ----------
    two_theta : array_like
        Scattering angle, rad.
    wavelength : float
        Wavelength, Å.
    """
    sine = np.sin(np.asarray(two_theta, float) / 2)
    with np.errstate(divide="ignore"):
        return np.asarray(wavelength / (2 * sine))
