"""What a calibration by rings says, in tables, sentences and plain values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dials_truncfix import __version__
from dials_truncfix.calibrate.distortion_maps import DialsEllipse
from dials_truncfix.calibrate.rings.ring_result import RingCalibration
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.rings/1"
#: An ellipticity of fewer standard uncertainties is none.
_SIGNIFICANT = 3.0
#: A ring that deviates by more standard uncertainties is worth a sentence.
_DEVIATES = 4.0
#: Another camera length with so much of the best one's score is worth one too.
_RIVAL = 0.8
#: Part of saturated pixels that is.
_SATURATED = 0.01

VALIDITY = (
    "Valid for a camera across the beam, with the camera length and the ellipticity "
    "within the ranges searched. Uncertainties are those of the fit: the camera length "
    "is as right as the lattice constant and the wavelength, to which it is proportional."
)


def is_elliptical(result: RingCalibration) -> bool:
    """Whether the ellipticity exceeds three standard uncertainties."""
    return result.ellipse.ellipticity > _SIGNIFICANT * result.ellipse_error[0]


def result_table(result: RingCalibration) -> Table:
    """Values with standard uncertainties, beside those of the experiments."""
    ratio_error, azimuth_error = result.ellipse_error
    size = result.pixel_size
    rows = [
        [
            "camera length (mm)",
            f"{result.start.distance:.2f}",
            f"{result.distance:.3f}",
            f"{result.distance_error:.3f}",
        ],
        *(
            [
                f"beam centre, {name} (px)",
                f"{start / size:.2f}",
                f"{value:.3f}",
                f"{error:.3f}",
            ]
            for name, start, value, error in zip(
                ("fast", "slow"),
                result.start.centre,
                result.centre,
                result.centre_error,
            )
        ),
        [
            "ellipticity, long / short axis - 1",
            "",
            f"{result.ellipse.ellipticity:.5f}",
            f"{ratio_error:.5f}",
        ],
        [
            "long axis, fast towards slow (°)",
            "",
            f"{math.degrees(result.ellipse.azimuth):.2f}",
            f"{math.degrees(azimuth_error):.2f}",
        ],
    ]
    return Table(
        "Calibration", ["", "experiments", "measured", "standard\nuncertainty"], rows
    )


def ring_table(result: RingCalibration) -> Table:
    """Each ring that was seen."""
    size, fit = result.pixel_size, result.fit
    rows = [
        [
            f"{d:.4f}",
            f"{radius / size:.2f}",
            f"{width / size:.2f}",
            f"{significance:.0f}",
            f"{deviation / size:+.3f}",
            f"{error / size:.3f}",
        ]
        for d, radius, width, significance, deviation, error in zip(
            result.d,
            result.radius,
            fit.width,
            fit.significance,
            fit.deviation,
            fit.deviation_error,
        )
    ]
    header = [
        "d (Å)",
        "radius (px)",
        "width (px)",
        "height / σ",
        "observed -\nmodel (px)",
        "standard\nuncertainty",
    ]
    return Table(f"Rings of {result.standard.name}", header, rows)


def findings(result: RingCalibration) -> list[str]:
    """Say what was measured, in sentences."""
    ratio_error, azimuth_error = result.ellipse_error
    change = result.distance / result.start.distance - 1
    sentences = [
        f"The camera length is {result.distance:.2f} ± {result.distance_error:.2f} mm, "
        f"{100 * change:+.2f} % from that of the experiments, by {len(result.d)} rings "
        f"of {result.standard.name} ({result.standard.source})."
    ]
    if is_elliptical(result):
        sentences.append(
            f"Circles are seen as ellipses: the long axis is "
            f"{100 * result.ellipse.ellipticity:.3f} ± {100 * ratio_error:.3f} % longer "
            f"and lies {math.degrees(result.ellipse.azimuth):.1f} ± "
            f"{math.degrees(azimuth_error):.1f}° from fast towards slow."
        )
    else:
        sentences.append(
            "No ellipticity was found: "
            f"{100 * result.ellipse.ellipticity:.3f} ± {100 * ratio_error:.3f} %."
        )
    sentences.append(VALIDITY)
    return sentences


def warnings(result: RingCalibration) -> list[str]:
    """List what makes the result less sure than its uncertainties."""
    sentences = []
    guess = result.guess
    if guess.rival_score > _RIVAL * guess.score:
        sentences.append(
            f"A camera length near {guess.rival_distance:.0f} mm fits nearly as well as "
            f"{result.distance:.0f} mm: narrow rings.distance_range if you know better."
        )
    off = np.abs(result.fit.deviation) > _DEVIATES * result.fit.deviation_error
    if off.any():
        names = ", ".join(f"{d:.3f}" for d in result.d[off])
        sentences.append(
            f"The radii of the rings of {names} Å deviate by more than {_DEVIATES:.0f} "
            "standard uncertainties: lattice constant or wavelength may be wrong, or "
            "other rings be near."
        )
    if result.saturated > _SATURATED:
        sentences.append(
            f"Up to {100 * result.saturated:.0f} % of the pixels of a ring are saturated."
        )
    if len(result.d) == 2:
        sentences.append("Only two rings were seen: the standard is hardly tested.")
    if not result.fit.converged:
        sentences.append(
            "The fit moved by more than 0.01 pixel to the end: uncertainties may be "
            "a little too small."
        )
    return sentences


def ring_record(
    result: RingCalibration, source: str, n_images: int, dials: DialsEllipse
) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None.

    Parameters
    ----------
    result : RingCalibration
        The calibration.
    source : str
        Name of the images.
    n_images : int
        How many were averaged.
    dials : DialsEllipse
        The ellipse as dials.generate_distortion_maps of this DIALS wants it.
    """
    fit, guess = result.fit, result.guess
    ratio_error, azimuth_error = result.ellipse_error
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "images": source,
        "n_images": n_images,
        "standard": {"name": result.standard.name, "source": result.standard.source},
        "wavelength": result.wavelength,
        "pixel_size_mm": result.pixel_size,
        "start": {
            "distance_mm": result.start.distance,
            "beam_centre_px": [x / result.pixel_size for x in result.start.centre],
        },
        "distance_mm": result.distance,
        "distance_error_mm": result.distance_error,
        "beam_centre_px": list(result.centre),
        "beam_centre_error_px": list(result.centre_error),
        "ellipticity": result.ellipse.ellipticity,
        "ellipticity_error": ratio_error,
        "long_axis_deg": math.degrees(result.ellipse.azimuth),
        "long_axis_error_deg": math.degrees(azimuth_error),
        "strain": list(fit.geometry.strain),
        "covariance_of_centre_mm_log_distance_strain": fit.covariance.tolist(),
        "dials_ellipse": {
            "phi": dials.phi,
            "l1": dials.l1,
            "l2": dials.l2,
            "centre_xy": list(dials.centre_xy),
        },
        "rings": {
            "d": result.d.tolist(),
            "radius_mm": result.radius.tolist(),
            "width_mm": fit.width.tolist(),
            "significance": fit.significance.tolist(),
            "deviation_mm": fit.deviation.tolist(),
            "deviation_error_mm": fit.deviation_error.tolist(),
        },
        "search": {
            "score": guess.score,
            "rival_score": guess.rival_score,
            "rival_distance_mm": guess.rival_distance,
        },
        "scatter": fit.scatter,
        "converged": fit.converged,
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))
