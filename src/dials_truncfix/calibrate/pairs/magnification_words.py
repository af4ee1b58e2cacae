"""What two images tell of magnification and rotation, in words and plain values."""

from __future__ import annotations

import math
from typing import Any

from dials_truncfix import __version__
from dials_truncfix.calibrate.pairs.magnification_pair import MagnificationPair
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.magnification/1"
_STRETCHED = 5.0
_WEAK = 0.3


def magnification_table(pair: MagnificationPair) -> Table:
    """Magnification, rotation, shift and stretch."""
    found = pair.registration.fitted
    shift = found.transformation.shift
    errors = found.shift_covariance.diagonal() ** 0.5
    rows = [
        ["magnification", f"{pair.magnification:.6f} ± {pair.magnification_error:.6f}"],
        [
            "rotation, fast towards slow (°)",
            f"{math.degrees(pair.rotation):.4f} ± {math.degrees(pair.rotation_error):.4f}",
        ],
        ["shift along fast (px)", f"{shift[0]:.3f} ± {errors[0]:.3f}"],
        ["shift along slow (px)", f"{shift[1]:.3f} ± {errors[1]:.3f}"],
        ["stretch", f"{pair.affine.transformation.stretch:.5f}"],
        ["tiles that agree", f"{found.kept.sum()} of {len(found.kept)}"],
        ["their RMSD (px)", f"{found.rmsd:.3f}"],
        ["their median correlation", f"{pair.registration.coefficient:.3f}"],
    ]
    title = f"{pair.names[1]} against {pair.names[0]}"
    return Table(title, ["", "value"], rows)


def findings(pair: MagnificationPair) -> list[str]:
    """Say what was measured, in sentences."""
    side = pair.registration.side
    return [
        f"{pair.names[1]} is magnified {pair.magnification:.5f} ± "
        f"{pair.magnification_error:.5f} times against {pair.names[0]}, and turned by "
        f"{math.degrees(pair.rotation):.4f} ± {math.degrees(pair.rotation_error):.4f}° from "
        "fast towards slow.",
        f"Valid for the defocus, intensity and magnification of these two images. The "
        f"uncertainties come from the scatter of {pair.registration.fitted.kept.sum()} tiles "
        f"of {side} × {side} pixels; a distortion of the image shifts them all alike, and "
        "counts where the second image is shifted.",
    ]


def warnings(pair: MagnificationPair) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    sentences = []
    if pair.stretch_significance > _STRETCHED:
        stretch = pair.affine.transformation.stretch - 1
        sentences.append(
            f"The second image is also stretched, by {100 * stretch:.3f} % in one "
            "direction: a tilted specimen, astigmatism, or distortion; magnification and "
            "rotation are means over all directions."
        )
    if pair.registration.coefficient < _WEAK:
        sentences.append(
            f"The tiles correlate by {pair.registration.coefficient:.2f} only: look at the "
            "page, and whether both images show the same."
        )
    return sentences


def magnification_record(pair: MagnificationPair) -> dict[str, Any]:
    """Describe a measurement by plain values; what is not finite becomes None."""
    found = pair.registration.fitted
    affine = pair.affine.transformation
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "images": list(pair.names),
        "shape": list(pair.shape),
        "magnification": pair.magnification,
        "magnification_error": pair.magnification_error,
        "rotation_deg": math.degrees(pair.rotation),
        "rotation_error_deg": math.degrees(pair.rotation_error),
        "shift_px": found.transformation.shift.tolist(),
        "covariance_of_shift_px2": found.shift_covariance.tolist(),
        "affine_matrix": affine.matrix.tolist(),
        "stretch": affine.stretch,
        "stretch_significance": pair.stretch_significance,
        "tile_px": pair.registration.side,
        "n_tiles": len(found.kept),
        "n_tiles_kept": int(found.kept.sum()),
        "rmsd_px": found.rmsd,
        "coefficient": pair.registration.coefficient,
        "peak_significance": pair.registration.peak.significance,
        "second_peak": pair.registration.peak.second,
        "findings": findings(pair),
        "warnings": warnings(pair),
    }
    return dict(finite_values(record))
