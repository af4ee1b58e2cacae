"""Parameters and files of dials.truncfix_postrefine as plain values."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtbx.phil
from dials.util import Sorry

from dials_truncfix.compare.files import EXPERIMENTS, REFLECTIONS, load_integrated
from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.input import tables
from dials_truncfix.postrefine.input.gather import Piece
from dials_truncfix.postrefine.input.large_files import cut_large_files
from dials_truncfix.postrefine.input.pieces import pair_files
from dials_truncfix.postrefine.input.streams import STREAM, StreamOptions, stream_pieces
from dials_truncfix.postrefine.lattice.options import Priors, RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.merge.rejection import RejectionLimits

logger = logging.getLogger("dials.truncfix.postrefine")


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def cycle_options(params: Any) -> CycleOptions:
    """Translate the phil parameters of the refinement."""
    priors, rejection = params.priors, params.rejection
    return CycleOptions(
        model=None if params.model == "auto" else Model(params.model),
        refinement=RefinementOptions(
            protocol=params.protocol,
            weights=params.weights,
            huber=_or_infinite(params.robust_limit),
            priors=Priors(
                b_sd=_or_infinite(priors.b),
                theta_sd=math.radians(_or_infinite(priors.theta)),
                log_rs_sd=_or_infinite(priors.log_rs),
                cell_sd=_or_infinite(priors.cell),
            ),
        ),
        limits=RejectionLimits(
            min_observations=rejection.min_observations,
            max_theta=math.radians(rejection.max_theta),
            max_b=rejection.max_b,
            max_rs_factor=rejection.max_rs_factor,
            min_cc=rejection.min_cc,
            max_delta_cc_half=_or_infinite(rejection.delta_cc_half),
        ),
        min_partiality=params.min_partiality,
        max_deviation=params.max_deviation,
        max_cycles=params.cycles.maximum,
        tolerance=params.cycles.tolerance,
        error_model=params.error_model,
        seed=params.seed,
    )


def input_options(params: Any) -> tables.InputOptions:
    """Translate the phil parameters of the input."""
    polarisation = params.corrections.polarisation
    return tables.InputOptions(
        intensity=params.intensity,
        polarisation=None if polarisation is libtbx.Auto else polarisation,
        efficiency=params.corrections.efficiency,
        cell_tolerance=params.rejection.cell_tolerance,
        d_max=params.d_max,
        d_min=params.d_min,
    )


@dataclass(frozen=True)
class InputFiles:
    """Reflections, experiments and streams, told by their names."""

    reflections: list[Path]
    experiments: list[Path]
    streams: list[Path]

    def given(self) -> list[Path]:
        """List the files that were named."""
        return [*self.reflections, *self.experiments, *self.streams]

    def read(self) -> list[Path]:
        """List all files that are read, those found beside others too."""
        beside = [path.with_suffix(EXPERIMENTS) for path in self.reflections]
        return [*self.given(), *beside]


def sort_files(files: Sequence[str]) -> InputFiles:
    """Tell reflections, experiments and streams by their names.

    Raises
    ------
    Sorry
        About the first file that is neither, or if there are no reflections.
    """
    by_suffix: dict[str, list[Path]] = {REFLECTIONS: [], EXPERIMENTS: [], STREAM: []}
    for number, path in enumerate(map(Path, files)):
        if any(path.samefile(other) for other in files[:number]):
            raise Sorry(f"{path} is given twice: name every file once")
        if path.suffix not in by_suffix:
            raise Sorry(
                f"{path}: neither reflections (.refl), experiments (.expt) nor a CrystFEL "
                "stream (.stream); a reference is given as reference.file="
            )
        by_suffix[path.suffix].append(path)
    found = InputFiles(
        by_suffix[REFLECTIONS], by_suffix[EXPERIMENTS], by_suffix[STREAM]
    )
    if not found.reflections and (found.experiments or not found.streams):
        raise Sorry("no reflections were given: add the .refl file of the experiments")
    return found


def input_pieces(params: Any, files: InputFiles, folder: Path) -> list[Piece]:
    """List what is to be read; what is not told by names is read at once.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        After parsing.
    files : InputFiles
        What was given.
    folder : pathlib.Path
        For what large files are cut into.

    Raises
    ------
    ValueError
        If a file is damaged, or files do not belong together.
    OSError
        If a file cannot be read.
    """
    pieces: list[Piece] = []
    if files.reflections:
        paired = pair_files(files.reflections, files.experiments)
        if paired is None:
            pieces += load_integrated(files.reflections, files.experiments)
        else:
            pieces += cut_large_files(paired, folder)
    options = StreamOptions(
        space_group=params.stream.space_group,
        polarisation_fraction=params.stream.polarisation_fraction,
    )
    for path in files.streams:
        parts, n_incomplete = stream_pieces(path.absolute(), options)
        pieces += parts
        if n_incomplete:
            images = "1 image is" if n_incomplete == 1 else f"{n_incomplete} images are"
            logger.warning(
                "%s: %s incomplete, as when indexamajig was stopped, and left out",
                path,
                images,
            )
    return pieces
