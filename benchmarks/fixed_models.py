"""Integration of many versions of the same images with one set of models."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from camera_sweeps import CameraSweep
from stock_dials import run

from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.compare.agreement import (
    agreement,
    capture,
    slope_ratio,
)
from dials_truncfix.compare.matching import Matched, match

SPACE_GROUP, CELL = "P43212", "67.3,67.3,101,90,90,90"
BINS = ((50.0, 200.0), (200.0, 1000.0))


@dataclass(frozen=True)
class Bin:
    """Reflections of a range of true intensities.

    Attributes
    ----------
    bias, bias_error : float
        Mean of integrated minus true intensity, e⁻.
    beyond, beyond_error : float
        The same against the untruncated images, reflection by reflection, e⁻.
    z_sd : float
        Standard deviation of (integrated - captured part of true)/σ.
    correlation : float
        With the truth.
    """

    bias: float
    bias_error: float
    beyond: float
    beyond_error: float
    z_sd: float
    correlation: float


@dataclass(frozen=True)
class Integration:
    """What dials.integrate finds.

    Attributes
    ----------
    bins : tuple of Bin
        For `BINS`.
    slope_ratio : float
        Slope on truth at 20-4 Å over that at 1.65-1.5 Å.
    n : int
        Reflections.
    """

    bins: tuple[Bin, ...]
    slope_ratio: float
    n: int


@dataclass(frozen=True)
class Indexed:
    """Models and reference spots of the untruncated images, and their intensities."""

    experiments: Path
    reflections: Path
    matched: Matched


def index_untruncated(recorded: CameraSweep) -> Indexed:
    """Find spots on the untruncated images, index, refine and integrate."""
    folder = recorded.folder / "indexed"
    folder.mkdir(exist_ok=True)
    images = str(recorded.untruncated)
    run(["dials.find_spots", images, _nproc()], folder)
    run(
        [
            "dials.index",
            images,
            "strong.refl",
            f"space_group={SPACE_GROUP}",
            f"unit_cell={CELL}",
            "detector.fix=distance",
        ],
        folder,
    )
    experiments, reflections = folder / "indexed.expt", folder / "indexed.refl"
    return Indexed(
        experiments, reflections, _integrate(recorded, experiments, reflections, folder)
    )


def _nproc() -> str:
    return f"nproc={len(os.sched_getaffinity(0))}"


def _integrate(
    recorded: CameraSweep, experiments: Path, reflections: Path, folder: Path
) -> Matched:
    run(["dials.integrate", str(experiments), str(reflections), _nproc()], folder)
    found = ExperimentList.from_file(str(folder / "integrated.expt"), False)[0]
    table = flex.reflection_table.from_file(str(folder / "integrated.refl"))
    return match(recorded.truth, found, table)


def integrate(
    recorded: CameraSweep, indexed: Indexed, images: Path, name: str
) -> Matched:
    """Integrate images on the models of the untruncated ones.

    Gain, pedestal, trusted range and type of the panel are those of the images.

    Parameters
    ----------
    recorded : CameraSweep
        The camera.
    indexed : Indexed
        Models.
    images : pathlib.Path
        Experiments of the images.
    name : str
        Of the folder to work in.

    Returns
    -------
    Matched
    """
    folder = recorded.folder / name.replace(" ", "_").replace("=", "_")
    folder.mkdir(exist_ok=True)
    own = ExperimentList.from_file(str(images))[0]
    models = ExperimentList.from_file(str(indexed.experiments), False)
    detector = copy.deepcopy(models[0].detector)
    for get, put in (
        ("get_gain", "set_gain"),
        ("get_pedestal", "set_pedestal"),
        ("get_trusted_range", "set_trusted_range"),
        ("get_type", "set_type"),
    ):
        getattr(detector[0], put)(getattr(own.detector[0], get)())
    models[0].detector = detector
    models[0].imageset = own.imageset
    models.as_file(str(folder / "indexed.expt"))
    return _integrate(recorded, folder / "indexed.expt", indexed.reflections, folder)


def intensity_figures(matched: Matched, untruncated: Matched) -> Integration:
    """Compare integrated intensities with the truth and with untruncated images."""
    _, own, other = np.intersect1d(matched.row, untruncated.row, return_indices=True)
    captured = capture(matched)
    bins = []
    for low, high in BINS:
        chosen = (matched.expected >= low) & (matched.expected < high)
        figures = agreement(matched.select(chosen), low, high, captured)
        common = chosen[own]
        difference = (matched.observed[own] - untruncated.observed[other])[common]
        bins.append(
            Bin(
                figures.bias,
                figures.bias_error,
                float(difference.mean()),
                float(difference.std(ddof=1) / np.sqrt(len(difference))),
                figures.z_sd,
                figures.correlation,
            )
        )
    return Integration(tuple(bins), slope_ratio(matched), len(matched))
