"""Simulated images as files, and the command that imports them."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx.model import Experiment, ExperimentList

from dials_truncfix import __version__, compat
from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.recording import Camera, Recording
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.corrected_header import format_cbf_lines, make_header
from dials_truncfix.io.tvips import write_series

#: Time stamp of the first image, s: fixed, so that a seed gives the same bytes.
START_TIME = 1451606400.0


@dataclass(frozen=True)
class OutputNames:
    """Names of the files of one simulated sweep.

    Attributes
    ----------
    prefix : str
        Start of the names of all image files.

    Raises
    ------
    ValueError
        When the prefix names a folder.
    """

    prefix: str

    def __post_init__(self) -> None:
        """Refuse what is more than a name."""
        if "/" in self.prefix:
            raise ValueError(
                f"output.prefix={self.prefix} must be the start of a file name; the "
                "folder is output.directory"
            )

    @property
    def series(self) -> str:
        """First part of a .tvips series."""
        return f"{self.prefix}_000.tvips"

    def smv(self, number: int) -> str:
        """SMV image of this number."""
        return f"{self.prefix}_{number:05d}.img"

    def unclipped(self, number: int) -> str:
        """CBF image of this number before truncation."""
        return f"{self.prefix}_unclipped_{number:05d}.cbf"

    def image(self, image_format: str, number: int) -> tuple[str, int]:
        """File of an image of this number, and its position therein."""
        if image_format == "smv":
            return self.smv(number), 0
        return self.series, number - 1

    def images_in(self, folder: Path) -> list[Path]:
        """List image files of this prefix in a folder."""
        patterns = ("_*.tvips", "_*.img", "_unclipped_*.cbf")
        return sorted(p for s in patterns for p in folder.glob(self.prefix + s))


def write_images(
    folder: Path,
    names: OutputNames,
    recordings: Iterable[Recording],
    experiment: Experiment,
    camera: F416 | CCD,
    *,
    image_format: str,
    high_tension_kv: float,
    frames_per_part: int | None,
    unclipped: bool,
    seed: int,
) -> None:
    """Write all images of a sweep, or of stills, holding one at a time in memory.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    names : OutputNames
        Names of the files.
    recordings : iterable of Recording
        Images in order.
    experiment : dxtbx.model.Experiment
        Models; those of stills have no scan.
    camera : F416 or CCD
        Response of the camera.
    image_format : {'tvips', 'smv'}
        Format of the truncated images.
    high_tension_kv : float
        Acceleration voltage, kV; 0 if there is none.
    frames_per_part : int or None
        Frames in a part of a .tvips series; None for a single file.
    unclipped : bool
        Also write the images as they were before truncation. Their headers hold gain
        and pedestal of the camera, so that DIALS weighs them rightly.
    seed : int
        Seed of the draws, noted in headers.
    """
    scan, panel = experiment.scan, experiment.detector[0]
    # stills have neither angles nor times
    angles, exposure = None, 0.0
    if scan is not None:
        start, width = scan.get_oscillation()
        angles = [start + k * width for k in range(scan.get_num_images())]
        exposure = scan.get_exposure_times()[0]

    def each() -> Iterator[npt.NDArray[np.uint16]]:
        for number, recording in enumerate(recordings, 1):
            if unclipped:
                path = folder / names.unclipped(number)
                write_unclipped(path, recording, experiment, camera, number, seed)
            yield recording.clipped

    if image_format == "tvips":
        write_series(
            folder / names.series,
            each(),
            pixel_size_nm=round(panel.get_pixel_size()[0] * 1e6),
            high_tension_kv=round(high_tension_kv),
            binning=(camera.binning, camera.binning),
            camera_length_mm=panel.get_distance(),
            alpha_deg=angles,
            exposure_s=exposure,
            start_time=START_TIME,
            frames_per_part=frames_per_part,
        )
        return
    for number, pixels in enumerate(each(), 1):
        header = _smv_header(experiment, camera, number)
        smv.write(folder / names.smv(number), pixels, header)


def write_unclipped(
    path: Path,
    recording: Recording,
    experiment: Experiment,
    camera: Camera,
    number: int,
    seed: int,
) -> None:
    """Write an image before truncation as CBF, with gain and pedestal of its camera."""
    gain = camera.variance_slope
    models = compat.models_to_dict(
        experiment.detector,
        experiment.beam,
        experiment.goniometer,
        experiment.scan,
        None if experiment.scan is None else number,
    )
    # one lower limit for the sweep: far below anything that read noise reaches
    lowest = camera.pedestal - math.ceil(12 * camera.read_noise + 100)
    header = make_header(
        models,
        gain=gain,
        # so that variance = gain × (pixel - pedestal)
        pedestal=camera.pedestal - camera.read_noise**2 / gain,
        trusted_range=compat.safe_trusted_range(lowest, camera.saturation - 1),
        offset=0,
        seed=seed,
        version=__version__,
    )
    assert recording.unclipped is not None, "the recording was not asked for"
    cbf.write(path, recording.unclipped, format_cbf_lines(header))


def _smv_header(
    experiment: Experiment, camera: F416 | CCD, number: int
) -> dict[str, str | int | float]:
    panel, scan = experiment.detector[0], experiment.scan
    fast, slow = panel.get_beam_centre(experiment.beam.get_s0())
    angle, width, exposure = 0.0, 0.0, 0.0
    if scan is not None:
        start, width = scan.get_oscillation()
        angle = start + (number - 1) * width
        exposure = scan.get_exposure_times()[number - 1]
    return {
        # by this key our format class, and no other, takes the image
        "BEAMLINE": "TVIPS_SIMULATED",
        "DETECTOR_SN": "unknown",
        "DATE": "Fri Jan 01 00:00:00 2016",
        "TIME": exposure,
        "BIN": f"{camera.binning}x{camera.binning}",
        "PIXEL_SIZE": f"{panel.get_pixel_size()[0]:.6f}",
        "DISTANCE": f"{panel.get_distance():.4f}",
        # X is the slow and Y the fast coordinate, as ADSC has it
        "BEAM_CENTER_X": f"{slow:.5f}",
        "BEAM_CENTER_Y": f"{fast:.5f}",
        "WAVELENGTH": f"{experiment.beam.get_wavelength():.7f}",
        "OSC_START": f"{angle:.5f}",
        "OSC_RANGE": f"{width:.5f}",
        "PHI": f"{angle:.5f}",
        "TWOTHETA": 0.0,
        "IMAGE_PEDESTAL": camera.pedestal,
    }


def write_mask(path: Path, valid: npt.NDArray[np.bool_]) -> None:
    """Write a mask as ``lookup.mask`` of dials.import reads it.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    valid : ndarray, shape (ny, nx), bool
        False for pixels to leave out.
    """
    mask = flex.bool(np.ascontiguousarray(valid))
    path.write_bytes(pickle.dumps((mask,), protocol=2))


def write_experiments(path: Path, experiments: ExperimentList) -> None:
    """Write an ``.expt`` file: the same work gives the same bytes."""
    path.write_text(compat.experiments_as_json(experiments))


def import_arguments(experiment: Experiment) -> list[str]:
    """Arguments of dials.import that give images the geometry of an experiment.

    Parameters
    ----------
    experiment : dxtbx.model.Experiment
        Models.

    Returns
    -------
    list of str
        Without the names of the images.
    """
    panel, beam = experiment.detector[0], experiment.beam
    arguments = [f"geometry.beam.wavelength={beam.get_wavelength():.7g}"]
    direction = beam.get_sample_to_source_direction()
    if not np.allclose(direction, (0, 0, 1)):
        arguments.append(f"geometry.beam.direction={_vector(direction)}")
    if not np.isclose(beam.get_polarization_fraction(), 0.5):
        arguments += [
            f"geometry.beam.polarization_normal="
            f"{_vector(beam.get_polarization_normal())}",
            f"geometry.beam.polarization_fraction={beam.get_polarization_fraction():g}",
        ]
    upright = np.allclose(panel.get_fast_axis(), (1, 0, 0)) and np.allclose(
        panel.get_slow_axis(), (0, -1, 0)
    )
    if upright and np.allclose(direction, (0, 0, 1)):
        centre = panel.get_beam_centre_px(beam.get_s0())
        arguments += [
            f"geometry.detector.distance={panel.get_distance():.8g}",
            f"geometry.detector.fast_slow_beam_centre={_vector(centre)}",
        ]
    else:
        # a turned camera has no beam centre that would say it all
        arguments += [
            f"geometry.detector.panel.{name}={_vector(vector)}"
            for name, vector in (
                ("fast_axis", panel.get_fast_axis()),
                ("slow_axis", panel.get_slow_axis()),
                ("origin", panel.get_origin()),
                ("pixel_size", panel.get_pixel_size()),
            )
        ]
    goniometer = experiment.goniometer
    if goniometer is None:
        return arguments
    arguments.append(
        f"geometry.goniometer.axis={_vector(goniometer.get_rotation_axis())}"
    )
    fixed = goniometer.get_fixed_rotation()
    if not np.allclose(np.reshape(fixed, (3, 3)), np.eye(3)):
        arguments.append(f"geometry.goniometer.fixed_rotation={_vector(fixed)}")
    return arguments


def _vector(values: Iterable[float]) -> str:
    return ",".join(f"{value:.9g}" for value in values)
