"""What a reader should know before trusting a correction, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.joint_camera.camera_fit import LARGEST_MISFIT
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.report.resolution import shell_name
from dials_truncfix.report.sweep_results import RingSeries, SweepResults

Array = npt.NDArray[np.float64]

#: More zeros than this leave too little of the distribution to fit that of one image.
_MANY_ZEROS = 0.7
_POOR_CHI_SQUARE = 3.0
_POOR_ZEROS = 0.02
_UNCONVERGED = 0.01
_MINORITY = 0.1
_NOTABLE_DIFFERENCE = 0.05
_NOTABLE_GAIN = 0.15
_NOTABLE_BOX_VARIANCE = 1.2
_MOST_NAMED = 8


def cautions(results: SweepResults) -> list[str]:
    """List what calls for attention, the most serious first.

    Parameters
    ----------
    results : SweepResults
        Of a run.

    Returns
    -------
    list of str
        Sentences; none when all is well.
    """
    rings = results.rings
    if rings is None:
        return []
    return [
        *_forced(results),
        *_unfitted(results),
        *_many_zeros(results, rings),
        *_poor_fits(rings),
        *_wrong_zeros(rings),
        *_unconverged(rings),
        *_camera(results.record),
        *_gain(results.record),
        *_families(results, rings),
        *_uneven(results.record),
        *_correlated(results.record),
        *_choices(results.record),
    ]


def _forced(results: SweepResults) -> list[str]:
    kind = results.record["verdict"]["class"]
    if kind in (VerdictClass.TRUNCATED, VerdictClass.NO_ZEROS):
        return []
    return [
        "The images were corrected although the verdict is another, because force=True "
        "was given. If the verdict is right, the correction spoils the intensities."
    ]


def _unfitted(results: SweepResults) -> list[str]:
    failed = results.unfitted
    if not failed:
        return []
    named = [f"{number} ({why})" for number, why in failed[:_MOST_NAMED]]
    more = len(failed) - len(named)
    if len(failed) == 1:
        return [
            f"No distribution could be fitted to image {named[0]}; its pixels are as "
            "they were recorded. Leave it out of the integration."
        ]
    rest = f" and {more} more" if more else ""
    return [
        f"No distribution could be fitted to images {', '.join(named)}{rest}; their "
        "pixels are as they were recorded. Leave them out of the integration."
    ]


def _many_zeros(results: SweepResults, rings: RingSeries) -> list[str]:
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = rings.n_zero.sum(axis=0) / rings.n_pixels.sum(axis=0)
    many = np.flatnonzero(fraction > _MANY_ZEROS)
    if not many.size:
        return []
    sentence = (
        f"More than {100 * _MANY_ZEROS:.0f} % of the pixels are zero in "
        f"{_annuli(many, rings)}. What is left says little about what was lost"
    )
    if results.record["parameters"].get("histograms") == "image":
        sentence += (
            ", and fits of single images can be far off: fit.histograms=block or sweep "
            "pools several"
        )
    return [sentence + "."]


def _poor_fits(rings: RingSeries) -> list[str]:
    chi_square = rings.average("chi_square")
    poor = np.flatnonzero(chi_square > _POOR_CHI_SQUARE)
    if not poor.size:
        return []
    worst = int(poor[np.argmax(chi_square[poor])])
    return [
        f"The fits do not follow the histograms of {_annuli(poor, rings)}: χ² per degree "
        f"of freedom is {chi_square[worst]:.1f} in annulus {worst + 1}, where chance "
        "alone gives 1. The larger the annuli, the smaller the differences that this "
        "shows. Look at the histograms: where line and bars part near zero, the "
        "restored values are in doubt; narrower annuli (annuli.count) or a mask help "
        "where the background changes within an annulus."
    ]


def _wrong_zeros(rings: RingSeries) -> list[str]:
    difference = rings.zero_fraction - rings.p_nonpositive
    known = np.isfinite(difference)
    mean = np.where(known, difference, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    wrong = np.flatnonzero(np.abs(mean) > _POOR_ZEROS)
    if not wrong.size:
        return []
    worst = int(wrong[np.argmax(np.abs(mean[wrong]))])
    word = "more" if mean[worst] > 0 else "fewer"
    return [
        f"{_annuli(wrong, rings, start=True)} hold"
        f"{'s' if len(wrong) == 1 else ''} another number of zeros than the fits expect "
        f"(annulus {worst + 1}: {100 * abs(mean[worst]):.1f} % of the pixels {word}). "
        "Dead or masked pixels that are recorded as zero do that: give a mask."
    ]


def _unconverged(rings: RingSeries) -> list[str]:
    n_fits = sum(sum(models.values()) for models in rings.models)
    if rings.n_unconverged <= _UNCONVERGED * n_fits:
        return []
    return [
        f"{rings.n_unconverged} of {n_fits} fits ended before they met their tolerance."
    ]


def _camera(record: Mapping[str, Any]) -> list[str]:
    fit = (record.get("camera") or {}).get("fit")
    if not fit or fit["misfit"] is None or fit["misfit"] <= LARGEST_MISFIT:
        return []
    return [
        f"The camera describes the images badly: it misses {fit['misfit']:.1e} nat per "
        f"pixel, where {LARGEST_MISFIT:.0e} would do. Compare with fit.model=auto."
    ]


def _gain(record: Mapping[str, Any]) -> list[str]:
    estimate = record.get("gain_estimate")
    if not estimate:
        return []
    written = f"gain {record['gain']:.4g} and pedestal {record['pedestal']:.4g} ADU"
    if not estimate["reliable"]:
        return [
            f"Gain and pedestal could not be estimated: {estimate['reason']}. The "
            f"experiments say {written}. If that is wrong, DIALS finds false spots, and "
            "I/σ is off several-fold: give gain= and pedestal= if you know them."
        ]
    if abs(record["gain"] / estimate["gain"] - 1) <= _NOTABLE_GAIN:
        return []
    scatter = f"{estimate['gain']:.2f} ± {estimate['gain_sd']:.2f}"
    if record.get("camera"):
        return [
            f"The effective gain of the camera, {record['gain']:.4g}, was written, but "
            f"that of the scatter of the corrected pixels is {scatter}. I/σ is off by "
            "the square root of their ratio where the wrong one is taken; gain= and "
            "pedestal= choose."
        ]
    return [
        f"The gain that was given, {record['gain']:.4g}, differs from that of the "
        f"images, {scatter}. DIALS takes the effective gain, the slope of the variance "
        "on the mean, in which the excess noise of the camera is included."
    ]


def _families(results: SweepResults, rings: RingSeries) -> list[str]:
    """Name the annulus in which two families differ most about what was lost."""
    worst: tuple[float, int, str, str] | None = None
    for k, (models, means) in enumerate(zip(rings.models, rings.family_means)):
        if len(models) < 2:
            continue
        (first, _), (second, n_second) = models.most_common(2)
        if n_second < _MINORITY * sum(models.values()):
            continue
        difference = abs(means[first] - means[second])
        relative = difference / max(abs(means[first]), 1e-9)
        if relative > _NOTABLE_DIFFERENCE and (worst is None or relative > worst[0]):
            worst = (relative, k, first, second)
    if worst is None:
        return []
    _, k, first, second = worst
    means = rings.family_means[k]
    return [
        "Images of this sweep were fitted by different families, which do not agree "
        f"about what was lost: in annulus {k + 1} the mean of the zeros is "
        f"−{-means[first]:.2f} ADU by {first} ({rings.models[k][first]} fits) and "
        f"−{-means[second]:.2f} ADU by {second} ({rings.models[k][second]} fits). "
        "fit.model gives all of them one family, fit.histograms=block more pixels to "
        "choose by."
    ]


def _uneven(record: Mapping[str, Any]) -> list[str]:
    found = [
        (k, ring)
        for k, ring in enumerate(record.get("anisotropy") or [])
        if ring.get("advised")
    ]
    if not found or record["parameters"].get("shape", "annuli") != "annuli":
        return []
    k, worst = max(found, key=lambda item: float(item[1]["error"]))
    names = _listed([str(number + 1) for number, _ in found])
    return [
        f"The background is not the same all around annul{'us' if len(found) == 1 else 'i'} "
        f"{names}: it varies by ± {worst['amplitude']:.2f} ADU around annulus {k + 1}, "
        f"which puts the local background off by up to ± {worst['error']:.2f} ADU. "
        "regions.shape=sectors follows it; check the beam centre first."
    ]


def _correlated(record: Mapping[str, Any]) -> list[str]:
    found = record.get("noise_correlation")
    if (
        not found
        or not found.get("significant")
        or record["parameters"].get("noise", "independent") == "correlated"
        or found["box_variance"] <= _NOTABLE_BOX_VARIANCE
    ):
        return []
    return [
        "The noise of neighbouring pixels is correlated "
        f"({found['neighbour']:.2f} ± {found['neighbour_sd']:.2f}), and that of the "
        "restored values is not: where most pixels were zero, the variance of sums over "
        f"13 × 13 pixels is up to {found['box_variance']:.2f} times too small. "
        "noise=correlated draws them alike."
    ]


def _choices(record: Mapping[str, Any]) -> list[str]:
    parameters = record["parameters"]
    sentences = []
    if parameters.get("assign") == "expected":
        sentences.append(
            "Zeros became expected values instead of draws (assign=expected): there is "
            "less noise, and weak intensities look better than they are."
        )
    if parameters.get("family") == "paper":
        sentences.append(
            "The distributions were fitted by the likelihood as printed in Hattne et al. "
            "(2016), for comparison (fit.model=paper). It overestimates how far below "
            "zero the pixels were."
        )
    return sentences


def _annuli(which: npt.NDArray[np.intp], rings: RingSeries, start: bool = False) -> str:
    """Name annuli, with the resolution of one."""
    if len(which) == 1:
        k = int(which[0])
        name = f"annulus {k + 1} ({shell_name(*rings.d_limits[k])})"
    elif len(which) == rings.n_rings:
        name = "all annuli"
    else:
        name = "annuli " + _listed([str(int(k) + 1) for k in which])
    return name[0].upper() + name[1:] if start else name


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
