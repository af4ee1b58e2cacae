"""
Simulate a sweep of electron diffraction images, from a camera that truncates or others.

A crystal turns in the beam of an electron microscope, and a TVIPS TemCam-F416 in
rolling-shutter mode records it: the camera subtracts a dark image and stores unsigned
integers, so that every pixel below zero becomes zero. What the images really contain
is written beside them, for testing how well dials.truncfix repairs them, and what
truncation does to your kind of data.

camera.model chooses another camera: a CCD, or Gatan's K2 or K3, whose frames come as
SerialEM saves them, with metadata, gain reference and defects, and with a recipe that
dials.import takes.

With source=stills, many crystals are simulated that do not turn: partial reflections of which
the orientation, scale and full intensity is known, for dials.truncfix_postrefine. They come as
integrated reflections without images, or, with stills.output=images, as images of one crystal
each, with the orientations from which DIALS can integrate them.

With source=images, the images of a counting detector pass through the camera instead:
real spots, with the same images before truncation beside them.

The simulation is kinematical: intensities are proportional to the squared structure
factors and the Lorentz factor. There is no dynamical scattering, no absorption and no
radiation damage; all spots have one shape.

The program prints the commands of DIALS that take what it wrote.

All parameters with their help: dials.truncfix_simulate -c -e2 -a2

Examples::

  # a sweep of 40 images, as a TVIPS recording
  dials.truncfix_simulate output.directory=simulated

  # another and longer one, with the images before truncation beside it
  dials.truncfix_simulate seed=2 scan.n_images=60 output.unclipped=True

  # of a structure, at two thirds of the default dose
  dials.truncfix_simulate structure_factors.file=model.pdb dose.mean_intensity=100

  # images of 2048 x 2048 pixels, in parts of ten
  dials.truncfix_simulate camera.binning=2 output.frames_per_part=10

  # a K2 that counts
  dials.truncfix_simulate phil/simulate_k2_counting.phil scan.n_images=60

  # what the F416 would have made of images of a counting detector
  dials.truncfix_simulate source=images imported.expt images.uniform=0.3

  # stills as integrated reflections
  dials.truncfix_simulate source=stills stills.orientation_error=0.1 d_min=2.5

  # stills as images
  dials.truncfix_simulate source=stills stills.output=images stills.n_lattices=40
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import libtbx.phil
from dials.util import Sorry, progress, show_mail_handle_errors
from dials.util.options import ArgumentParser
from dxtbx.model import ExperimentList

from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.recording import Recording
from dials_truncfix.command_line.arguments import parse_arguments
from dials_truncfix.command_line.program import (
    in_one_sentence,
    keep_inputs,
    single_imageset,
    start,
)
from dials_truncfix.command_line.simulate_camera import refuse_what_it_has_not
from dials_truncfix.command_line.simulate_images import (
    ImageFiles,
    check_unclipped,
    image_files,
    image_workers,
    noise_of_image,
    write_all,
    zeros_in,
)
from dials_truncfix.command_line.simulate_options import (
    counted_sweep,
    description,
    simulated_sweep,
)
from dials_truncfix.command_line.simulate_phil import phil_scope
from dials_truncfix.command_line.simulate_stills import write_stills
from dials_truncfix.io.staging import staging_folder
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.simulate import output
from dials_truncfix.simulate.from_images import CountedSweep
from dials_truncfix.simulate.sweep import SimulatedSweep
from dials_truncfix.simulate.tasks import record_sweep
from dials_truncfix.simulate.truth import Truth, save_truth

logger = logging.getLogger("dials.truncfix.simulate")


def _sequence(params: Any) -> Any:
    if not params.input.experiments:
        raise Sorry(
            "source=images needs the images of one sweep: name an imported.expt, or "
            "the images"
        )
    _, imageset = single_imageset(params)
    if not hasattr(imageset, "get_scan"):
        raise Sorry("source=images needs a rotation, and the images given are stills")
    return imageset


def _recordings(
    sweep: SimulatedSweep | CountedSweep, tasks: TaskMap, zeros: list[float]
) -> Iterator[Recording]:
    n_frames = sweep.n_images * sweep.camera.frames_per_image
    for recording in progress(
        record_sweep(sweep, tasks), desc="Recording images", total=n_frames
    ):
        zeros.append(zeros_in(recording))
        yield recording


def write_sweep(params: Any, sweep: SimulatedSweep | CountedSweep) -> None:
    """Write images, truth and models, all or none, and log how to import them."""
    directory = Path(params.output.directory)
    files = image_files(params)
    if old := files.images_in(directory):
        raise Sorry(
            f"{directory} already holds {old[0].name}: give another output.directory "
            "or output.prefix"
        )
    simulated = isinstance(sweep, SimulatedSweep)
    unclipped = params.output.unclipped
    if unclipped is libtbx.Auto:
        unclipped = not simulated
    if unclipped:
        check_unclipped(sweep)
    zeros: list[float] = []
    processes = image_workers(params, sweep)
    with staging_folder(directory) as folder, task_map(processes) as tasks:
        write_all(
            folder,
            files,
            params,
            sweep,
            _recordings(sweep, tasks, zeros),
            unclipped=unclipped,
            high_tension_kv=params.beam.high_tension if simulated else 0,
        )
        output.write_experiments(
            folder / "truth.expt", ExperimentList([sweep.experiment])
        )
        if isinstance(sweep, SimulatedSweep):
            save_truth(folder / "truth.npz", _truth(params, sweep))
        else:
            output.write_mask(folder / "pixels.mask", sweep.valid)
    logger.info("%.1f %% of all pixels are zero", 100 * np.mean(zeros))
    _report(directory, files, sweep, unclipped)


def _truth(params: Any, sweep: SimulatedSweep) -> Truth:
    return Truth(
        reflections=sweep.reflections,
        shadowed=sweep.shadowed(),
        setting_matrix=np.array(sweep.experiment.crystal.get_A()).reshape(3, 3),
        n_images=sweep.n_images,
        adu_per_electron=sweep.camera.adu_per_electron,
        gain=sweep.camera.variance_slope,
        read_noise=noise_of_image(sweep.camera),
        parameters=description(params),
    )


def _report(
    directory: Path,
    files: ImageFiles,
    sweep: SimulatedSweep | CountedSweep,
    unclipped: bool,
) -> None:
    mask = []
    if not isinstance(sweep, SimulatedSweep):
        mask = [f"lookup.mask={shlex.quote(str(directory / 'pixels.mask'))}"]
    logger.info("Saving models to %s", directory / "truth.expt")
    if isinstance(sweep, SimulatedSweep):
        logger.info("Saving true intensities to %s", directory / "truth.npz")
    arguments = [*output.import_arguments(sweep.experiment), *mask]
    if isinstance(sweep.camera, CCD):
        # its images do not say their gain, and read noise alone is no spot
        gain = f"geometry.detector.panel.gain={sweep.camera.variance_slope:g}"
        arguments.append(gain)
    if files.frames is not None:
        logger.info("Saving frames to %s", directory / files.frames.stack)
    else:
        logger.info("Saving truncated images to %s", directory / files.first)
    logger.info("Import them by\n  %s", _command(directory / files.first, arguments))
    if unclipped:
        pattern = directory / f"{files.names.prefix}_unclipped_*.cbf"
        logger.info("Saving images before truncation to %s", pattern)
        logger.info("Import them by\n  %s", _command(pattern, mask))


def _command(images: Path, arguments: Sequence[str]) -> str:
    return " \\\n    ".join([f"dials.import {images}", *arguments])


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_simulate as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_simulate [options] [source=images imported.expt]",
        phil=phil,
        read_experiments=True,
        read_experiments_from_images=True,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options = parse_arguments(parser, given, phil)
    if not given:
        parser.print_help()
        sys.exit(0)
    if params.input.experiments and params.source != "images":
        raise Sorry("images were given: add source=images to pass them to the camera")
    keep_inputs(params, [params.output.log])
    start(parser, options, params.output.log)
    with in_one_sentence(params.output.directory):
        refuse_what_it_has_not(params, phil.extract())
        if params.source == "stills":
            write_stills(params)
            return
        if params.source == "images":
            sweep: SimulatedSweep | CountedSweep = counted_sweep(
                params, _sequence(params)
            )
        else:
            sweep = simulated_sweep(params)
        write_sweep(params, sweep)


if __name__ == "__main__":
    run()
