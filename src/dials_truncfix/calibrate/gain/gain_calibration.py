"""Gain, pedestal, read noise and electrons per ADU, by two methods side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.electron_scale import ElectronScale, electron_scale
from dials_truncfix.calibrate.gain.flat_checks import (
    ImageLevel,
    check_flat,
    check_sizes,
    image_level,
)
from dials_truncfix.calibrate.gain.known import GainOptions, Known
from dials_truncfix.calibrate.gain.photon_transfer import (
    PhotonTransfer,
    TransferPoints,
    fit_photon_transfer,
    join_points,
)
from dials_truncfix.calibrate.gain.series_points import measured_image, series_points
from dials_truncfix.calibrate.gain.truncated_levels import (
    FEW_ZEROS,
    Level,
    camera_of_levels,
    is_truncated,
    true_mean,
)
from dials_truncfix.calibrate.recorded_images import RecordedImage
from dials_truncfix.correction.joint_camera.camera_fit import LARGEST_MISFIT, CameraFit

Array = npt.NDArray[np.float64]

# Of a sweep, or of very many flat images: positions that are measured.
_MOST_POSITIONS = 30
_MOST_CAMERA_IMAGES = 10
# Weak spots make neighbours of sharp cameras vary together by up to a third.
_SPREAD_OF_SWEEPS = 0.5


@dataclass(frozen=True)
class GainCalibration:
    """What was found.

    Attributes
    ----------
    images, dark : tuple of ImageLevel
        The images that were measured, and those without light.
    flat : bool
        Whether the images are evenly lit, and not diffraction patterns.
    truncated : bool
        Whether zeros stand for values that were cut off.
    dark_level, dark_level_sd : float
        Mean without electrons, ADU; NaN where nobody knows.
    n_pairs : int
        Pairs of images whose difference was taken.
    transfer : PhotonTransfer or None
        By variances and means.
    transfer_problem : str
        Why not.
    camera : CameraFit or None
        By the law of the counts near zero; its dark level counts from `shift`.
    camera_problem : str
        Why not, or why it is not to be used.
    shift : int
        What was subtracted before values below zero were cut off for `camera`, ADU.
    correlation : ndarray or None
        Correlation of pixels with those around them, in the brightest pair.
    scale : ElectronScale or None
        From known electrons.
    levels : tuple of Level
        Histograms that the camera was fitted to, without the regions.
    """

    images: tuple[ImageLevel, ...]
    dark: tuple[ImageLevel, ...]
    flat: bool
    truncated: bool
    dark_level: float
    dark_level_sd: float
    n_pairs: int
    transfer: PhotonTransfer | None
    transfer_problem: str
    camera: CameraFit | None
    camera_problem: str
    shift: int
    correlation: Array | None
    scale: ElectronScale | None
    levels: tuple[Level, ...]

    @property
    def camera_holds(self) -> bool:
        """Whether the camera model can be used."""
        return self.camera is not None and not self.camera_problem


def calibrate_gain(
    images: Sequence[RecordedImage],
    dark: Sequence[RecordedImage] = (),
    options: GainOptions | None = None,
) -> GainCalibration:
    """Measure the noise of a camera.

    Parameters
    ----------
    images : sequence of RecordedImage
        Evenly lit, or of a sweep, in the order of recording.
    dark : sequence of RecordedImage
        Without light.
    options : GainOptions, optional
        What is known of them.

    Returns
    -------
    GainCalibration

    Raises
    ------
    ValueError
        When neither method gives a result, with the reason.
    OSError
        When an image cannot be read.
    """
    options = options or GainOptions()
    positions = _positions(len(images))
    chosen = [images[i] for i in positions]
    lit = [_level(image) for image in chosen]
    unlit = [_level(image) for image in dark]
    check_sizes([*lit, *unlit])
    truncated = _truncated(chosen, lit, options)
    dark_level, dark_sd = _dark_level(dark, unlit, options, truncated)
    zero = 0.0 if math.isnan(dark_level) else dark_level
    if options.flat:
        for level in lit:
            check_flat(level, min(zero, level.mean))
    shift = 0 if truncated else round(zero)
    known = Known(options, truncated, shift, zero)
    every = [*dark, *chosen], [*unlit, *lit]
    points, n_pairs, correlation = series_points(*every, known)
    transfer, transfer_problem = _transfer(points, n_pairs, every[1], known)
    levels = _camera_levels(*every, known)
    camera, camera_problem = _camera(levels, known)
    if transfer is None and (camera is None or camera_problem):
        words = transfer_problem
        if truncated and camera_problem:
            words += f"; nor is there a model of the camera: {camera_problem}"
        raise ValueError(f"{chosen[0].name}: {words}")
    return GainCalibration(
        images=tuple(lit),
        dark=tuple(unlit),
        flat=options.flat,
        truncated=truncated,
        dark_level=dark_level,
        dark_level_sd=dark_sd,
        n_pairs=n_pairs,
        transfer=transfer,
        transfer_problem=transfer_problem,
        camera=camera,
        camera_problem=camera_problem,
        shift=shift,
        correlation=correlation,
        scale=_scale(images, positions, lit, known),
        levels=tuple(levels),
    )


def _positions(n_images: int) -> list[int]:
    """Take all images, or neighbours at some places of a long series."""
    if n_images == 0:
        raise ValueError("no images were given")
    if n_images <= 2 * _MOST_POSITIONS:
        return list(range(n_images))
    starts = np.linspace(0, n_images - 2, _MOST_POSITIONS).round().astype(int)
    return sorted({*starts.tolist(), *(starts + 1).tolist()})


def _level(image: RecordedImage) -> ImageLevel:
    return image_level(image.name, *image.read())


def _truncated(
    images: Sequence[RecordedImage], levels: Sequence[ImageLevel], options: GainOptions
) -> bool:
    if options.truncated is not None:
        return options.truncated
    if any(not level.whole or level.lowest < 0 for level in levels):
        return False
    zeros = [i for i, level in enumerate(levels) if level.zeros >= FEW_ZEROS]
    if not zeros:
        return False
    some = zeros[:: -(-len(zeros) // 4)]
    return is_truncated(
        [measured_image(images[i], 0, i, options.flat)[1] for i in some]
    )


def _dark_level(
    dark: Sequence[RecordedImage],
    levels: Sequence[ImageLevel],
    options: GainOptions,
    truncated: bool,
) -> tuple[float, float]:
    if options.dark_level is not None:
        return options.dark_level, 0.0
    if not dark:
        return math.nan, math.nan
    means = [level.mean for level in levels]
    if truncated:
        means = [true_mean(measured_image(image, 0, 0, True)[1])[0] for image in dark]
        means = [m for m in means if math.isfinite(m)]
        if not means:
            raise ValueError(
                f"{dark[0].name}: too many pixels are zero to tell the dark level: leave "
                "gain.dark out"
            )
    chance = math.sqrt(sum(v.sd**2 / v.n_pixels for v in levels)) / len(levels)
    scatter = (
        float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else 0
    )
    return float(np.mean(means)), max(chance, scatter)


def _transfer(
    parts: Sequence[TransferPoints],
    n_pairs: int,
    levels: Sequence[ImageLevel],
    known: Known,
) -> tuple[PhotonTransfer | None, str]:
    if not parts:
        if len(levels) == 1:
            return None, (
                "one image does not tell the noise of pixels from their fixed pattern: "
                "give two or more images of the same dose"
            )
        return None, (
            f"no two images have the same dose (means of "
            f"{', '.join(f'{level.mean:.4g}' for level in levels[:4])} … ADU): give two "
            "or more images of each dose"
        )
    try:
        points = join_points(parts)
        smallest = 0.0 if known.options.flat else _SPREAD_OF_SWEEPS
        return fit_photon_transfer(points, known.zero, smallest), ""
    except ValueError as error:
        return None, str(error)


def _camera_levels(
    images: Sequence[RecordedImage], levels: Sequence[ImageLevel], known: Known
) -> list[Level]:
    """Histograms of images near zero; those of signed images as if they were cut off."""
    near = []
    for i, level in enumerate(levels):
        reaches = level.lowest - known.shift <= 0 and level.whole
        if reaches and level.mean - known.shift < 3.0 * level.sd:
            near.append(i)
    some = near[:: -(-len(near) // _MOST_CAMERA_IMAGES)] if near else []
    nothing = np.zeros((0, 0), dtype=np.int16)
    return [
        Level(
            i,
            nothing,
            measured_image(images[i], known.shift, i, known.options.flat)[1].histograms,
        )
        for i in some
    ]


def _camera(levels: Sequence[Level], known: Known) -> tuple[CameraFit | None, str]:
    if not levels:
        return None, "no image is so dark that its noise reaches below zero"
    if not known.truncated and not _looks_cut_off(levels):
        return None, "zeros are those of a camera that counts, and has no read noise"
    try:
        fit = camera_of_levels(levels, not known.options.flat, known.options.rounding)
    except ValueError as error:
        return None, str(error)
    if fit.reason:
        return fit, fit.reason
    if fit.misfit > LARGEST_MISFIT:
        return fit, (
            f"the model misses {fit.misfit:.1e} nat per pixel, where chance explains less "
            f"than {LARGEST_MISFIT:.0e}"
        )
    return fit, ""


def _looks_cut_off(levels: Sequence[Level]) -> bool:
    """Whether there is read noise: signed images cut off look truncated."""
    return is_truncated(levels)


def _scale(
    images: Sequence[RecordedImage],
    positions: Sequence[int],
    levels: Sequence[ImageLevel],
    known: Known,
) -> ElectronScale | None:
    electrons = known.options.electrons
    if not electrons:
        return None
    if len(electrons) == 1:
        electrons = electrons * len(images)
    if len(electrons) != len(images):
        raise ValueError(
            f"{len(electrons)} numbers of electrons were given for {len(images)} images: "
            "give one for each, or one for all"
        )
    means = []
    for i, level in zip(positions, levels):
        if known.truncated and level.zeros >= FEW_ZEROS:
            measured = measured_image(images[i], 0, i, known.options.flat)[1]
            means.append(true_mean(measured)[0] - known.zero)
        else:
            means.append(level.mean - known.zero)
    given = [electrons[i] for i in positions]
    return electron_scale(means, given, known.options.electrons_error)
