"""What a grating says of the pixel size, in tables, sentences and plain values."""

from __future__ import annotations

import math
from typing import Any

from dials_truncfix import __version__
from dials_truncfix.calibrate.pixel_size.pixel_size import PixelSize
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.pixel_size/1"
#: Axes that differ by more standard uncertainties are worth a sentence.
_DIFFERENT = 5.0
#: Fewer repeats along an axis leave the uncertainty uncertain.
_FEW_REPEATS = 5

VALIDITY = (
    "Valid for pitches of 10 pixels and more, with at least two repeats along each axis. "
    "The uncertainty is that of the fit; the pixel size is as right as the repeat of the "
    "specimen."
)


def pixel_size_table(result: PixelSize) -> Table:
    """Pixel size along both axes."""
    lattice = result.lattice
    rows = [
        [
            name,
            f"{repeat:.3f}",
            f"{length:.4f} ± {length_error:.4f}",
            f"{math.degrees(direction):.3f} ± {math.degrees(direction_error):.3f}",
            f"{size:.6g} ± {error:.2g}",
        ]
        for name, repeat, length, length_error, direction, direction_error, size, error in zip(
            ("first axis", "second axis"),
            result.specimen.repeats,
            lattice.lengths,
            lattice.length_errors,
            lattice.directions,
            lattice.direction_errors,
            result.along,
            result.along_errors,
        )
    ]
    header = [
        "",
        "repeat (nm)",
        "repeat (px)",
        "direction, fast\ntowards slow (°)",
        "pixel size (nm)",
    ]
    return Table(f"Pixel size by a {result.specimen.name}", header, rows)


def findings(result: PixelSize) -> list[str]:
    """Say what was measured, in sentences."""
    along, across = result.lattice.n_repeats
    return [
        f"A pixel is {result.mean:.5g} ± {result.mean_error:.2g} nm wide on the specimen, "
        f"by {along} × {across} repeats.",
        f"The axes make an angle of {math.degrees(result.angle):.2f} ± "
        f"{math.degrees(result.angle_error):.2f}°, and the first lies at "
        f"{math.degrees(result.rotation):.2f}° from fast towards slow.",
        VALIDITY,
    ]


def warnings(result: PixelSize) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    sentences = []
    first, second = result.along
    error = math.hypot(*result.along_errors)
    if abs(first - second) > _DIFFERENT * error:
        sentences.append(
            f"The pixel size differs by {100 * abs(first / second - 1):.2f} % between the "
            "axes: anisotropic magnification, or a specimen that is tilted or stretched."
        )
    if min(result.lattice.n_repeats) < _FEW_REPEATS:
        along, across = result.lattice.n_repeats
        sentences.append(
            f"Only {along} × {across} repeats are on the image: a lower magnification "
            "would tell more, and be surer of its uncertainty."
        )
    if not result.lattice.converged:
        sentences.append(
            "The axes still moved in the last cycle: the result is less sure than it says."
        )
    return sentences


def pixel_size_record(result: PixelSize, source: str) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None."""
    lattice = result.lattice
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "image": source,
        "specimen": result.specimen.name,
        "repeats_nm": list(result.specimen.repeats),
        "axes_px": lattice.axes.tolist(),
        "covariance_of_axes_px2": lattice.covariance.tolist(),
        "n_peaks": len(result.peaks.places),
        "n_repeats": list(lattice.n_repeats),
        "rmsd_px": lattice.rmsd,
        "converged": lattice.converged,
        "pixel_size_nm": result.mean,
        "pixel_size_error_nm": result.mean_error,
        "along_axes_nm": result.along.tolist(),
        "along_axes_error_nm": result.along_errors.tolist(),
        "angle_deg": math.degrees(result.angle),
        "angle_error_deg": math.degrees(result.angle_error),
        "rotation_deg": math.degrees(result.rotation),
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))
