"""What reflections say of the magnification, in tables, sentences and plain values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dials_truncfix import __version__
from dials_truncfix.calibrate.spots.spots import SEPARATED, SpotCalibration
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.spots/1"
#: An ellipticity of fewer standard uncertainties is none.
_SIGNIFICANT = 3.0
#: An uncertainty of the strain that leaves cell and ellipse mixed up.
_MIXED = 2e-3


def is_elliptical(result: SpotCalibration, group: int) -> bool:
    """Whether the ellipticity of a group exceeds three standard uncertainties."""
    ratio_error = result.ellipse_error(group)[0]
    return result.ellipse(group).ellipticity > _SIGNIFICANT * ratio_error


def group_table(result: SpotCalibration) -> Table:
    """One row for each exposure group."""
    rows = []
    for group in range(result.n_groups):
        members = [spots for spots in result.sets if spots.group == group]
        ratio_error, azimuth_error = result.ellipse_error(group)
        scale, scale_error = result.scale(group)
        ellipse = result.ellipse(group)
        number = next(k for k, s in enumerate(result.sets) if s.group == group)
        rows.append(
            [
                f"{group + 1}",
                f"{len(members)}",
                f"{sum(map(len, members))}",
                f"{100 * ellipse.ellipticity:.4f} ± {100 * ratio_error:.4f}",
                f"{math.degrees(ellipse.azimuth):.2f} ± {math.degrees(azimuth_error):.2f}",
                f"{result.distance(number):.3f}",
                f"{scale:.5f}"
                + (f" ± {scale_error:.5f}" if scale_error > 0 else " (kept)"),
            ]
        )
    return Table(
        "Exposure groups",
        [
            "group",
            "crystals",
            "reflections",
            "ellipticity (%)",
            "long axis, fast\ntowards slow (°)",
            "camera length\n(mm)",
            "over that of\nthe experiments",
        ],
        rows,
    )


def fit_table(result: SpotCalibration) -> Table:
    """Fit without and with ellipses."""
    circles, fit = result.circles, result.fit

    def cell(values: Any) -> str:
        return ", ".join(f"{x:.4f}" for x in values)

    def error(values: Any) -> str:
        return cell(values) if any(x > 0 for x in values) else "as given"

    def angle(value: float) -> str:
        # stills have none
        return f"{math.degrees(value):.4f}" if math.isfinite(value) else "–"

    rows = [
        ["RMSD of positions (px)", f"{circles.rmsd:.4f}", f"{fit.rmsd:.4f}"],
        [
            "RMSD of angles (°)",
            *(angle(part.rmsd_angle) for part in (circles, fit)),
        ],
        ["reflections not rejected", f"{circles.n_used}", f"{fit.n_used}"],
        ["cell (Å, °)", cell(circles.cell), cell(fit.cell)],
        ["its uncertainty", error(circles.cell_error), error(fit.cell_error)],
    ]
    return Table("Cell and agreement", ["", "circles", "ellipses"], rows)


def crystal_table(result: SpotCalibration) -> Table:
    """One row for each crystal."""
    rows = [
        [
            spots.name,
            f"{spots.group + 1}",
            f"{len(spots)}",
            f"{before:.3f}",
            f"{after:.3f}",
            *(f"{x / spots.pixel_size:+.3f}" for x in pose.shift),
            f"{math.degrees(float(np.linalg.norm(pose.rotation))):.3f}",
        ]
        for spots, before, after, pose in zip(
            result.sets,
            result.circles.rmsd_each,
            result.fit.rmsd_each,
            result.fit.poses,
        )
    ]
    header = [
        "crystal",
        "group",
        "reflections",
        "RMSD (px)\ncircles",
        "\nellipses",
        "shift of the beam (px)\nfast",
        "\nslow",
        "turned by (°)",
    ]
    return Table("Crystals", header, rows)


def findings(result: SpotCalibration) -> list[str]:
    """Say what was measured, in sentences."""
    fit, circles = result.fit, result.circles
    sentences = []
    for group in range(result.n_groups):
        ratio_error, azimuth_error = result.ellipse_error(group)
        ellipse = result.ellipse(group)
        which = "" if result.n_groups == 1 else f" in group {group + 1}"
        if is_elliptical(result, group):
            sentences.append(
                f"Circles are seen as ellipses{which}: the long axis is "
                f"{100 * ellipse.ellipticity:.3f} ± {100 * ratio_error:.3f} % longer and "
                f"lies {math.degrees(ellipse.azimuth):.2f} ± "
                f"{math.degrees(azimuth_error):.2f}° from fast towards slow."
            )
        else:
            sentences.append(
                f"No ellipticity was found{which}: "
                f"{100 * ellipse.ellipticity:.3f} ± {100 * ratio_error:.3f} %."
            )
    sentences.append(
        f"With ellipses the RMSD of positions is {fit.rmsd:.3f} pixels, without them "
        f"{circles.rmsd:.3f}, both with one cell for all crystals."
    )
    if result.n_indexed_anew:
        sentences.append(
            f"{result.n_indexed_anew} reflections have another index than they were "
            "given, or have one or none now, by their places with the ellipses."
        )
    if result.cell_known:
        sentences.append("The cell was given, so that the camera lengths are measured.")
    elif result.scale_error < SEPARATED:
        sentences.append(
            "The curvature of the Ewald sphere would tell the camera length within "
            f"{100 * result.scale_error:.2f} %, if angles have no systematic error; it was "
            "kept, and the cell refined."
        )
    else:
        sentences.append(
            "Camera length and size of the cell cannot be told apart: the reflections "
            f"leave ± {100 * result.scale_error:.2f} % of exchange between them. The "
            "camera length was kept; give the cell as spots.unit_cell, or calibrate with "
            "mode=rings."
        )
    return sentences


def warnings(result: SpotCalibration) -> list[str]:
    """List what makes the result less sure than it looks."""
    sentences = []
    for group in range(result.n_groups):
        error = math.sqrt(np.diagonal(result.fit.covariance[group])[1:].max())
        if error > _MIXED:
            sentences.append(
                f"The ellipse of group {group + 1} cannot be told from the cell: its "
                f"ellipticity is uncertain by {100 * error:.2f} %. Add crystals in other "
                "orientations, or wider rotations."
            )
    if len(result.sets) == 1:
        sentences.append(
            "One crystal only: what symmetry does not forbid, its cell and orientation "
            "may have taken from the ellipse, and the other way round."
        )
    return sentences


def spot_record(result: SpotCalibration) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None."""

    def fit(part: Any) -> dict[str, Any]:
        return {
            "rmsd_px": part.rmsd,
            "rmsd_angle_deg": math.degrees(part.rmsd_angle),
            "n_used": part.n_used,
            "unit_cell": list(part.cell),
            "unit_cell_error": list(part.cell_error),
        }

    groups = []
    for number in range(result.n_groups):
        ratio_error, azimuth_error = result.ellipse_error(number)
        magnification = result.fit.magnifications[number]
        groups.append(
            {
                "ellipticity": result.ellipse(number).ellipticity,
                "ellipticity_error": ratio_error,
                "long_axis_deg": math.degrees(result.ellipse(number).azimuth),
                "long_axis_error_deg": math.degrees(azimuth_error),
                "scale": result.scale(number)[0],
                "scale_error": result.scale(number)[1],
                "matrix": magnification.matrix.tolist(),
                "strain": list(magnification.strain),
                "covariance_of_log_scale_strain": result.fit.covariance[
                    number
                ].tolist(),
            }
        )
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "space_group": result.space_group,
        "cell_known": result.cell_known,
        "scale_error": result.scale_error,
        "n_indexed_anew": result.n_indexed_anew,
        "groups": groups,
        "circles": fit(result.circles),
        "ellipses": fit(result.fit),
        "crystals": [
            {
                "name": spots.name,
                "group": spots.group + 1,
                "n": len(spots),
                "rmsd_px_circles": before,
                "rmsd_px_ellipses": after,
                "distance_mm": result.distance(number),
                "shift_px": (pose.shift / spots.pixel_size).tolist(),
                "rotation_deg": np.degrees(pose.rotation).tolist(),
            }
            for number, (spots, before, after, pose) in enumerate(
                zip(
                    result.sets,
                    result.circles.rmsd_each,
                    result.fit.rmsd_each,
                    result.fit.poses,
                )
            )
        ],
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))
