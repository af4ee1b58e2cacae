"""The report of dials.truncfix: from the record of a run to a page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.report.bias_figure import BOX, bias_figure
from dials_truncfix.report.cautions import cautions
from dials_truncfix.report.drift_figures import drift_figures
from dials_truncfix.report.histogram_figures import MOST_FIGURES, histogram_figures
from dials_truncfix.report.noise_section import noise_section
from dials_truncfix.report.page import Content, Notice, Section, Table, render_page
from dials_truncfix.report.picture_figures import picture_figures
from dials_truncfix.report.records import damage_of
from dials_truncfix.report.resolution import shell_name
from dials_truncfix.report.sweep_results import (
    RingSeries,
    SweepResults,
    sweep_results,
)
from dials_truncfix.report.verdict_figures import verdict_figures
from dials_truncfix.report.zero_figures import zero_figures
from dials_truncfix.sweep.illustrations import Illustrations
from dials_truncfix.sweep.summary import REMEDIES

_HEADLINES = {
    VerdictClass.TRUNCATED: "The images were truncated",
    VerdictClass.COUNTING: "The zeros are counts",
    VerdictClass.SIGNED: "The images are signed already",
    VerdictClass.OFFSET: "The images lie on an offset",
    VerdictClass.NO_ZEROS: "There are no zeros to correct",
    VerdictClass.FEW_LEVELS: "The images have too few grey levels",
    VerdictClass.ONE_LEVEL: "All pixels have the same value",
    VerdictClass.ALL_ZEROS: "All pixels are zero",
    VerdictClass.ZEROS_MASKED: "The format masks the zeros",
    VerdictClass.CANNOT_TELL: "It cannot be told whether the images were truncated",
}
_ASSIGNED = {
    "random": "Every zero became a draw from the part of the distribution that was cut "
    "off. Where a zero lies is known, what it had been is not: one by one the values "
    "are random, on average they are right.",
    "local": "Every zero became a draw from the part of the distribution that was cut "
    "off, whose mean was found from the pixels around it. Where a zero lies is known, "
    "what it had been is not: one by one the values are random, on average they are "
    "right.",
    "expected": "Every zero became the mean of the part of the distribution that was cut "
    "off, rounded at random: on average right, but with too little scatter.",
}
_POOLED = {
    "image": "single images",
    "block": "blocks of images",
    "sweep": "all images together",
}
_MOST_FILES = 12


def truncfix_page(record: Mapping[str, Any], name: str = "dials.truncfix.json") -> str:
    """Make the report of a run.

    Parameters
    ----------
    record : Mapping
        Of the run, as in its JSON file.
    name : str
        What to call the record in messages.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ValueError
        When the record is damaged.
    ImportError
        Without jinja2 or plotly.
    """
    with damage_of(name):
        results = sweep_results(record)
        title, summary = _title(results), _summary(results)
        sections = _sections(results)
    return render_page(title, sections, summary=summary)


def _title(results: SweepResults) -> str:
    files = results.record["source"]["files"]
    names = [_file_name(file) for file in (*files[:1], *files[1:][-1:])]
    what = " to ".join(names) or "a sweep"
    return f"{'Verdict on' if results.rings is None else 'Correction of'} {what}"


def _file_name(file: Mapping[str, Any]) -> str:
    return os.path.basename(str(file["path"]))


def _summary(results: SweepResults) -> str:
    record, rings = results.record, results.rings
    first, last = record["source"]["image_numbers"]
    images = f"Image {first}" if first == last else f"Images {first} to {last}"
    if rings is None:
        return f"{images}, read by {record['source']['format_class']}."
    n_zero, n_pixels = rings.n_zero.sum(), rings.n_pixels.sum()
    return (
        f"{images}, read by {record['source']['format_class']}: {_big(n_zero)} of "
        f"{_big(n_pixels)} pixels ({100 * n_zero / max(n_pixels, 1):.1f} %) were recorded "
        f"as zero. {'Most' if results.unfitted else 'They'} got a value at or below "
        "zero, all others are as they were."
    )


def _big(number: float) -> str:
    return f"{number / 1e6:.3g} million" if number >= 1e6 else f"{number:.0f}"


def _sections(results: SweepResults) -> list[Section]:
    sections = [_verdict(results)]
    rings, illustrations = results.rings, results.illustrations
    if rings is not None and illustrations is not None:
        sections += _figures(results, rings, illustrations)
    evidence = verdict_figures(results.record["verdict"])
    if evidence is not None:
        sections.append(Section("What the verdict rests on", [evidence]))
    if rings is not None:
        sections.append(_numbers(rings))
    return [*sections, _run(results.record)]


def _verdict(results: SweepResults) -> Section:
    verdict = results.record["verdict"]
    kind = VerdictClass(verdict["class"])
    reason = str(verdict["reason"])
    sentence = reason[:1].upper() + reason[1:] + "."
    if kind in (VerdictClass.TRUNCATED, VerdictClass.NO_ZEROS):
        level = "good"
    else:
        level = "plain" if results.rings is None else "warning"
    sentences = [sentence]
    if results.rings is None and kind is VerdictClass.TRUNCATED:
        sentences.append("dials.truncfix would correct these images.")
    elif results.rings is None and kind is not VerdictClass.NO_ZEROS:
        sentences.append(REMEDIES[kind])
    content: list[Content] = [
        Notice([" ".join(sentences)], level, _HEADLINES[kind]),
    ]
    found = cautions(results)
    if found:
        content.append(Notice(found, "warning", "Before you trust it"))
    elif results.rings is not None:
        content.append(
            Notice(
                [
                    "The fits follow the histograms in every annulus, all images could "
                    "be fitted, and the gain is well determined."
                ],
                "good",
                "Nothing calls for attention",
            )
        )
    if "gain" in results.record:
        content.append(Table(["What was written", ""], _written(results)))
    return Section("Verdict", content)


def _written(results: SweepResults) -> list[list[str]]:
    record = results.record
    estimate = record.get("gain_estimate") or {}
    rows = [
        ["Gain (variance over mean)", f"{record['gain']:.4g} ADU"],
        ["Pedestal", f"{record['pedestal']:.4g} ADU".replace("-", "−")],
    ]
    if estimate.get("reliable"):
        rows.append(["Read noise", f"{estimate['read_noise']:.2f} ADU"])
    if record.get("offset"):
        rows.append(["Offset of every stored pixel", f"{record['offset']} ADU"])
    rows.append(["Seed of the draws", str(record["seed"])])
    draws = record.get("replicates") or []
    if draws:
        rows.append(["Images", str(draws[0]["images"])])
    if len(draws) > 1:
        rows.append(["Draws", f"{len(draws)}, of which this page shows the first"])
    return rows


def _figures(
    results: SweepResults, rings: RingSeries, illustrations: Illustrations
) -> list[Section]:
    sections = []
    if illustrations.picture is not None:
        frames, pieces = picture_figures(illustrations.picture)
        sections.append(
            Section(
                "Before and after",
                [
                    _ASSIGNED[results.record["parameters"]["assign"]],
                    frames,
                    pieces,
                ],
            )
        )
    if illustrations.histograms is not None:
        images = illustrations.histograms.images
        fitted = _POOLED[results.record["parameters"]["histograms"]]
        n_regions = len(illustrations.histograms.d_limits)
        some = (
            f" {MOST_FIGURES} of {n_regions} are shown."
            if n_regions > MOST_FIGURES
            else ""
        )
        which = (
            f"image {images[0]}"
            if len(images) == 1
            else f"{len(images)} images from {images[0]} to {images[-1]}"
        )
        sections.append(
            Section(
                "Histograms and fits",
                [
                    f"The low counts of {which}. The line was fitted to the bars above "
                    "zero and to the number of zeros; the orange bars should fill it "
                    f"up below zero. rmsd and χ² are those of the fits of {fitted}, "
                    "averaged over the sweep: χ² is 1 where bars and line differ by "
                    f"chance only.{some}",
                    histogram_figures(illustrations.histograms, rings),
                ],
            )
        )
    sections += [
        Section("Zeros", [zero_figures(results, rings)]),
        Section(
            "What truncation did to intensities",
            [
                "Zeros in place of negative values lift the background. Strong and weak "
                "intensities lose about as much, the lift times the number of their "
                "pixels: weak ones at high resolution lose the largest part.",
                bias_figure(results, rings),
            ],
        ),
        Section("Along the sweep", [drift_figures(results, rings)]),
    ]
    noise = noise_section(results.record, illustrations)
    return sections if noise is None else [*sections, noise]


def _numbers(rings: RingSeries) -> Section:
    with np.errstate(invalid="ignore", divide="ignore"):
        zeros = 100 * rings.n_zero.sum(axis=0) / rings.n_pixels.sum(axis=0)
    n_images = len(rings.n_pixels)
    columns = {name: rings.average(name) for name in (
        "p_nonpositive", "mean", "sd", "mean_nonpositive", "lift", "rmsd", "chi_square",
    )}  # fmt: skip
    rows = [
        [
            k + 1,
            shell_name(*rings.d_limits[k]).removesuffix(" Å"),
            round(rings.n_pixels[:, k].sum() / n_images),
            ", ".join(
                f"{count} {name}" for name, count in rings.models[k].most_common()
            )
            or "none",
            _number(zeros[k], 2),
            _number(100 * columns["p_nonpositive"][k], 2),
            _number(columns["mean"][k], 2),
            _number(columns["sd"][k], 2),
            _number(columns["mean_nonpositive"][k], 2),
            _number(-(BOX**2) * columns["lift"][k], 0),
            _number(columns["rmsd"][k], 1),
            _number(columns["chi_square"][k], 2),
        ]
        for k in range(rings.n_rings)
    ]
    header = [
        "Annulus",
        "d (Å)",
        "Pixels",
        "Fits",
        "Zeros (%)",
        "P(x\u00a0≤\u00a00) (%)",
        "Mean (ADU)",
        "Standard deviation (ADU)",
        "Mean of zeros (ADU)",
        f"Bias in {BOX}\u00a0×\u00a0{BOX} (ADU)",
        "rmsd (pixels per ADU)",
        "χ² per degree of freedom",
    ]
    caption = (
        "Averages over the images. Mean and standard deviation are those of the fitted "
        "distribution, the mean of zeros what the zeros had been on average."
    )
    return Section("Annuli in numbers", [Table(header, rows, caption)])


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"


def _run(record: Mapping[str, Any]) -> Section:
    versions = [[name, str(value)] for name, value in record["versions"].items()]
    parameters = [
        [name, "None" if value is None else str(value)]
        for name, value in record["parameters"].items()
    ]
    files = record["source"]["files"]
    shown = [
        [_file_name(file), str(file["bytes"]), str(file["sha256"])]
        for file in files[:_MOST_FILES]
    ]
    content: list[Content] = [
        Table(["Source file", "Bytes", "SHA-256"], shown),
        Table(["Parameter of the correction", "Value"], parameters),
        Table(["Software", "Version"], versions),
    ]
    if len(files) > _MOST_FILES:
        content.insert(
            1,
            f"The first {_MOST_FILES} of {len(files)} files; dials.truncfix.json has all.",
        )
    statistics = record["verdict"].get("statistics") or {}
    content.append(
        Table(
            ["Statistic of the verdict", "Value"],
            [
                [name.replace("_", " "), "–" if value is None else f"{value:.4g}"]
                for name, value in statistics.items()
            ],
        )
    )
    return Section("The run", content, folded=True)
