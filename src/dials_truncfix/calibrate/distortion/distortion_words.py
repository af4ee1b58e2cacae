"""What overlapping images tell of a distortion, in tables, sentences and plain values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix import __version__
from dials_truncfix.calibrate.distortion.distortion_fit import Distortion
from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.calibrate.distortion.overlaps import DistortionCalibration
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

Array = npt.NDArray[np.float64]

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.distortion/1"
_SIGNIFICANT = 3.0


def radial_and_spiral(distortion: Distortion) -> tuple[Array, Array]:
    """Share of radial and spiral distortion of third order in a field.

    Returns
    -------
    values, errors : ndarray, shape (2,)
        Radial and spiral, as parts of the distance from the middle at the corner; NaN
        where the model has no third order.
    """
    terms = distortion.terms
    if terms.model == "quadratic":
        return np.full(2, np.nan), np.full(2, np.nan)
    # the field of each parameter, projected onto both
    places = distortion.grid
    lens = Terms("lens", terms.shape).design(places).reshape(-1, 2)
    project = np.linalg.pinv(lens) @ terms.design(places).reshape(len(lens), -1)
    values = project @ distortion.parameters
    covariance = project @ distortion.covariance @ project.T
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    return values / terms.scale, errors / terms.scale


def largest(distortion: Distortion) -> tuple[float, float]:
    """Largest distortion on the image, and its standard uncertainty there, pixels."""
    size = np.linalg.norm(distortion.at(distortion.grid), axis=1)
    k = int(np.argmax(size))
    errors = distortion.errors_at(distortion.grid)[k]
    return float(size[k]), float(np.linalg.norm(errors))


def is_significant(distortion: Distortion) -> bool:
    """Whether the parameters are more than noise, by chi² per parameter."""
    inverse = np.linalg.pinv(distortion.covariance)
    p = distortion.parameters
    return bool(p @ inverse @ p > _SIGNIFICANT**2 + 2 * len(p))


def parameter_table(distortion: Distortion) -> Table:
    """List all terms."""
    errors = distortion.covariance.diagonal() ** 0.5
    rows = [
        [name, f"{value:+.3f} ± {error:.3f}"]
        for name, value, error in zip(
            distortion.terms.names, distortion.parameters, errors
        )
    ]
    return Table(
        "Terms; x and y from the middle, in halves of the diagonal",
        ["", "pixels"],
        rows,
    )


def pair_table(result: DistortionCalibration) -> Table:
    """List all pairs with their shifts and residuals."""
    distortion = result.distortion
    rows, start = [], 0
    for pair, shift in zip(distortion.pairs, distortion.shifts):
        part = slice(start, start + len(pair.first))
        start = part.stop
        before, after = (
            np.sqrt(np.mean(np.sum(fit.residuals[part][fit.kept[part]] ** 2, axis=1)))
            for fit in (distortion.plain, distortion.fit)
        )
        i, j = pair.images
        rows.append(
            [
                f"{result.names[i]}, {result.names[j]}",
                f"{shift[0]:.2f}, {shift[1]:.2f}",
                f"{len(pair.first)}",
                f"{before:.3f}",
                f"{after:.3f}",
            ]
        )
    header = ["images", "shift (px)", "tiles", "RMSD by shift\nalone (px)",
              "with the\ndistortion (px)"]  # fmt: skip
    return Table("Pairs of images", header, rows)


def findings(result: DistortionCalibration) -> list[str]:
    """Say what was measured, in sentences."""
    distortion = result.distortion
    size, error = largest(distortion)
    values, errors = radial_and_spiral(distortion)
    sentences = [
        f"Places on the image are off by up to {size:.2f} ± {error:.2f} pixels, by "
        f"{distortion.fit.kept.sum()} tiles of {len(distortion.pairs)} pairs of images. The "
        f"field takes their RMSD from {distortion.rmsd(distortion.plain):.3f} to "
        f"{distortion.rmsd(distortion.fit):.3f} pixels."
    ]
    if np.isfinite(values).all():
        sentences.append(
            f"At the corners the radial part of third order is {100 * values[0]:+.3f} ± "
            f"{100 * errors[0]:.3f} % of the distance from the middle, the spiral part "
            f"{np.degrees(values[1]):+.4f} ± {np.degrees(errors[1]):.4f}°."
        )
    sentences += [
        "What shifted images cannot tell is zero here: a constant offset, and all that is "
        "linear, which is magnification, rotation, ellipse and shear at the middle of the "
        "image. Measure those by mode=pixel_size, rings or spots.",
        "Valid for this magnification, focus and camera, without rotation or change of "
        "magnification between the images. In diffraction mode the lenses are set otherwise: "
        "only what the camera itself distorts is the same there.",
    ]
    return sentences


def warnings(result: DistortionCalibration) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    sentences = []
    if not is_significant(result.distortion):
        sentences.append(
            "The distortion is no larger than its uncertainty: no maps are written."
        )
    if result.left_out:
        sentences.append(
            f"{len(result.left_out)} pairs were left out, such as: {result.left_out[0]}."
        )
    return sentences


def distortion_record(result: DistortionCalibration) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None."""
    distortion = result.distortion
    size, error = largest(distortion)
    values, errors = radial_and_spiral(distortion)
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "images": list(result.names),
        "shape": list(distortion.terms.shape),
        "model": distortion.terms.model,
        "centre_px": distortion.terms.centre.tolist(),
        "scale_px": distortion.terms.scale,
        "terms": distortion.terms.names,
        "parameters_px": distortion.parameters.tolist(),
        "covariance_px2": distortion.covariance.tolist(),
        "largest_px": size,
        "largest_error_px": error,
        "radial_and_spiral_at_corner": values.tolist(),
        "radial_and_spiral_errors": errors.tolist(),
        "rmsd_without_px": distortion.rmsd(distortion.plain),
        "rmsd_px": distortion.rmsd(distortion.fit),
        "n_tiles": len(distortion.fit.kept),
        "n_tiles_kept": int(distortion.fit.kept.sum()),
        "pairs": [list(pair.images) for pair in distortion.pairs],
        "shifts_px": distortion.shifts.tolist(),
        "left_out": list(result.left_out),
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))
