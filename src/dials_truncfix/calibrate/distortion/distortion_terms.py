"""Polynomials that describe a distortion, without the terms that no image tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Names of the models and the highest power of each.
MODELS = {"lens": 3, "quadratic": 2, "cubic": 3, "quartic": 4}


@dataclass(frozen=True)
class Terms:
    """Terms of a model, on images of one size.

    Places are taken relative to the middle of the image, in halves of its diagonal. There
    is no constant term and no linear one: two images shifted against each other tell
    neither.

    Attributes
    ----------
    model : str
        One of `MODELS`. ``lens``: radial and spiral distortion of third order.
    shape : tuple of int
        (slow, fast).
    """

    model: str
    shape: tuple[int, int]

    @property
    def centre(self) -> Array:
        """Middle of the image (fast, slow), pixels."""
        return np.array(self.shape[::-1]) / 2

    @property
    def scale(self) -> float:
        """Half of the diagonal, pixels."""
        return float(np.hypot(*self.shape)) / 2

    @property
    def powers(self) -> list[tuple[int, int]]:
        """Powers of x and y of each monomial."""
        highest = MODELS[self.model]
        return [(n - k, k) for n in range(2, highest + 1) for k in range(n + 1)]

    @property
    def names(self) -> list[str]:
        """Of the parameters, which are pixels at the corner."""
        if self.model == "lens":
            return ["radial", "spiral"]
        return [f"{axis}: x^{i} y^{j}" for axis in ("dx", "dy") for i, j in self.powers]

    def design(self, places: Array) -> Array:
        """Derive the distortion at places by the parameters.

        Parameters
        ----------
        places : ndarray, shape (n, 2)
            On the image (fast, slow), pixels.

        Returns
        -------
        ndarray, shape (n, 2, parameters)
        """
        x, y = ((places - self.centre) / self.scale).T
        if self.model == "lens":
            square = x * x + y * y
            radial = np.stack([square * x, square * y], axis=1)
            spiral = np.stack([-square * y, square * x], axis=1)
            return np.stack([radial, spiral], axis=2)
        monomials = np.stack([x**i * y**j for i, j in self.powers], axis=1)
        result = np.zeros((len(x), 2, 2 * len(self.powers)))
        result[:, 0, : len(self.powers)] = monomials
        result[:, 1, len(self.powers) :] = monomials
        return result
