"""What a series of shifted images tells, in tables, sentences and plain values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix import __version__
from dials_truncfix.calibrate.pairs.shift_series import ShiftCalibration
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.shift_matrix/1"
_NAMES = {"image_shift": "image shift", "stage": "stage"}
_WEAK = 0.5
_LARGE_RESIDUAL = 0.02
_NM_PER_UM = 1000.0


def specimen_lengths(result: ShiftCalibration) -> npt.NDArray[np.float64] | None:
    """Micrometres on the specimen by 1 µm of x and y; None without a pixel size."""
    if result.recorded.pixel_size is None:
        return None
    return np.asarray(result.matrix.lengths * result.recorded.pixel_size / _NM_PER_UM)


def shift_tables(result: ShiftCalibration) -> list[Table]:
    """List the matrix as vectors, and what each pair of images said."""
    fit = result.matrix
    on_specimen = specimen_lengths(result)
    rows = [
        [
            f"1 µm of {name}",
            f"{fit.matrix[0, k]:.4f}",
            f"{fit.matrix[1, k]:.4f}",
            f"{fit.lengths[k]:.4f} ± {fit.length_errors[k]:.4f}",
            f"{math.degrees(fit.directions[k]):.3f} ± "
            f"{math.degrees(fit.direction_errors[k]):.3f}",
            "–" if on_specimen is None else f"{on_specimen[k]:.4f}",
        ]
        for k, name in enumerate("xy")
    ]
    header = [
        "",
        "fast (px)",
        "slow (px)",
        "length (px)",
        "direction, fast\ntowards slow (°)",
        "on the\nspecimen (µm)",
    ]
    name = _NAMES[result.what]
    vectors = Table(f"Displacement of the image by the {name}", header, rows)
    rows = [
        [
            f"{result.names[j]} - {result.names[i]}",
            f"{shift[0]:.4f}, {shift[1]:.4f}",
            f"{found[0]:.2f}, {found[1]:.2f}",
            f"{error.max():.3f}",
            f"{residual[0]:+.3f}, {residual[1]:+.3f}",
            f"{coefficient:.3f}",
            f"{overlap:.2f}",
        ]
        for (i, j), shift, found, error, residual, coefficient, overlap in zip(
            result.pairs,
            result.shifts,
            result.displacements,
            result.errors,
            fit.residuals,
            result.coefficients,
            result.overlaps,
        )
    ]
    if result.shape is None:
        rows = [[*row[:3], row[4]] for row in rows]
        header = ["images", "shift (µm)", "displacement (px)", "residual (px)"]
    else:
        header = [
            "images",
            "shift (µm)",
            "displacement (px)",
            "± (px)",
            "residual (px)",
            "correlation",
            "overlap",
        ]
    return [vectors, Table("Pairs of images", header, rows)]


def findings(result: ShiftCalibration) -> list[str]:
    """Say what was measured, in sentences."""
    fit = result.matrix
    (a, b), (c, d) = fit.matrix
    sentences = [
        f"1 µm of {_NAMES[result.what]} moves the image by {fit.size:.3f} ± "
        f"{fit.size_error:.3f} pixels; the matrix from (x, y) to (fast, slow) is "
        f"[{a:.4f} {b:.4f}; {c:.4f} {d:.4f}] px/µm, by {len(result.pairs)} pairs of "
        "images."
    ]
    known = result.recorded.pixel_size
    if known is not None:
        sentences.append(
            f"With the recorded pixel size of {known:.4g} nm, 1 µm as stated is "
            f"{fit.size * known / _NM_PER_UM:.4f} µm on the specimen. If the shift is right "
            f"instead, a pixel is {_NM_PER_UM / fit.size:.4g} nm wide."
        )
    if fit.drift is not None:
        size = float(np.hypot(*fit.drift))
        error = math.sqrt(float(np.trace(fit.covariance[4:, 4:])) / 2)
        sentences.append(
            f"Meanwhile the image drifted by {size:.3f} ± {error:.3f} pixels per minute, "
            "which was taken off."
        )
    elif result.recorded.minutes is None:
        sentences.append("No times were given: drift is not taken off.")
    reach = np.abs(result.shifts).max(axis=0)
    sentences.append(
        f"Valid for this magnification and defocus, and up to the shifts made here, "
        f"{reach[0]:.3g} µm in x and {reach[1]:.3g} µm in y. The uncertainties hold what "
        "displacements scatter by, and not a wrong scale of the shifts as recorded."
    )
    return sentences


def warnings(result: ShiftCalibration) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    fit = result.matrix
    sentences = []
    spare = 2 * len(result.pairs) - len(fit.covariance)
    if spare <= 0:
        sentences.append(
            "As many displacements as unknowns: nothing tells whether the shifts are "
            "proportional; record more images."
        )
    moved = np.linalg.norm(result.displacements, axis=1)
    if fit.rmsd > _LARGE_RESIDUAL * np.median(moved):
        sentences.append(
            f"Displacements scatter by {fit.rmsd:.2f} pixels about the matrix, "
            f"{100 * fit.rmsd / np.median(moved):.1f} % of their median: shifts that did not "
            "settle, play of the stage, or distortion."
        )
    if result.shape is not None and (low := result.coefficients.min()) < _WEAK:
        sentences.append(
            f"The weakest pair correlates by {low:.2f}; SerialEM's manual advises 0.5 or "
            "more."
        )
    return sentences


def shift_record(result: ShiftCalibration) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None."""
    fit = result.matrix
    on_specimen = specimen_lengths(result)
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "what": result.what,
        "images": list(result.names),
        "source_of_shifts": result.recorded.source,
        "matrix_px_per_um": fit.matrix.tolist(),
        "covariance_of_matrix_then_drift": fit.covariance.tolist(),
        "size_px_per_um": fit.size,
        "size_error_px_per_um": fit.size_error,
        "lengths_px_per_um": fit.lengths.tolist(),
        "length_errors_px_per_um": fit.length_errors.tolist(),
        "directions_deg": np.degrees(fit.directions).tolist(),
        "direction_errors_deg": np.degrees(fit.direction_errors).tolist(),
        "lengths_on_specimen_um_per_um": (
            None if on_specimen is None else on_specimen.tolist()
        ),
        "mirrored": fit.is_mirrored,
        "drift_px_per_minute": None if fit.drift is None else fit.drift.tolist(),
        "rmsd_px": fit.rmsd,
        "scatter_beyond_noise_px": fit.scatter,
        "recorded_pixel_size_nm": result.recorded.pixel_size,
        "recorded_rotation_deg": result.recorded.rotation,
        "pairs": [
            {
                "images": [result.names[i], result.names[j]],
                "shift_um": shift.tolist(),
                "displacement_px": found.tolist(),
                "error_px": error.tolist(),
                "residual_px": residual.tolist(),
                "coefficient": float(coefficient),
                "overlap": float(overlap),
            }
            for (i, j), shift, found, error, residual, coefficient, overlap in zip(
                result.pairs,
                result.shifts,
                result.displacements,
                result.errors,
                fit.residuals,
                result.coefficients,
                result.overlaps,
            )
        ],
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))
