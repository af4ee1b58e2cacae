"""Gain, pedestal, camera and correlation of the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dials_truncfix.report.gain_figure import gain_figures
from dials_truncfix.report.page import Content, Section, Table
from dials_truncfix.sweep.illustrations import Illustrations


def noise_section(
    record: Mapping[str, Any], illustrations: Illustrations
) -> Section | None:
    """Compose the section; None when nothing was measured.

    Parameters
    ----------
    record : Mapping
        Of the run.
    illustrations : Illustrations
        From the record.

    Returns
    -------
    Section or None

    Raises
    ------
    ValueError
        When the record is damaged.
    """
    content: list[Content] = []
    if illustrations.noise is not None:
        content.append(gain_figures(illustrations.noise, record))
    if record.get("camera"):
        content.append(_camera(record["camera"]))
    if record.get("noise_correlation"):
        content.append(_correlation(record["noise_correlation"]))
    return Section("Gain and noise", content) if content else None


def _camera(camera: Mapping[str, Any]) -> Table:
    fit = camera.get("fit") or {}
    rows = [
        ["Mean signal of an electron", _value(camera, fit, "gain", "ADU/e⁻")],
        [
            "Variance of this signal over its squared mean",
            _value(camera, fit, "pulse_variance", ""),
        ],
        ["Read noise", _value(camera, fit, "read_noise", "ADU")],
        ["Dark level", _value(camera, fit, "dark", "ADU")],
    ]
    if camera["dark_drift"]:
        rows.append(
            ["Drift of the dark level", _value(camera, fit, "dark_drift", "ADU/image")]
        )
    rows += [
        [
            "Effective gain, variance over mean",
            _value(camera, fit, "effective_gain", "ADU"),
        ],
        ["Pedestal", _value(camera, fit, "pedestal", "ADU")],
    ]
    where = (
        f"fitted to {fit['n_regions']} regions of one brightness each"
        if fit
        else "given by the user"
    )
    return Table(
        ["Camera", ""], rows, f"The camera by which the zeros were drawn, {where}."
    )


def _value(
    camera: Mapping[str, Any], fit: Mapping[str, Any], name: str, unit: str
) -> str:
    sd = fit.get(f"{name}_sd")
    if sd:
        # two digits of the uncertainty, and as many of the value
        digits = min(max(1 - math.floor(math.log10(sd)), 0), 9)
        text = f"{camera[name]:.{digits}f} ± {sd:.{digits}f}"
    else:
        text = f"{camera[name]:.4g}"
    return f"{text} {unit}".replace("-", "−").strip()


def _correlation(correlation: Mapping[str, Any]) -> str:
    measured = (
        "The noise of neighbouring pixels is correlated by "
        f"{correlation['neighbour']:.3f} ± {correlation['neighbour_sd']:.3f}"
    ).replace("-", "−")
    if not correlation["significant"]:
        return f"{measured}, which is a matter of chance."
    return (
        f"{measured}. Sums over 13 × 13 pixels therefore vary "
        f"{correlation['box_variance']:.2f} times as much as those of independent "
        "pixels."
    )
