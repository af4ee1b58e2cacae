"""Give bad pixels the mean of the good ones around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Wider bad regions than this on each side of a pixel are no defects; they stay 0.
_MAX_ROUNDS = 512
_NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)


@dataclass(frozen=True)
class _Round:
    """Pixels that can be filled at the same time.

    Attributes
    ----------
    targets : ndarray of int, shape (n,)
        Places in the flat image.
    sources : ndarray of int, shape (8, n)
        Places of their neighbours; 0 for those that do not count.
    weights : ndarray of float32, shape (8, n)
        Weights, whose sum over the neighbours is 1.
    """

    targets: npt.NDArray[np.intp]
    sources: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True)
class DefectCorrection:
    """How the bad pixels of all images of a camera are filled, see `plan_correction`.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the images.
    """

    shape: tuple[int, int]
    _rounds: tuple[_Round, ...]
    _left: npt.NDArray[np.intp]

    @property
    def n_bad(self) -> int:
        """Number of bad pixels."""
        return sum(r.targets.size for r in self._rounds) + self._left.size

    def apply(
        self, image: npt.NDArray[Any], *, overwrite: bool = False
    ) -> npt.NDArray[Any]:
        """Fill the bad pixels of an image.

        Parameters
        ----------
        image : ndarray, shape `shape`
            Any real type.
        overwrite : bool
            Whether the image itself may be changed, which saves a copy.

        Returns
        -------
        ndarray, shape `shape`
            Of the same type; means are rounded where that holds integers.

        Raises
        ------
        ValueError
            If the image has another shape.
        """
        if image.shape != self.shape:
            raise ValueError(
                f"the defects are those of images of shape {self.shape}, this one has "
                f"{image.shape}"
            )
        filled = np.array(image, order="C", copy=not overwrite)
        flat = filled.reshape(-1)
        for step in self._rounds:
            means = np.einsum("ij,ij->j", flat[step.sources], step.weights)
            if np.issubdtype(flat.dtype, np.integer):
                means = np.rint(means)
            flat[step.targets] = means.astype(flat.dtype)
        flat[self._left] = 0
        return filled


def plan_correction(bad: npt.NDArray[np.bool_]) -> DefectCorrection:
    """Find out from which pixels the bad ones are filled.

    A bad pixel with good ones among its eight neighbours takes their mean; then it
    counts as good, and so on inwards.

    Parameters
    ----------
    bad : ndarray of bool, shape (ny, nx)
        True for bad pixels.

    Returns
    -------
    DefectCorrection
    """
    rows, columns = bad.shape
    unknown = bad.copy()
    y, x = np.nonzero(bad)
    rounds = []
    for _ in range(_MAX_ROUNDS):
        if not y.size:
            break
        good = np.empty((len(_NEIGHBOURS), y.size), dtype=np.bool_)
        places = np.zeros(good.shape, dtype=np.intp)
        for k, (dy, dx) in enumerate(_NEIGHBOURS):
            ny, nx = y + dy, x + dx
            inside = (ny >= 0) & (ny < rows) & (nx >= 0) & (nx < columns)
            good[k] = inside
            good[k, inside] = ~unknown[ny[inside], nx[inside]]
            places[k] = np.where(good[k], ny * columns + nx, 0)
        count = good.sum(axis=0)
        now = count > 0
        if not now.any():
            break
        rounds.append(
            _Round(
                targets=y[now] * columns + x[now],
                sources=places[:, now],
                weights=(good[:, now] / count[now]).astype(np.float32),
            )
        )
        unknown[y[now], x[now]] = False
        y, x = y[~now], x[~now]
    return DefectCorrection((rows, columns), tuple(rounds), y * columns + x)
