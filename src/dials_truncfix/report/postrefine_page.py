"""The report of dials.truncfix_postrefine: from the record of a run to a page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from dials_truncfix.postrefine.results.record import B_CONVENTION, PROGRAM
from dials_truncfix.report.convergence_figures import (
    cycle_figures,
    error_figure,
    model_figure,
    model_table,
)
from dials_truncfix.report.correlation_figures import correlation_figures
from dials_truncfix.report.page import (
    Content,
    FigureGrid,
    Notice,
    Section,
    Table,
    render_page,
)
from dials_truncfix.report.parameter_figures import (
    correlation_histogram,
    outlier_table,
    parameter_grid,
    scale_figure,
)
from dials_truncfix.report.partiality_figures import partiality_figures
from dials_truncfix.report.postrefine_cautions import cautions
from dials_truncfix.report.postrefine_results import (
    PostrefineResults,
    postrefine_results,
)
from dials_truncfix.report.postrefine_shells import shell_content
from dials_truncfix.report.records import damage_of

_MOST_NAMED = 5
_MOST_FILES = 12
_MEANING = (
    "G multiplies all intensities of a lattice. It tells how much of a crystal was in the "
    "beam, for how long and in how strong a pulse, and how much of the beam ice, solvent and "
    "support took away: contrast and illumination. It is no size. A lattice of G = 1.5 "
    "recorded one and a half times the intensity of one of G = 1 from the same structure; "
    "neither its cell nor its spots are larger. A wrong cell or camera length shows in the "
    "positions of spots, and a larger reciprocal lattice point in rs.",
    "Full intensities are the observed ones over G, and their variances over its square: a "
    "weakly diffracting lattice is brought to the scale of all others and counts less in the "
    "means. A few lattices far from the others need not be wrong, but look at their images.",
)


def postrefine_page(record: Mapping[str, Any], name: str = f"{PROGRAM}.json") -> str:
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
        results = postrefine_results(record)
        title, summary = _title(record), _summary(results)
        sections = _sections(results)
    return render_page(title, sections, program=PROGRAM, summary=summary)


def _title(record: Mapping[str, Any]) -> str:
    files = [os.path.basename(str(path)) for path in record["files"]]
    names = [file for file in files if not file.endswith(".expt")] or files
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Postrefinement of {names[0]}{more}"


def _summary(results: PostrefineResults) -> str:
    record = results.record
    overall = record["shells"][-1] if record["shells"] else None
    text = (
        f"{results.accepted.sum()} of {len(results.accepted)} lattices are on one scale"
    )
    if overall is None:
        return f"{text}."
    return (
        f"{text}: {record['n_merged']} observations of {overall['n_unique']} reflections "
        f"to {overall['d_min']:.2f} Å in {record['space_group']}."
    )


def _sections(results: PostrefineResults) -> list[Section]:
    record = results.record
    sections = [_verdict(results), _rejected(results)]
    if results.accepted.any():
        sections += [
            Section("What the scale of a lattice means", _scale(results)),
            Section("Orientation, disorder and radius", _parameters(results)),
        ]
        figures = partiality_figures(results)
        if figures is not None:
            sections.append(
                Section(
                    "Partiality",
                    [
                        "Observations of all accepted lattices, those of small partiality "
                        "too, beside their reference intensities. Outliers are left out.",
                        figures,
                    ],
                )
            )
    if record["held_out"]:
        sections.append(_models(record))
    if record["error_check"]:
        sections.append(_errors(record))
    if record["shells"]:
        sections.append(Section("Resolution shells", shell_content(record["shells"])))
    if results.accepted.any():
        sections.append(
            Section("Correlations of parameters", [correlation_figures(results)])
        )
    sections.append(_cycles(results))
    return [*sections, _run(record)]


def _verdict(results: PostrefineResults) -> Section:
    record = results.record
    found = cautions(results)
    first, *others = map(str, record["findings"])
    content: list[Content] = [Notice(others, "plain", first)]
    if found:
        content.append(Notice(found, "warning", "Before you trust it"))
    else:
        content.append(
            Notice(
                [
                    "Calculated partialities agree with what was observed, uncertainties "
                    "with the scatter, and the refinement converged."
                ],
                "good",
                "Nothing calls for attention",
            )
        )
    content.append(Table(["What was made", ""], _made(results)))
    return Section("Verdict", content)


def _made(results: PostrefineResults) -> list[list[str]]:
    record = results.record
    reference = record["parameters"]["reference"]["file"]
    cell = ", ".join(f"{x:.5g}" for x in record["unit_cell"])
    rows = [
        ["Model of partiality", str(record["model"])],
        [
            "Reference",
            os.path.basename(reference) if reference else "the data themselves",
        ],
        ["Space group and mean cell", f"{record['space_group']}; {cell} (Å, °)"],
        ["B", f"Wilson factor of intensities: {record['b_convention']}"],
    ]
    if record["shells"]:
        overall = record["shells"][-1]
        rows += [
            ["Completeness", f"{100 * overall['completeness']:.1f} %"],
            ["Multiplicity", f"{overall['multiplicity']:.1f}"],
            ["CC½ and R split", f"{_number(overall['cc_half'], 4)} and "
             f"{_number(overall['r_split'], 3)}"],
        ]  # fmt: skip
        if overall["cc_reference"] is not None:
            rows.append(
                [
                    "CC to the reference and R iso",
                    f"{_number(overall['cc_reference'], 4)} and "
                    f"{_number(overall['r_iso'], 3)}",
                ]
            )
    return rows


def _rejected(results: PostrefineResults) -> Section:
    counts = Counter(reason for reason in results.reasons if reason is not None)
    if not counts:
        return Section("Lattices left out", ["None: all lattices were accepted."])
    rows = []
    for reason, count in counts.most_common():
        names = [
            identifier
            for identifier, why in zip(results.identifiers, results.reasons)
            if why == reason
        ]
        more = f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
        share = 100 * count / len(results.reasons)
        rows.append(
            [reason, count, f"{share:.1f}", ", ".join(names[:_MOST_NAMED]) + more]
        )
    caption = (
        f"{sum(counts.values())} of {len(results.reasons)} lattices; each has the first "
        "reason that holds. The record names all of them."
    )
    return Section(
        "Lattices left out",
        [Table(["Reason", "Lattices", "%", "Which"], rows, caption)],
    )


def _scale(results: PostrefineResults) -> list[Content]:
    figures = [scale_figure(results), correlation_histogram(results)]
    return [*_MEANING, FigureGrid(figures, 2)]


def _parameters(results: PostrefineResults) -> list[Content]:
    content: list[Content] = [
        f"B is the Wilson factor of intensities, {B_CONVENTION}. Programs differ: for the "
        "same data cctbx.xfel's is a quarter of it, and CrystFEL's twice as large.",
        parameter_grid(results),
    ]
    outliers = results.outliers()
    if outliers:
        content.append(outlier_table(results, outliers))
    return content


def _models(record: Mapping[str, Any]) -> Section:
    return Section(
        "Models compared",
        [
            "Each model was fitted to nine tenths of the observations of every lattice, "
            "and predicted the tenth that was held out. A model of long tails that loses "
            "says that observations far from the sphere are false predictions.",
            FigureGrid([model_figure(record["held_out"])], 2),
            model_table(record["held_out"]),
        ],
    )


def _errors(record: Mapping[str, Any]) -> Section:
    model = record["error_model"]
    words = (
        "No error model was fitted."
        if model is None
        else f"Error model: the variance of a full intensity is {model['a']:.3g}² "
        f"(variance + ({model['b']:.3g} I)²)."
    )
    return Section(
        "Uncertainties", [words, FigureGrid([error_figure(record["error_check"])], 2)]
    )


def _cycles(results: PostrefineResults) -> Section:
    cycles = results.record["cycles"]
    if len(cycles) < 2:
        return Section(
            "Convergence",
            ["One cycle, as the reference was given: there was nothing to converge."],
        )
    tolerance = float(results.record["parameters"]["cycles"]["tolerance"])
    return Section(
        "Convergence",
        [
            "Every cycle refines the lattices against the mean of the others, which it "
            "then makes anew. The first one brings them on one scale only.",
            cycle_figures(cycles, len(results.accepted), tolerance),
        ],
    )


def _number(value: float | None, digits: int) -> str:
    if value is None or not np.isfinite(value):
        return "unknown"
    return f"{value:.{digits}f}".replace("-", "−")


def _run(record: Mapping[str, Any]) -> Section:
    files = [str(path) for path in record["files"]]
    parameters = [
        [name, "None" if value is None else str(value)]
        for name, value in _flat(record["parameters"])
    ]
    versions = [[name, str(value)] for name, value in record["versions"].items()]
    content: list[Content] = [
        Table(["File"], [[os.path.basename(file)] for file in files[:_MOST_FILES]]),
        Table(["Parameter", "Value"], parameters),
        Table(["Software", "Version"], versions),
    ]
    if len(files) > _MOST_FILES:
        content.insert(
            1, f"The first {_MOST_FILES} of {len(files)} files; the record has all."
        )
    return Section("The run", content, folded=True)


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    result = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            result += _flat(value, f"{prefix}{name}.")
        else:
            result.append((f"{prefix}{name}", value))
    return result
