"""dials.truncfix_calibrate mode=rings."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials.util import Sorry
from dxtbx.model import ExperimentList
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.calibrate.distortion_maps import (
    DistortionMaps,
    dials_ellipse,
    linear_maps,
    map_bytes,
    pixel_positions,
    read_maps,
    set_maps,
)
from dials_truncfix.calibrate.geometry import across_the_beam, with_geometry
from dials_truncfix.calibrate.images import mean_image
from dials_truncfix.calibrate.rings.cake import Pixels
from dials_truncfix.calibrate.rings.ring_model import RingGeometry
from dials_truncfix.calibrate.rings.ring_result import RingCalibration, smallest_spacing
from dials_truncfix.calibrate.rings.ring_words import (
    findings,
    is_elliptical,
    result_table,
    ring_record,
    ring_table,
    warnings,
)
from dials_truncfix.calibrate.rings.rings import RingOptions, calibrate_rings
from dials_truncfix.calibrate.rings.standards import (
    BUILT_IN,
    Standard,
    custom_standard,
    named_standard,
)
from dials_truncfix.command_line.arguments import refuse_unread
from dials_truncfix.command_line.calibrate_output import (
    Output,
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.report.rings_page import rings_page

logger = logging.getLogger("dials.truncfix.calibrate")

_EXPERIMENTS = (".expt", ".json")


@dataclass(frozen=True)
class _Recording:
    """Images of a standard with their models."""

    experiments: ExperimentList
    image: npt.NDArray[np.float64]
    valid: npt.NDArray[np.bool_]
    saturated: npt.NDArray[np.bool_]
    n_images: int
    pixels: Pixels
    known: DistortionMaps | None
    start: RingGeometry
    wavelength: float
    name: str


def rings(params: Any, files: Sequence[str]) -> None:
    """Calibrate by rings and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images of one recording, or one file of experiments.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    _check(params)
    recording = _read(params, files)
    standard = _standard(params, recording)
    logger.info("Averaged %d image(s) of %s", recording.n_images, recording.name)
    try:
        result = calibrate_rings(
            recording.pixels,
            recording.image,
            recording.valid,
            recording.saturated,
            standard,
            recording.start,
            recording.wavelength,
            RingOptions(
                params.rings.distance_range,
                params.rings.largest_ellipticity,
                params.rings.search_centre,
            ),
        )
    except ValueError as error:
        raise ValueError(f"{recording.name}: {error}") from None
    log_tables([result_table(result), ring_table(result)])
    log_words(findings(result), warnings(result))
    _write(params, recording, result)


def _check(params: Any) -> None:
    if (params.rings.standard is None) == (params.rings.d_spacings is None):
        raise Sorry(
            f"give either rings.standard, one of {', '.join(BUILT_IN)} or a calibrant of "
            "pyFAI, or the spacings of the rings as rings.d_spacings"
        )


def load_experiments(files: Sequence[str]) -> ExperimentList:
    """Experiments of one .expt file, or of images."""
    models = [f for f in files if f.lower().endswith(_EXPERIMENTS)]
    if models and len(files) > 1:
        raise Sorry(
            f"{len(files)} files were given: give the images of one recording, or one "
            "file of experiments"
        )
    try:
        if models:
            experiments = ExperimentList.from_file(models[0])
        else:
            experiments = ExperimentListFactory.from_filenames(list(files))
    # whatever dxtbx and its format classes make of other files
    except Exception as error:
        if "filename template" in str(error):
            raise Sorry(
                f"{files[0]}: DIALS reads images of this format only by a name with a "
                f"number, such as {_numbered(files[0])}: name it so"
            ) from None
        experiments = ExperimentList()
    if not len(experiments):
        refuse_unread(files)
    return experiments


def _numbered(file: str) -> str:
    root, suffix = os.path.splitext(os.path.basename(file))
    return f"{root}_0001{suffix}"


def _read(params: Any, files: Sequence[str]) -> _Recording:
    experiments = load_experiments(files)
    imagesets = experiments.imagesets()
    if len(imagesets) != 1 or imagesets[0] is None:
        raise Sorry(
            f"{files[0]}: {len(imagesets)} recordings were given, and one is needed: "
            "give the images of one standard"
        )
    imageset = imagesets[0]
    name = os.path.basename(str(imageset.get_path(0)))
    detector, beam = imageset.get_detector(), imageset.get_beam()
    if detector is None or beam is None:
        raise ValueError(
            f"{name} has no beam or detector model: import the images with "
            "geometry.beam.wavelength and geometry.detector.distance, and give the "
            "imported.expt"
        )
    mean = mean_image(imageset, params.rings.images)
    try:
        distance = across_the_beam(detector[0], beam)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    size = float(detector[0].get_pixel_size()[0])
    known = read_maps(imageset)
    x, y = pixel_positions(mean.mean.shape, known)
    pixels = Pixels(
        size * x[mean.valid], size * y[mean.valid], mean.mean[mean.valid], size
    )
    return _Recording(
        experiments,
        mean.mean,
        mean.valid,
        mean.saturated,
        mean.n_images,
        pixels,
        known,
        RingGeometry(
            tuple(detector[0].get_beam_centre(beam.get_s0())), distance, (0.0, 0.0)
        ),
        float(beam.get_wavelength()),
        name,
    )


def _standard(params: Any, recording: _Recording) -> Standard:
    start = recording.start
    shortest = start.distance * (1 - min(params.rings.distance_range, 0.9))
    reach = smallest_spacing(
        recording.pixels, start.centre, shortest, recording.wavelength
    )
    d_min = max(params.rings.d_min, reach)
    if params.rings.standard is not None:
        standard = named_standard(params.rings.standard, d_min)
    else:
        standard = custom_standard(params.rings.d_spacings)
    keep = standard.d >= d_min
    if params.rings.d_max is not None:
        keep &= standard.d <= params.rings.d_max
    if np.count_nonzero(keep) < 2:
        raise ValueError(
            f"{recording.name}: {np.count_nonzero(keep) or 'no'} ring of {standard.name} "
            f"is left (the image reaches to {reach:.2f} Å), and two are needed: check the "
            "standard, rings.d_min and rings.d_max, and the camera length of the image"
        )
    return replace(standard, d=standard.d[keep], strength=standard.strength[keep])


def _write(params: Any, recording: _Recording, result: RingCalibration) -> None:
    out, geometry = params.output, result.fit.geometry
    dials = dials_ellipse(result.ellipse, geometry.centre)
    record = ring_record(result, recording.name, recording.n_images, dials)
    outputs = results(
        params,
        record,
        lambda: rings_page(result, recording.pixels, recording.image, recording.valid),
    )
    experiments = with_geometry(recording.experiments, result.distance, geometry.centre)
    if not is_elliptical(result):
        logger.info("No distortion maps are written, as no ellipticity was found.")
    else:
        if out.x_map is not None:
            maps = linear_maps(
                recording.image.shape, result.centre, geometry.undo, recording.known
            )
            set_maps(experiments.imagesets()[0], maps, Path(out.x_map), Path(out.y_map))
            outputs += [
                Output(out.x_map, "a distortion map", map_bytes(maps.dx)),
                Output(out.y_map, "a distortion map", map_bytes(maps.dy)),
            ]
        # parameters alone cannot be added to maps that are there already
        if out.phil is not None and recording.known is None:
            what = "parameters of dials.generate_distortion_maps"
            outputs.append(Output(out.phil, what, dials.as_phil()))
    if out.experiments is not None:
        outputs.append(Output(out.experiments, "experiments", experiments))
    write_files(outputs)
