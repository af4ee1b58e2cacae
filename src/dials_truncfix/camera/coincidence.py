"""Electrons that a counting camera does not count, because they arrive too densely.

Two electrons that meet in the same place of one read-out are counted as one. How many
counts there are for a rate of electrons has been published twice for the K2, and the two
do not agree; both are here, and whoever linearises says which one was taken.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM:
the table of `MANUAL_K2`, and that rates are 3.75 times those for a K3.
Source of SerialEM, CProcessImage::LinearizedDoseRate: the tables of `SERIALEM_K2_200_KV`,
`SERIALEM_K2_300_KV` and `SERIALEM_K3_200_KV`.
Li, X., Zheng, S. Q., Egami, K., Agard, D. A. & Cheng, Y. (2013). J. Struct. Biol. 184,
251-260. https://doi.org/10.1016/j.jsb.2013.08.005
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw

from dials_truncfix.io.gatan import K2, K3

FloatArray = npt.NDArray[np.float64]

#: Counts per electron where few arrive, Li et al. (2013) as the manual cites it. It comes
#: on top of the manual's losses by coincidence; SerialEM's tables contain all losses.
CONVERSION = 0.87

#: Rates (e⁻ per physical pixel and second) and counts per electron, the manual's for a K2.
MANUAL_TABLE = ((5.0, 0.97), (7.5, 0.94), (10.0, 0.87), (20.0, 0.60))
#: Scale of `GaussianLoss` that is within 0.01 of that table (e⁻ per pixel and second).
_MANUAL_SCALE = 28.0


class LossCurve(Protocol):
    """Counts against electrons."""

    @property
    def name(self) -> str:
        """Where it comes from."""

    def counted(self, rate: npt.ArrayLike) -> FloatArray:
        """Tell the counts of a rate of electrons, both per physical pixel and second."""

    def true_rate(self, counted: npt.ArrayLike) -> FloatArray:
        """Inverse of `counted`."""


@dataclass(frozen=True)
class GaussianLoss:
    """Counts fall off as r exp(-(r/scale)²).

    The rate of counts has its maximum at r = scale/√2, just where the manual's table
    ends. Beyond it nothing is known, and the counts stay what they are there.

    Attributes
    ----------
    name : str
        Where it comes from.
    scale : float
        e⁻ per physical pixel and second.
    conversion : float
        Counts per electron where few arrive.
    """

    name: str
    scale: float
    conversion: float = CONVERSION

    @property
    def highest_counted(self) -> float:
        """Largest rate of counts, per physical pixel and second."""
        return self.conversion * self.scale * math.sqrt(0.5) * math.exp(-0.5)

    def factor(self, rate: npt.ArrayLike) -> FloatArray:
        """Tell the counts per electron, the conversion left out."""
        r = np.asarray(rate, float)
        known = np.minimum(r, self.scale * math.sqrt(0.5))
        beyond = known / np.where(r > known, r, 1.0)
        kept = np.exp(-((known / self.scale) ** 2))
        return np.asarray(kept * np.where(r > known, beyond, 1.0))

    def counted(self, rate: npt.ArrayLike) -> FloatArray:
        """Tell the counts of a rate of electrons.

        Parameters
        ----------
        rate : array_like
            e⁻ per physical pixel and second.

        Returns
        -------
        ndarray
            Counts per physical pixel and second.
        """
        return np.asarray(self.conversion * np.asarray(rate, float) * self.factor(rate))

    def true_rate(self, counted: npt.ArrayLike) -> FloatArray:
        """Inverse of `counted`, up to its maximum.

        Parameters
        ----------
        counted : array_like
            Counts per physical pixel and second.

        Returns
        -------
        ndarray
            e⁻ per physical pixel and second.

        Raises
        ------
        ValueError
            If there are negative counts, or more than the camera can give.
        """
        c = _checked(counted, self.highest_counted, self.name) / self.conversion
        # r² exp(-2r²/s²) = c² by Lambert's function; rounding must not reach -1/e
        branch_point = -math.exp(-1) * (1 - 1e-12)
        argument = np.maximum(-2 * (c / self.scale) ** 2, branch_point)
        return np.asarray(self.scale * np.sqrt(-lambertw(argument).real / 2))


@dataclass(frozen=True)
class MeasuredLoss:
    """Counts measured at some rates, with straight lines between.

    Below the first and above the last rate the ratio of both is that of the table's end.

    Attributes
    ----------
    name : str
        Where it comes from.
    rates, counts : tuple of float
        e⁻ and counts per physical pixel and second, rising.
    """

    name: str
    rates: tuple[float, ...]
    counts: tuple[float, ...]

    def counted(self, rate: npt.ArrayLike) -> FloatArray:
        """Tell the counts of a rate of electrons, see `GaussianLoss.counted`."""
        return _along(np.asarray(rate, float), self.rates, self.counts)

    def true_rate(self, counted: npt.ArrayLike) -> FloatArray:
        """Inverse of `counted`, see `GaussianLoss.true_rate`.

        Raises
        ------
        ValueError
            If there are negative counts, or more than in the table.
        """
        c = _checked(counted, self.counts[-1], self.name)
        return _along(c, self.counts, self.rates)

    def factor(self, rate: npt.ArrayLike) -> FloatArray:
        """Tell the counts per electron, all losses together."""
        r = np.maximum(np.asarray(rate, float), 1e-6 * self.rates[0])
        return np.asarray(self.counted(r) / r)


def _along(
    x: FloatArray, at: tuple[float, ...], values: tuple[float, ...]
) -> FloatArray:
    inside = np.interp(x, (0.0, *at), (0.0, *values))
    return np.asarray(np.where(x > at[-1], x * (values[-1] / at[-1]), inside))


def _checked(counted: npt.ArrayLike, highest: float, name: str) -> FloatArray:
    c = np.asarray(counted, float)
    if not (c >= 0).all():
        raise ValueError(f"{c.min():g} counts in a second")
    if (c > highest * (1 + 1e-9)).any():
        raise ValueError(
            f"{c.max():.4g} counts a pixel and second: by {name} no rate of electrons "
            f"gives more than {highest:.4g}"
        )
    return c


#: How much faster a K3 is read, and by the manual the rates at which it loses as much.
K3_SPEED = K3.frame_rate / K2.frame_rate

MANUAL_K2 = GaussianLoss("the manual of SerialEM (K2)", _MANUAL_SCALE)
MANUAL_K3 = GaussianLoss("the manual of SerialEM (K3)", _MANUAL_SCALE * K3_SPEED)
NO_LOSS = MeasuredLoss("a camera that counts all", (1.0, 1e9), (1.0, 1e9))

# fmt: off
SERIALEM_K2_200_KV = MeasuredLoss(
    "SerialEM's table (K2, 200 kV)",
    (0.909, 1.950, 2.984, 4.491, 6.583, 8.705, 11.071, 16.107, 23.707, 28.698, 38.486,
     53.90, 65.78, 71.37, 75.54),
    (1.010, 2.093, 3.112, 4.520, 6.355, 8.095, 9.902, 13.288, 17.325, 19.424, 22.683,
     26.42, 28.63, 29.53, 30.16),
)
SERIALEM_K2_300_KV = MeasuredLoss(
    "SerialEM's table (K2, 300 kV)",
    (0.789, 1.890, 3.107, 4.092, 6.388, 9.252, 13.213, 18.480, 25.744, 39.14, 56.29,
     72.61, 79.76),
    (0.731, 1.703, 2.724, 3.517, 5.279, 7.336, 9.950, 13.014, 16.514, 21.21, 25.32,
     28.20, 29.25),
)
SERIALEM_K3_200_KV = MeasuredLoss(
    "SerialEM's table (K3, 200 kV)",
    (2.956, 3.617, 5.078, 7.132, 10.281, 13.230, 16.341, 20.329, 24.452, 28.442, 32.373,
     36.797, 40.533, 44.539, 48.536, 52.427, 56.519, 60.633, 65.931, 70.959, 75.993,
     80.853, 85.959, 92.952, 100.477, 104.378, 117.021, 123.277, 129.833, 136.559,
     143.420, 150.570),
    (2.998, 3.589, 4.887, 6.687, 9.386, 11.849, 14.381, 17.529, 20.673, 23.612, 26.410,
     29.450, 31.929, 34.500, 36.979, 39.313, 41.685, 43.987, 46.835, 49.421, 51.901,
     54.197, 56.508, 59.514, 62.553, 64.054, 68.587, 70.656, 72.707, 74.697, 76.611,
     78.490),
)
# fmt: on

#: Above this voltage SerialEM takes its table of 300 kV, kV.
_BETWEEN_TABLES_KV = 250.0


def loss_curve(camera: str, source: str, high_tension_kv: float) -> LossCurve:
    """Choose a curve.

    Parameters
    ----------
    camera : {'K2', 'K3'}
        Name of the camera.
    source : {'none', 'manual', 'serialem'}
        Whose figures; `none` counts all electrons.
    high_tension_kv : float
        Acceleration voltage (kV), which SerialEM's tables depend on.

    Returns
    -------
    LossCurve

    Raises
    ------
    ValueError
        If there is no such curve.
    """
    curves: dict[tuple[str, str], LossCurve] = {
        ("K2", "none"): NO_LOSS,
        ("K3", "none"): NO_LOSS,
        ("K2", "manual"): MANUAL_K2,
        ("K3", "manual"): MANUAL_K3,
        ("K2", "serialem"): SERIALEM_K2_300_KV
        if high_tension_kv > _BETWEEN_TABLES_KV
        else SERIALEM_K2_200_KV,
        # the only one there is for this camera
        ("K3", "serialem"): SERIALEM_K3_200_KV,
    }
    try:
        return curves[camera, source]
    except KeyError:
        raise ValueError(f"no loss of counts of a {camera} by {source}") from None
