"""The only file that knows that DIALS and dxtbx releases differ.

Differences are found by asking for a behaviour, not for a version number.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import dxtbx.model
import dxtbx.model.beam
from dxtbx import flumpy
from dxtbx.ext import uncompress
from dxtbx.model import (
    BeamFactory,
    DetectorFactory,
    GoniometerFactory,
    Panel,
    ScanFactory,
)
from scitbx.array_family import flex

from dials_truncfix.io.reflection_file import version_in

# Electrons of more than 15 keV; X-rays this short are used by nobody.
_LONGEST_ELECTRON_WAVELENGTH = 0.1
# No pixel is as large; trusted ranges may be infinite.
_BEYOND_PIXELS = 2.0**53


def dxtbx_version() -> str:
    """Return the version that dxtbx's packaging states."""
    try:
        return importlib.metadata.version("dxtbx")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def trusted_range_is_inclusive() -> bool:
    """Whether a pixel that equals an end of the trusted range is trusted."""
    panel = Panel()
    panel.set_image_size((3, 1))
    panel.set_trusted_range((0.0, 2.0))
    values = flex.int([0, 1, 2])
    values.reshape(flex.grid(1, 3))
    return bool(panel.get_trusted_range_mask(values)[0])


def trusted_limits(panel: Any) -> tuple[int, int]:
    """Trusted range of a panel as inclusive limits of integer pixels.

    Parameters
    ----------
    panel : dxtbx.model.Panel
        Panel of a detector.

    Returns
    -------
    tuple of int
        Lowest and highest pixel value (ADU) that this dxtbx trusts.
    """
    low, high = np.clip(panel.get_trusted_range(), -_BEYOND_PIXELS, _BEYOND_PIXELS)
    if trusted_range_is_inclusive():
        return math.ceil(low), math.floor(high)
    return math.floor(low) + 1, math.ceil(high) - 1


def safe_trusted_range(lowest: int, highest: int) -> tuple[float, float]:
    """Trusted range that every dxtbx understands alike.

    Parameters
    ----------
    lowest, highest : int
        Lowest and highest pixel value to trust (ADU).

    Returns
    -------
    tuple of float
        Half integers, which no pixel can equal (ADU).
    """
    return lowest - 0.5, highest + 0.5


def electron_probe() -> Any | None:
    """Return dxtbx's name for an electron beam, None where it has none."""
    probe = getattr(dxtbx.model.beam, "Probe", None)
    return getattr(probe, "electron", None)


def make_electron_beam(wavelength: float) -> Any:
    """Make an unpolarised electron beam along the usual direction.

    Parameters
    ----------
    wavelength : float
        Wavelength (Å).

    Returns
    -------
    dxtbx.model.Beam
    """
    probe = electron_probe()
    return BeamFactory.make_polarized_beam(
        sample_to_source=(0.0, 0.0, 1.0),
        wavelength=wavelength,
        polarization=(0, 1, 0),
        polarization_fraction=0.5,
        **({} if probe is None else {"probe": probe}),
    )


def make_scan(
    image_range: tuple[int, int],
    oscillation: tuple[float, float],
    exposure_times: Sequence[float],
    epochs: Sequence[float],
    batch_offset: int = 0,
) -> Any:
    """Make a rotation scan.

    Parameters
    ----------
    image_range : tuple of int
        First and last image number.
    oscillation : tuple of float
        Start and width of the first image (degrees); width 0 for stills.
    exposure_times, epochs : sequence of float
        One value per image (s).
    batch_offset : int
        Offset of batch numbers.

    Returns
    -------
    dxtbx.model.Scan
    """
    first, last = image_range
    return ScanFactory.make_scan(
        image_range,
        [float(value) for value in exposure_times],
        oscillation,
        dict(zip(range(first, last + 1), (float(value) for value in epochs))),
        batch_offset=batch_offset,
        deg=True,
    )


def to_flex(pixels: np.ndarray) -> Any:
    """Hand an image to dxtbx in a type that every release accepts.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        Any real type.

    Returns
    -------
    flex.int or flex.double
        flex.int where no value can be lost, else flex.double.
    """
    if np.can_cast(pixels.dtype, np.int32, casting="safe"):
        return flumpy.from_numpy(np.ascontiguousarray(pixels, dtype=np.int32))
    return flumpy.from_numpy(np.ascontiguousarray(pixels, dtype=np.float64))


def uncompress_byte_offset(packed: bytes, shape: tuple[int, int]) -> Any:
    """Uncompress pixels of a CBF file.

    Parameters
    ----------
    packed : bytes
        Byte-offset compressed pixels.
    shape : tuple of int
        (slow, fast) size in pixels.

    Returns
    -------
    flex.int
    """
    return uncompress(packed=packed, slow=shape[0], fast=shape[1])


def models_to_dict(
    detector: Any, beam: Any, goniometer: Any, scan: Any, image_number: int | None
) -> dict[str, Any]:
    """Describe the models of one image by plain values.

    Scans are described in words of our own, as their dictionaries changed
    between releases. Models that vary along a scan are reduced to their
    static part.

    Parameters
    ----------
    detector, beam : dxtbx.model.Detector, dxtbx.model.Beam
        Models of the sequence.
    goniometer, scan : dxtbx.model.Goniometer, dxtbx.model.Scan or None
        Models of the sequence.
    image_number : int or None
        Number of the image in the scan; None for stills.

    Returns
    -------
    dict
        Keys detector, beam, goniometer, scan; see `models_from_dict`.

    Raises
    ------
    ValueError
        If the scan does not hold the image.
    """

    def static_part(model: Any) -> dict[str, Any] | None:
        if model is None:
            return None
        return {
            key: value
            for key, value in model.to_dict().items()
            if not key.endswith("_at_scan_points")
        }

    models: dict[str, Any] = {
        "detector": detector.to_dict(),
        "beam": static_part(beam),
        "goniometer": static_part(goniometer),
        "scan": None,
    }
    if scan is not None and image_number is not None:
        first, last = scan.get_image_range()
        if not first <= image_number <= last:
            raise ValueError(f"image {image_number} is not in the scan {first}..{last}")
        index = image_number - first
        start, width = scan.get_oscillation(deg=True)
        models["scan"] = {
            "image_number": image_number,
            "oscillation": [start + index * width, width],
            "exposure_time": scan.get_exposure_times()[index],
            "epoch": scan.get_epochs()[index],
            "batch_offset": scan.get_batch_offset(),
        }
    return models


def models_from_dict(
    models: dict[str, Any], image_number: int | None = None
) -> tuple[Any, Any, Any, Any]:
    """Inverse of `models_to_dict`.

    Parameters
    ----------
    models : dict
        Plain values.
    image_number : int, optional
        Number to give to the image instead of the one it had.

    Returns
    -------
    detector, beam, goniometer, scan
        dxtbx models; goniometer and scan may be None.
    """
    beam = BeamFactory.from_dict(models["beam"])
    probe = electron_probe()
    if (
        probe is not None
        and "probe" not in models["beam"]
        and models["beam"].get("wavelength", 1.0) < _LONGEST_ELECTRON_WAVELENGTH
    ):
        # Written by a release that did not tell electrons from X-rays.
        beam.set_probe(probe)
    plain = models["scan"]
    scan = None
    if plain is not None:
        number = plain["image_number"] if image_number is None else image_number
        scan = make_scan(
            (number, number),
            tuple(plain["oscillation"]),
            [plain["exposure_time"]],
            [plain["epoch"]],
            plain.get("batch_offset", 0),
        )
    return (
        DetectorFactory.from_dict(models["detector"]),
        beam,
        GoniometerFactory.from_dict(models["goniometer"]),
        scan,
    )


def is_electron_beam(beam: Any) -> bool:
    """Whether a beam is one of electrons, by its probe or, without one, its wavelength.

    Parameters
    ----------
    beam : dxtbx.model.Beam
        With one wavelength.
    """
    probe = electron_probe()
    if probe is not None and beam.get_probe() == probe:
        return True
    return bool(beam.get_wavelength() < _LONGEST_ELECTRON_WAVELENGTH)


def scan_to_dict(scan: Any) -> dict[str, Any]:
    """Describe a whole scan in words that do not change between releases.

    Parameters
    ----------
    scan : dxtbx.model.Scan
        Scan of a sweep.

    Returns
    -------
    dict
        For `scan_from_dict`; angles in degrees, times in s.
    """
    return {
        "image_range": list(scan.get_image_range()),
        "oscillation": list(scan.get_oscillation(deg=True)),
        "exposure_times": list(scan.get_exposure_times()),
        "epochs": list(scan.get_epochs()),
    }


def scan_from_dict(plain: dict[str, Any]) -> Any:
    """Inverse of `scan_to_dict`.

    Parameters
    ----------
    plain : dict
        From `scan_to_dict`.

    Returns
    -------
    dxtbx.model.Scan
        Its batches are numbered as slices of sequences need them.
    """
    first, last = plain["image_range"]
    return make_scan(
        (int(first), int(last)),
        tuple(plain["oscillation"]),
        plain["exposure_times"],
        plain["epochs"],
        int(first) - 1,
    )


@functools.cache
def reflection_layout_version() -> int:
    """Version of the layout in which this DIALS writes reflections."""
    from dials.array_family import flex as dials_flex

    version = version_in(bytes(dials_flex.reflection_table().as_msgpack()))
    if version is None:
        raise RuntimeError("this DIALS writes reflections in an unknown layout")
    return version


def format_is_registered(name: str) -> bool:
    """Whether a format class of this name is installed."""
    from dxtbx.format.Registry import get_format_class_index

    return name in get_format_class_index()


@functools.cache
def ellipse_scales_are_axes() -> bool:
    """Whether dials.generate_distortion_maps takes the axes of the ellipse that is seen.

    Earlier releases take the factors that undo it, and call both l1 and l2.
    """
    from dials.command_line.generate_distortion_maps import make_dx_dy_ellipse

    detector = DetectorFactory.simple(
        "CCD", 100.0, (1.0, 1.0), "+x", "-y", (1.0, 1.0), (2, 2), (0, 1)
    )

    class Images:
        @staticmethod
        def get_detector() -> Any:
            return detector

    dx, _ = make_dx_dy_ellipse(Images, phi=0.0, l1=2.0, l2=1.0, centre_xy=(0.0, 0.0))
    return bool(dx[0][0] > 0)


def experiments_as_json(experiments: Any) -> str:
    """Describe experiments as `ExperimentList.as_json` does, but not the time of it.

    Newer releases of dxtbx keep a history, to which they add the program and the time
    whenever experiments are written: the same work would not give the same file again.
    The lines that are there already stay.
    """
    if not hasattr(experiments, "consolidate_histories"):
        return str(experiments.as_json())
    lines = experiments.consolidate_histories().get_history()
    history = list(dict.fromkeys(lines))
    plain = json.loads(experiments.as_json())
    plain["history"] = history
    for experiment in experiments:
        experiment.history = type(experiment.history)(history)
    return json.dumps(plain, indent=2)


def hand_on_history(given: Any, changed: Any) -> None:
    """Give an experiment the history of the one from which it was made, if it has one."""
    if getattr(given, "history", None) is not None:
        changed.history = given.history
