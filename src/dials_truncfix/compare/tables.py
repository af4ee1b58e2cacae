"""The figures of a comparison as rows of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dials_truncfix.compare.agreement import Agreement
from dials_truncfix.compare.comparison import Comparison, TruthFigures
from dials_truncfix.compare.results import Compared


@dataclass(frozen=True)
class Table:
    """A table with its title.

    Attributes
    ----------
    title : str
        What it shows.
    header : list of str
        Heads of the columns; they may hold line breaks.
    rows : list of list of str
        Cells.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def comparison_tables(compared: Compared) -> list[Table]:
    """Arrange all figures; the last row of shells is the whole range."""
    comparison = compared.comparison
    tables = [_change_table(comparison, compared.unit), _merged_table(comparison)]
    before, after = comparison.truth_before, comparison.truth_after
    if before is not None and after is not None:
        tables.append(_truth_table(before, after))
        tables.append(_bias_table(before, after, comparison.truth_unit))
    return tables


def _change_table(comparison: Comparison, unit: str) -> Table:
    header = [
        "d (Å)",
        "both",
        "only\nbefore",
        "only\nafter",
        f"mean\nbefore ({unit})",
        f"after - before\n({unit})",
        "after /\nbefore",
        "negative (%)\nbefore",
        "\nafter",
        "<I/σ>\nbefore",
        "\nafter",
    ]
    places = decimals(comparison)
    rows = [
        [
            _limits(c.d_max, c.d_min),
            f"{c.n_common}",
            f"{c.n_only_before}",
            f"{c.n_only_after}",
            number(c.mean_before, f".{places}f"),
            f"{number(c.change, f'+.{places + 1}f')} ± "
            f"{number(c.change_error, f'.{places + 1}f')}",
            number(c.ratio, ".3f"),
            number(100 * c.negative_before, ".1f"),
            number(100 * c.negative_after, ".1f"),
            number(c.i_over_sigma_before, ".2f"),
            number(c.i_over_sigma_after, ".2f"),
        ]
        for c in comparison.changes
    ]
    return Table("Integrated reflections that both tables hold", header, rows)


def decimals(comparison: Comparison) -> int:
    """Decimals that give a mean intensity four digits; scaled ones may be small."""
    mean = abs(comparison.changes[-1].mean_before)
    return int(min(max(3 - math.floor(math.log10(mean)), 1), 9)) if mean > 0 else 1


def _merged_table(comparison: Comparison) -> Table:
    with_truth = comparison.truth_before is not None
    header = ["d (Å)"]
    for name in ("unique", "complete (%)", "multiplicity", "<I/σ>", "CC½"):
        header += [f"{name}\nbefore", "\nafter"]
    if with_truth:
        for name in ("√(2CC½/(1+CC½))", "CC with truth"):
            header += [f"{name}\nbefore", "\nafter"]
    rows = []
    for pair in zip(comparison.merged_before, comparison.merged_after):
        row = [_limits(pair[0].d_max, pair[0].d_min)]
        row += [f"{m.n_unique}" for m in pair]
        row += [number(100 * m.completeness, ".1f") for m in pair]
        row += [number(m.multiplicity, ".2f") for m in pair]
        row += [number(m.i_over_sigma, ".2f") for m in pair]
        row += [number(m.cc_half, ".3f") for m in pair]
        if with_truth:
            row += [number(m.cc_star, ".3f") for m in pair]
            row += [number(m.cc_truth, ".3f") for m in pair]
        rows.append(row)
    return Table("Merged reflections", header, rows)


def _truth_table(before: TruthFigures, after: TruthFigures) -> Table:
    header = ["d (Å)", "reflections"]
    for name in ("slope", "CC", "R", "sd of z"):
        header += [f"{name}\nbefore", "\nafter"]
    rows = [
        [
            _limits(b.low, b.high),
            f"{b.n}",
            *_both(b.slope, a.slope, ".3f"),
            *_both(b.correlation, a.correlation, ".3f"),
            *_both(b.r_factor, a.r_factor, ".3f"),
            *_both(b.z_sd, a.z_sd, ".2f"),
        ]
        for b, a in zip(before.shells, after.shells)
    ]
    return Table("Integrated reflections against the truth", header, rows)


def _bias_table(before: TruthFigures, after: TruthFigures, unit: str) -> Table:
    header = [
        f"true intensity\n({unit})",
        "reflections",
        f"bias ({unit})\nbefore",
        "\nafter",
        "sum / true sum\nbefore",
        "\nafter",
        "sd of z\nbefore",
        "\nafter",
    ]
    rows = [
        [
            bin_name(b),
            f"{b.n}",
            _with_error(b),
            _with_error(a),
            *_both(b.ratio, a.ratio, ".3f"),
            *_both(b.z_sd, a.z_sd, ".2f"),
        ]
        for b, a in zip(before.bins, after.bins)
    ]
    return Table("Bias against the true intensity", header, rows)


def bin_name(figures: Agreement) -> str:
    """Limits of a bin of intensities."""
    return "-".join(
        f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}" for x in (figures.low, figures.high)
    )


def _with_error(figures: Agreement) -> str:
    return f"{number(figures.bias, '+.2f')} ± {number(figures.bias_error, '.2f')}"


def _both(before: float, after: float, form: str) -> Sequence[str]:
    return number(before, form), number(after, form)


def _limits(d_max: float, d_min: float) -> str:
    return f"{d_max:.2f}-{d_min:.2f}"


def number(value: float, form: str) -> str:
    """Format a number; a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"
