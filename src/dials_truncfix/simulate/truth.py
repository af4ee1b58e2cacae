"""What a simulated sweep really contains, kept beside its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.numpy_archive import read_arrays
from dials_truncfix.simulate.prediction import SweepReflections

_FORMAT = 1
# What a description leads to that is none.
_DAMAGE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Truth:
    """Reflections of a simulated sweep and what is needed to compare with them.

    Attributes
    ----------
    reflections : SweepReflections
        One entry for each passage of a reflection.
    shadowed : ndarray, shape (n,), bool
        True for those of which the beam stop hides a part.
    setting_matrix : ndarray, shape (3, 3)
        A of the crystal at rotation angle 0: reciprocal axes as columns, Å⁻¹.
    n_images : int
        Images in the sweep.
    adu_per_electron : float
        Mean signal of an electron, ADU.
    gain : float
        Slope of the variance of pixels on their mean, ADU.
    read_noise : float
        Standard deviation of the read noise, ADU.
    parameters : mapping
        Everything needed to make the sweep again, the seed included.
    """

    reflections: SweepReflections
    shadowed: npt.NDArray[np.bool_]
    setting_matrix: npt.NDArray[np.float64]
    n_images: int
    adu_per_electron: float
    gain: float
    read_noise: float
    parameters: Mapping[str, Any]


def save_truth(path: Path, truth: Truth) -> None:
    """Write the truth as a compressed ``.npz`` file.

    The arrays of `SweepReflections` keep their names; the rest is a JSON text named
    ``description``.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    truth : Truth
        The truth.
    """
    arrays = {
        f.name: getattr(truth.reflections, f.name) for f in fields(SweepReflections)
    }
    description = {
        "format": _FORMAT,
        "n_images": truth.n_images,
        "adu_per_electron": truth.adu_per_electron,
        "gain": truth.gain,
        "read_noise": truth.read_noise,
        "parameters": dict(truth.parameters),
    }
    with atomic_write(path) as stream:
        np.savez_compressed(
            stream,
            shadowed=truth.shadowed,
            setting_matrix=truth.setting_matrix,
            description=np.array(json.dumps(description)),
            **arrays,
        )


def load_truth(path: Path) -> Truth:
    """Read what `save_truth` wrote.

    Parameters
    ----------
    path : pathlib.Path
        File to read.

    Returns
    -------
    Truth

    Raises
    ------
    ValueError
        If the file is not a truth file.
    """
    names = [f.name for f in fields(SweepReflections)]
    try:
        arrays = read_arrays(
            path, [*names, "shadowed", "setting_matrix", "description"]
        )
        description = json.loads(str(arrays["description"]))
        reflections = {name: arrays[name] for name in names}
        lengths = {a.shape[:1] for a in (*reflections.values(), arrays["shadowed"])}
        if len(lengths) != 1 or arrays["setting_matrix"].shape != (3, 3):
            raise ValueError("its arrays do not fit each other")
        return Truth(
            reflections=SweepReflections(**reflections),
            shadowed=arrays["shadowed"],
            setting_matrix=arrays["setting_matrix"],
            n_images=int(description["n_images"]),
            adu_per_electron=float(description["adu_per_electron"]),
            gain=float(description["gain"]),
            read_noise=float(description["read_noise"]),
            parameters=description["parameters"],
        )
    except (*_DAMAGE, OSError) as error:
        raise ValueError(
            f"{path}: not the truth of a simulated sweep ({error})"
        ) from None
