"""A calibration of gain and noise as a page."""

from __future__ import annotations

from dials_truncfix.calibrate.gain.gain_calibration import GainCalibration
from dials_truncfix.calibrate.gain.gain_words import (
    findings,
    gain_table,
    image_table,
    warnings,
)
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.count_figures import count_figures
from dials_truncfix.report.page import Content, FigureGrid, Notice, Section, render_page
from dials_truncfix.report.transfer_figures import correlation_figure, transfer_figures


def gain_page(result: GainCalibration) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(gain_table(result)),
    ]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    sections = [Section("Gain and noise", words)]
    if result.transfer is not None:
        sections.append(
            Section("Photon transfer", [FigureGrid(transfer_figures(result))])
        )
    if counts := count_figures(result):
        sections.append(Section("Counts near zero", [FigureGrid(counts)]))
    if result.correlation is not None:
        sections.append(
            Section("Neighbouring pixels", [FigureGrid([correlation_figure(result)])])
        )
    sections.append(Section("Images", [html_table(image_table(result))], folded=True))
    return render_page(
        "Gain, pedestal and read noise",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )
