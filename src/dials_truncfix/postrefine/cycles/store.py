"""Full intensities of all observations between passes, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dials_truncfix.postrefine.input.columns import Column, make_column
from dials_truncfix.postrefine.lattice.lattices import IntArray
from dials_truncfix.postrefine.merge.scaling import Scaled

_PARTIAL, _USED, _OUTLIER = 1, 2, 4


@dataclass(frozen=True)
class ScaledStore:
    """Columns of what `Scaled` holds of all lattices.

    Attributes
    ----------
    intensity, variance, fit_variance : Column
        Of the full reflections.
    flags : Column
        Partial, used, outlier as bits.
    offsets : ndarray, shape (n_lattices + 1,)
        Where the observations of each lattice begin.
    """

    intensity: Column
    variance: Column
    fit_variance: Column
    flags: Column
    offsets: IntArray

    def read(self, lattices: slice) -> Scaled:
        """Full intensities of a range of lattices."""
        first, last = self.offsets[lattices.start], self.offsets[lattices.stop]
        flags = self.flags.read(first, last)
        return Scaled(
            self.intensity.read(first, last),
            self.variance.read(first, last),
            self.fit_variance.read(first, last),
            (flags & _PARTIAL) != 0,
            (flags & _USED) != 0,
            (flags & _OUTLIER) != 0,
        )

    def write(self, lattices: slice, scaled: Scaled) -> None:
        """Keep those of a range of lattices."""
        first = self.offsets[lattices.start]
        self.intensity.write(first, scaled.intensity)
        self.variance.write(first, scaled.variance)
        self.fit_variance.write(first, scaled.fit_variance)
        flags = (
            np.where(scaled.partial, _PARTIAL, 0)
            + np.where(scaled.used, _USED, 0)
            + np.where(scaled.outlier, _OUTLIER, 0)
        )
        self.flags.write(first, flags.astype(np.uint8))


def make_store(folder: Path | None, offsets: IntArray) -> ScaledStore:
    """Make room for the full intensities of all lattices.

    Parameters
    ----------
    folder : pathlib.Path or None
        Where to keep them; None for memory.
    offsets : ndarray, shape (n_lattices + 1,)
        Where the observations of each lattice begin.

    Raises
    ------
    OSError
        If the files cannot be made.
    """
    n = int(offsets[-1])
    return ScaledStore(
        make_column(folder, "full_intensity", n, np.float64),
        make_column(folder, "full_variance", n, np.float64),
        make_column(folder, "fit_variance", n, np.float64),
        make_column(folder, "full_flags", n, np.uint8),
        offsets,
    )
