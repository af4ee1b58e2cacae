"""One simulated crystal recorded by several cameras, with the truth beside each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from independent_cameras import INDEPENDENT
from stock_dials import run

from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.recording import Recording
from dials_truncfix.command_line.program import plain_values
from dials_truncfix.command_line.simulate_options import simulated_sweep
from dials_truncfix.command_line.simulate_phil import phil_scope
from dials_truncfix.simulate import output
from dials_truncfix.simulate.scene import d_star_map
from dials_truncfix.simulate.sweep import SimulatedSweep
from dials_truncfix.simulate.truth import Truth, save_truth

#: The camera of dials.truncfix_simulate, and those of `independent_cameras`.
OWN = "simulator"
CAMERAS = (OWN, *INDEPENDENT)

N_RINGS = 10
#: A pixel of which spots take more than this, e⁻, is no background.
SPOT = 0.02
#: A pixel that the beam stop darkens by more than this is not measured.
CLEAR = 0.999


@dataclass(frozen=True)
class CameraSweep:
    """A recorded sweep.

    Attributes
    ----------
    folder : pathlib.Path
        Where everything about it lies.
    truncated, untruncated : pathlib.Path
        Experiments of the images as stored, with default gain, and before truncation.
    known_gain : pathlib.Path
        Experiments of the images as stored, with the true gain.
    sweep : SimulatedSweep
        Expected electrons.
    truth : Truth
        True intensities.
    """

    folder: Path
    truncated: Path
    untruncated: Path
    known_gain: Path
    sweep: SimulatedSweep
    truth: Truth

    def rings(self) -> npt.NDArray[np.int64]:
        """Ten annuli of equal area; -1 in the shadow of the beam stop."""
        d_star = d_star_map(self.sweep.experiment)
        labels = np.full(d_star.shape, -1)
        clear = self.sweep.transmission > CLEAR
        order = np.argsort(d_star[clear], kind="stable")
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(len(order)) * N_RINGS // len(order)
        labels[clear] = numbers
        return labels

    def background(self, image: int) -> npt.NDArray[np.bool_]:
        """Pixels of an image that no spot reaches."""
        open_background = self.sweep.background_electrons * self.sweep.transmission
        return np.asarray(self.sweep.expected(image) - open_background < SPOT)


def record_sweep(
    name: str, folder: Path, n_images: int, options: list[str]
) -> CameraSweep:
    """Simulate the crystal, record it with a camera, and import its images.

    Parameters
    ----------
    name : str
        One of `CAMERAS`.
    folder : pathlib.Path
        Where to work.
    n_images : int
        Number of images.
    options : list of str
        Further parameters of dials.truncfix_simulate.

    Returns
    -------
    CameraSweep
    """
    interpreter = phil_scope.command_line_argument_interpreter()
    changes = [interpreter.process(o) for o in [f"scan.n_images={n_images}", *options]]
    params = phil_scope.fetch(sources=changes).extract()
    if name != OWN:
        params.dose.mean_intensity *= INDEPENDENT[name].dose
        for part in ("inner", "outer", "ring", "uniform"):
            electrons = getattr(params.background, part) * INDEPENDENT[name].dose
            setattr(params.background, part, electrons)
    sweep = simulated_sweep(params)
    model = sweep.camera if name == OWN else _model_of(name)
    truth = Truth(
        reflections=sweep.reflections,
        shadowed=sweep.shadowed(),
        setting_matrix=np.reshape(sweep.experiment.crystal.get_A(), (3, 3)),
        n_images=sweep.n_images,
        adu_per_electron=model.gain,
        gain=model.variance_slope,
        read_noise=model.read_noise,
        parameters=plain_values(params),
    )
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    names = output.OutputNames("movie")
    output.write_images(
        images,
        names,
        _recordings(name, sweep),
        sweep.experiment,
        model,
        image_format="tvips",
        high_tension_kv=params.beam.high_tension,
        frames_per_part=None,
        unclipped=True,
        seed=sweep.seed,
    )
    save_truth(images / "truth.npz", truth)
    unclipped = [str(images / names.unclipped(k + 1)) for k in range(sweep.n_images)]
    run(["dials.import", *unclipped, "output.experiments=untruncated.expt"], folder)
    found = ExperimentList.from_file(str(folder / "untruncated.expt"), False)[0]
    gain = f"geometry.detector.panel.gain={found.detector[0].get_gain()}"
    stored = [str(images / names.series), *output.import_arguments(sweep.experiment)]
    run(["dials.import", *stored, "output.experiments=truncated.expt"], folder)
    run(["dials.import", *stored, gain, "output.experiments=known_gain.expt"], folder)
    return CameraSweep(
        folder,
        folder / "truncated.expt",
        folder / "untruncated.expt",
        folder / "known_gain.expt",
        sweep,
        truth,
    )


def _model_of(name: str) -> F416:
    """Describe an independent camera for the headers of its images."""
    camera = INDEPENDENT[name]
    plain = F416()
    return F416(
        gain=camera.adu_per_electron,
        pulse_variance=camera.pulse_variance,
        sensor_read_noise=camera.read_noise / plain.binning,
    )


def _recordings(name: str, sweep: SimulatedSweep) -> Iterator[Recording]:
    if name == OWN:
        for image in range(sweep.n_images):
            yield sweep.record(image)
        return
    camera, number = INDEPENDENT[name], CAMERAS.index(name)
    flat = camera.flat(sweep.shape, sweep.seed)
    for image in range(sweep.n_images):
        rng = np.random.default_rng([sweep.seed, number, image])
        signed = camera.signed(sweep.expected(image), flat, rng)
        stored = np.clip(signed, 0, 65535).astype(np.uint16)
        yield Recording(stored, np.minimum(signed, 65535))
