"""What images of the beam tell, in tables, sentences and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dials_truncfix import __version__
from dials_truncfix.calibrate.disc.disc import Disc
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.disc/1"
_NM_PER_UM = 1000.0
_HALF = 0.5
#: SerialEM's manual: radii of a series within half a percent.
_SAME_RADIUS = 0.005
_NOT_ROUND = 0.005
_DIFFERENT = 5.0
_TRUNCATED = 0.1


def disc_table(discs: Sequence[Disc]) -> Table:
    """Centre, radius and intensity of each image."""
    rows = []
    for disc in discs:
        circle, even = disc.circle, disc.even
        errors = circle.covariance.diagonal() ** 0.5
        rows.append(
            [
                disc.name,
                *(f"{x:.3f} ± {e:.3f}" for x, e in zip(circle.centre, errors)),
                f"{2 * circle.radius:.3f} ± {2 * errors[2]:.3f}",
                f"{100 * disc.arc:.0f}",
                f"{disc.edge.width:.1f}",
                f"{circle.rmsd:.2f}",
                f"{even.level:.4g}" if np.isfinite(even.level) else "–",
                f"{100 * even.unevenness:.1f}" if np.isfinite(even.level) else "–",
            ]
        )
    header = [
        "image",
        "centre, fast (px)",
        "centre, slow (px)",
        "diameter (px)",
        "edge used\n(%)",
        "blur of\nedge (px)",
        "RMSD of\nedge (px)",
        "level\n(ADU)",
        "unevenness\n(%)",
    ]
    return Table("The beam", header, rows)


def findings(discs: Sequence[Disc], pixel_nm: float | None) -> list[str]:
    """Say what was measured, in sentences."""
    sentences = []
    for disc in discs[:1] if len(discs) > 3 else discs:
        circle = disc.circle
        errors = circle.covariance.diagonal() ** 0.5
        size = f"{2 * circle.radius:.2f} ± {2 * errors[2]:.2f} pixels"
        if pixel_nm is not None:
            size += f" ({2 * circle.radius * pixel_nm / _NM_PER_UM:.4g} µm)"
        sentences.append(
            f"{disc.name}: the beam is {size} wide, with its centre at "
            f"{circle.centre[0]:.2f} ± {errors[0]:.2f} along fast and "
            f"{circle.centre[1]:.2f} ± {errors[1]:.2f} along slow, pixels."
        )
        if np.isfinite(disc.even.level):
            slope = float(np.hypot(*disc.even.gradient))
            sentences.append(
                f"Its intensity varies by {100 * disc.even.unevenness:.1f} % (standard "
                f"deviation); a steady slope makes {100 * slope:.1f} % from centre to edge."
            )
    if len(discs) > 1:
        radii = np.array([disc.circle.radius for disc in discs])
        sentences.append(
            f"The radii of {len(discs)} images are within "
            f"{100 * np.ptp(radii) / radii.mean():.2f} %."
        )
    sentences.append(
        "Valid for the intensity, spot size and magnification of the image. The diameter is "
        "that of half the height of the edge; uncertainties come from the scatter along the "
        "edge."
    )
    return sentences


def warnings(discs: Sequence[Disc]) -> list[str]:
    """List what makes a result less sure than its uncertainty."""
    sentences = []
    for disc in discs:
        if disc.arc < _HALF:
            sentences.append(
                f"{disc.name} shows {100 * disc.arc:.0f} % of the edge: if the beam is not "
                "round, its centre is less sure than stated."
            )
        elif disc.roundness > _NOT_ROUND:
            sentences.append(
                f"{disc.name}: the beam is not round, {200 * disc.roundness:.1f} % longer "
                "than wide: astigmatism of the condenser, or distortion."
            )
        if disc.zeros > _TRUNCATED and disc.truncation_error > 0.01:
            sentences.append(
                f"{disc.name}: {100 * disc.zeros:.0f} % of the pixels beside the beam are "
                "zero; if values below zero were cut off, the diameter is too small by up "
                f"to {2 * disc.truncation_error:.2f} pixels. Correct the image by "
                "dials.truncfix first."
            )
        if disc.centroid is not None:
            offset = float(np.linalg.norm(disc.centroid.place - disc.circle.centre))
            error = float(np.linalg.norm(disc.centroid.errors))
            if offset > max(_DIFFERENT * error, 0.01 * disc.circle.radius):
                sentences.append(
                    f"{disc.name}: the intensity has its middle {offset:.1f} pixels from "
                    "that of the circle: the beam is uneven."
                )
    radii = np.array([disc.circle.radius for disc in discs])
    if np.ptp(radii) > _SAME_RADIUS * radii.mean():
        sentences.append(
            f"The radii differ by {100 * np.ptp(radii) / radii.mean():.1f} %, and by more "
            "than half a percent centres may be off (SerialEM's manual, Refine Beam Shift)."
        )
    return sentences


def disc_record(discs: Sequence[Disc], pixel_nm: float | None) -> dict[str, Any]:
    """Describe a measurement by plain values; what is not finite becomes None."""
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "pixel_size_nm": pixel_nm,
        "images": [_disc(disc) for disc in discs],
        "findings": findings(discs, pixel_nm),
        "warnings": warnings(discs),
    }
    return dict(finite_values(record))


def _disc(disc: Disc) -> dict[str, Any]:
    circle, centroid = disc.circle, disc.centroid
    return {
        "image": disc.name,
        "shape": list(disc.shape),
        "centre_px": circle.centre.tolist(),
        "radius_px": circle.radius,
        "covariance_of_centre_and_radius_px2": circle.covariance.tolist(),
        "part_of_edge": disc.arc,
        "edge_width_px": disc.edge.width,
        "rmsd_px": circle.rmsd,
        "ellipse_amplitude": disc.roundness,
        "level": disc.even.level,
        "gradient_fast_slow": disc.even.gradient.tolist(),
        "unevenness": disc.even.unevenness,
        "zeros_beside": disc.zeros,
        "truncation_error_of_radius_px": disc.truncation_error,
        "centroid_px": None if centroid is None else centroid.place.tolist(),
        "centroid_error_px": None if centroid is None else centroid.errors.tolist(),
    }
