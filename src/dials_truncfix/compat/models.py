"""Models of beams, scans and detectors, and plain values for them, in every dxtbx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dxtbx.model.beam
from dxtbx.model import (
    BeamFactory,
    DetectorFactory,
    GoniometerFactory,
    ScanFactory,
)

# Electrons of more than 15 keV; X-rays this short are used by nobody.
_LONGEST_ELECTRON_WAVELENGTH = 0.1


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
