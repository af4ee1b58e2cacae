"""The camera of a sweep: fitted to a few of its images, or given; and who uses it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.gain import GainEstimate
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_fit import (
    LARGEST_MISFIT,
    CameraFit,
    fit_camera,
)
from dials_truncfix.correction.joint_camera.camera_model import NAME as CAMERA
from dials_truncfix.correction.joint_camera.camera_model import SweepCamera
from dials_truncfix.correction.joint_camera.camera_regions import brightness_regions
from dials_truncfix.parallel import TaskMap
from dials_truncfix.sweep.measure import N_BINS
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.work import SweepWork, pack, sample, unpack

logger = logging.getLogger("dials.truncfix.camera")


@dataclass(frozen=True)
class CameraTask:
    """An image of the sample: the packed sweep, and its position."""

    sweep: bytes
    index: int


@dataclass(frozen=True)
class BrightnessHistograms:
    """Histograms of regions of one brightness each.

    Attributes
    ----------
    number : int
        Number of the image.
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value.
    """

    number: int
    histograms: npt.NDArray[np.int64]


def settle_camera(
    work: SweepWork, tasks: TaskMap
) -> tuple[CorrectionOptions, CameraFit | None]:
    """Decide whether the sweep is corrected by a camera, and by which.

    With ``fit.model=auto`` each image is by default fitted by itself, so that any part
    of a sweep comes out like the whole. A camera is fitted to images of the whole
    sweep; so it takes part only where images depend on others anyway, where it was
    given, or where ``assign=local`` needs it.

    Parameters
    ----------
    work : SweepWork
        The sweep.
    tasks : TaskMap
        Where the images are measured.

    Returns
    -------
    tuple of CorrectionOptions and (CameraFit or None)
        The options with family and camera settled, and the fit if there was one.

    Raises
    ------
    ValueError
        When a camera is needed and the images do not determine one.
    """
    options = work.options
    needed = options.family == CAMERA or options.assign == "local"
    competes = options.family == "auto" and options.histograms != "image"
    if options.camera is not None and (needed or options.family == "auto"):
        logger.info("Camera, as given: %s.", _words(options.camera))
        return replace(options, family=CAMERA), None
    if not (needed or competes):
        return options, None
    fit: CameraFit | None = None
    try:
        fit = _fit(work, tasks)
        problem = fit.reason
    except ValueError as error:
        problem = str(error)
    if needed and problem:
        asked = "fit.model=camera" if options.family == CAMERA else "assign=local"
        raise ValueError(
            f"{work.source.name}: the images do not determine the camera that {asked} "
            f"needs: {problem}. Give the camera (fit.camera), or leave {asked} out"
        )
    if fit is None or problem:
        logger.info("fit.model=auto does without a camera: %s.", problem)
        return options, None
    log_camera(fit)
    if competes and not needed and fit.misfit > LARGEST_MISFIT:
        logger.info(
            "fit.model=auto does without this camera, which describes the images too "
            "badly: it misses %.1e nat per pixel.",
            fit.misfit,
        )
        return options, None
    if options.family == "auto":
        logger.info(
            "fit.model=auto takes the camera: %s.",
            "assign=local needs it"
            if options.assign == "local"
            else "its one parameter an annulus describes the images, which depend on "
            "each other anyway",
        )
    return replace(options, family=CAMERA, camera=sweep_camera(fit)), fit


def camera_histograms(task: CameraTask) -> BrightnessHistograms:
    """Measure the regions of one image that a camera is fitted to."""
    work = unpack(task.sweep)
    frame = work.source.read(task.index, narrow=True)
    used = work.image_regions(frame).labels >= 0
    regions = brightness_regions(frame.pixels, used)
    n_regions = max(int(regions.max()) + 1, 1)
    return BrightnessHistograms(
        work.source.numbers[task.index],
        ring_histograms(frame.pixels, regions, n_regions, N_BINS),
    )


def sweep_camera(fit: CameraFit) -> SweepCamera:
    """Return the camera of a sweep from its fit."""
    if fit.dark_drift == 0.0:
        return SweepCamera(fit.model)
    dark = fit.model.dark - fit.dark_drift * fit.middle
    return SweepCamera(replace(fit.model, dark=float(f"{dark:.6g}")), fit.dark_drift)


def camera_gain(options: CorrectionOptions, number: float) -> GainEstimate | None:
    """Return gain and pedestal of the camera of an image, if a camera is used.

    Parameters
    ----------
    options : CorrectionOptions
        Of the sweep.
    number : float
        Number of the image.
    """
    if options.family != CAMERA or options.camera is None:
        return None
    model = options.camera.at(number)
    nan = float("nan")
    return GainEstimate(
        gain=model.effective_gain,
        pedestal=model.pedestal,
        gain_sd=nan,
        pedestal_sd=nan,
        read_noise=model.read_noise,
        mean_range=(nan, nan),
        reliable=True,
        reason="",
    )


def log_camera(fit: CameraFit) -> None:
    """Say what the camera is like, and how to give it again."""
    model = fit.model
    logger.info(
        "Camera, from %d regions of one brightness each: gain %.3g ± %.2g ADU/e⁻, pulse "
        "variance %.2g ± %.2g, read noise %.3f ± %.2g ADU, dark level %s ADU.",
        fit.n_regions,
        model.gain,
        fit.gain_sd,
        model.pulse_variance,
        fit.pulse_variance_sd,
        model.read_noise,
        fit.read_noise_sd,
        f"{model.dark:.3f} ± {fit.dark_sd:.2g}" if np.isfinite(fit.dark_sd) else "0",
    )
    if fit.dark_drift:
        logger.info(
            "Its dark level drifts by %.3g ± %.2g ADU per image.",
            fit.dark_drift,
            fit.dark_drift_sd,
        )
    logger.info(
        "Effective gain %.2f ± %.2f ADU, pedestal %.2f ± %.2f ADU.",
        fit.effective_gain,
        fit.effective_gain_sd,
        fit.pedestal,
        fit.pedestal_sd,
    )
    logger.info(
        "To correct a part of this sweep alike, give it: %s", _words(sweep_camera(fit))
    )
    if fit.misfit > LARGEST_MISFIT:
        logger.warning(
            "The camera describes the images badly: it misses %.1e nat per pixel, where "
            "chance explains less than %.0e. Compare with fit.model=auto.",
            fit.misfit,
            LARGEST_MISFIT,
        )


def _fit(work: SweepWork, tasks: TaskMap) -> CameraFit:
    sweep = pack(work.source.imageset, work.options)
    todo = [CameraTask(sweep, index) for index in sample(len(work.source))]
    measured = list(tasks(camera_histograms, todo))
    return fit_camera(
        np.concatenate([image.histograms for image in measured]),
        np.repeat(
            [image.number for image in measured],
            [len(image.histograms) for image in measured],
        ),
        work.options.rounding,
    )


def _words(camera: SweepCamera) -> str:
    """Write a camera as parameters of the command."""
    model = camera.model
    values = {
        "gain": model.gain,
        "pulse_variance": model.pulse_variance,
        "read_noise": model.read_noise,
        "dark": model.dark,
        "dark_drift": camera.dark_drift,
    }
    return " ".join(
        f"fit.camera.{name}={value:.6g}"
        for name, value in values.items()
        if value or not name.startswith("dark")
    )
