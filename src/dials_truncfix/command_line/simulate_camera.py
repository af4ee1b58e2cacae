"""From the parameters of dials.truncfix_simulate to the camera and its files."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Union

import libtbx.phil

from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.coincidence import GaussianLoss, loss_curve
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.direct_linear import READ_OUT_NOISE, DirectLinear
from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.gatan_modes import LINEAR, ReadMode, read_mode
from dials_truncfix.io.frame_orientation import swaps_sides
from dials_truncfix.simulate.frame_output import FrameStorage

AnyCamera = Union[F416, CCD, CountingCamera, DirectLinear]

_GATAN = {"k2": "K2", "k3": "K3"}
#: Parameters that only some cameras have.
_ONLY = {
    "binning": ("f416", "ccd"),
    "pulse_variance": ("f416", "ccd", "linear"),
    "read_noise": ("f416", "ccd", "linear"),
    "dark_images": ("f416", "ccd", "linear"),
    "dark_drift": ("f416", "ccd", "linear"),
    "pedestal": ("f416", "ccd", "linear"),
    "unsigned": ("linear",),
    "frames_per_image": ("linear", "counting"),
    "rotation_flip": ("linear", "counting"),
    "turned": ("linear", "counting"),
    "normalized": ("counting",),
    "floating": ("counting",),
    "coincidence": ("counting",),
    "conversion": ("counting",),
    "bad_pixels": ("counting",),
    "bad_columns": ("counting",),
    "ports": ("ccd",),
    "beam_while_clearing": ("ccd",),
}
_CALLED = {
    "f416": "an F416",
    "ccd": "a CCD",
    "linear": "linear mode",
    "counting": "a camera that counts",
}


def is_gatan(params: Any) -> bool:
    """Whether the camera is a K2 or K3."""
    return params.camera.model in _GATAN


def _kind(params: Any) -> str:
    if not is_gatan(params):
        return str(params.camera.model)
    return "linear" if params.camera.mode == LINEAR else "counting"


def _given(scope: Any, **names: str) -> dict[str, Any]:
    """Pick the parameters that were given, under their names in the camera."""
    values = {field: getattr(scope, name) for field, name in names.items()}
    return {k: v for k, v in values.items() if v is not libtbx.Auto}


def refuse_what_it_has_not(params: Any, defaults: Any) -> None:
    """Raise a ValueError about a parameter that this camera does not have.

    Parameters
    ----------
    params, defaults : libtbx.phil.scope_extract
        As given, and as they are if nothing is.
    """
    kind = _kind(params)
    for name, kinds in _ONLY.items():
        value, default = getattr(params.camera, name), getattr(defaults.camera, name)
        if kind not in kinds and value != default:
            raise ValueError(f"camera.{name} is not a parameter of {_CALLED[kind]}")
    if not is_gatan(params) and params.camera.mode != defaults.camera.mode:
        raise ValueError(f"camera.mode is not a parameter of {_CALLED[kind]}")
    if not is_gatan(params) and image_format(params) not in ("tvips", "smv"):
        raise ValueError(
            f"output.format={image_format(params)} is for frames of a K2 or K3"
        )
    if is_gatan(params) and image_format(params) not in ("mrc", "tiff"):
        raise ValueError(
            f"frames of a {_GATAN[params.camera.model]} are written as mrc or tiff, not "
            f"{image_format(params)}"
        )


def image_format(params: Any) -> str:
    """Format of the images: that asked for, or the camera's own."""
    if params.output.format != "auto":
        return str(params.output.format)
    return "mrc" if is_gatan(params) else "tvips"


def frame_time(params: Any) -> float:
    """Exposure of a frame, s."""
    return float(params.scan.exposure / params.camera.frames_per_image)


def make_camera(params: Any, still: bool = False) -> AnyCamera:
    """Translate the phil parameters of the camera.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        All parameters.
    still : bool
        Whether each image is an exposure of its own.

    Returns
    -------
    F416, CCD, CountingCamera or DirectLinear

    Raises
    ------
    ValueError
        If the camera cannot do what is asked for.
    """
    p = params.camera
    shared = _given(
        p,
        gain="gain",
        pulse_variance="pulse_variance",
        flat_sd="flat_sd",
        psf_sigma="psf_sigma",
        dark_images="dark_images",
        dark_drift="dark_drift",
        pedestal="pedestal",
    )
    if p.model == "f416":
        camera = F416(**shared, **_given(p, binning="binning"))
        if p.read_noise is libtbx.Auto:
            return camera
        return replace(camera, sensor_read_noise=p.read_noise / camera.binning)
    if p.model == "ccd":
        return CCD(
            **shared,
            **_given(p, binning="binning", read_noise="read_noise"),
            exposure=params.scan.exposure,
            ports=int(p.ports),
            beam_while_clearing=p.beam_while_clearing,
        )
    mode = read_mode(_GATAN[p.model], p.mode)
    _check_times(params, mode, still)
    if p.mode == LINEAR:
        gain = shared.setdefault("gain", float(mode.fixed_scale or DirectLinear.gain))
        shared["read_out_noise"] = (
            READ_OUT_NOISE * gain if p.read_noise is libtbx.Auto else p.read_noise
        )
        return DirectLinear(
            mode,
            frame_time(params),
            frames_per_image=p.frames_per_image,
            unsigned=p.unsigned,
            **shared,
        )
    loss = loss_curve(_GATAN[p.model], p.coincidence, params.beam.high_tension)
    if isinstance(loss, GaussianLoss):
        loss = replace(loss, conversion=p.conversion)
    return CountingCamera(
        mode,
        frame_time(params),
        loss,
        frames_per_image=p.frames_per_image,
        normalized=p.normalized,
        packed=params.output.packing != "none",
        floating=p.floating,
        psf_sigma=p.psf_sigma,
        bad_pixels=p.bad_pixels,
        bad_columns=p.bad_columns,
        **_given(p, scale="gain", gain_sd="flat_sd"),
    )


def _check_times(params: Any, mode: ReadMode, still: bool) -> None:
    exposure, n_frames = params.scan.exposure, params.camera.frames_per_image
    if still:
        mode.timing.check(exposure, n_frames if n_frames > 1 else None)
    else:
        # frames are saved from one fractionated exposure
        n_images = params.scan.n_images
        mode.timing.check(n_images * exposure, n_images * n_frames)


def frame_storage(params: Any) -> FrameStorage:
    """Translate how frames are stored."""
    packing = params.output.packing
    return FrameStorage(
        packing=None if packing == "none" else packing,
        compression=params.output.compression,
        rotation_flip=params.camera.rotation_flip,
        turned=params.camera.turned,
    )


def shown_size(params: Any, camera: AnyCamera) -> tuple[int, int]:
    """Pixels (fast, slow) of images as they are shown."""
    if params.geometry.image_size is not None:
        fast, slow = params.geometry.image_size
        return fast, slow
    slow, fast = camera.shape
    if is_gatan(params) and swaps_sides(params.camera.rotation_flip):
        return slow, fast
    return fast, slow


#: Edge of an F416, whose lengths others take in proportion to their own, mm.
_EDGE = 63.8976
#: Distance of an F416, radius of its beam stop and width of the arm, mm.
_DISTANCE, _RADIUS, _ARM_WIDTH = 2200.0, 1.4, 0.7


def lengths(params: Any, camera: AnyCamera) -> tuple[float, float, float]:
    """Tell distance, radius of the beam stop and width of its arm, mm.

    What is not given lets the camera see as far as an F416, and as much of it.
    """
    edge = min(camera.shape) * camera.pixel_size
    relative = 1.0 if math.isclose(edge, _EDGE) else edge / _EDGE
    distance, radius, arm_width = (
        relative * default if value is libtbx.Auto else float(value)
        for value, default in (
            (params.geometry.distance, _DISTANCE),
            (params.beam_stop.radius, _RADIUS),
            (params.beam_stop.arm_width, _ARM_WIDTH),
        )
    )
    return distance, radius, arm_width
