"""Tables of the comparison with the truth."""

from __future__ import annotations

from collections.abc import Callable

from arms import ArmResult

from dials_truncfix.compare.agreement import Agreement


def comparison_rows(results: list[ArmResult]) -> tuple[list[str], list[list[str]]]:
    """Arrange the figures in rows, one column for each way of processing.

    Returns
    -------
    list of str
        Header.
    list of list of str
        Rows, their names first.
    """
    rows: list[list[str]] = []

    def add(name: str, value: Callable[[ArmResult], str]) -> None:
        rows.append([name, *(value(result) for result in results)])

    def add_bins(
        name: str, bins: Callable[[ArmResult], list[Agreement]], value: str
    ) -> None:
        for i, limits in enumerate(bins(results[0])):
            add(
                name.format(limits.low, limits.high),
                lambda r, i=i: value.format(bins(r)[i]),  # type: ignore[misc]
            )

    add("strong spots", lambda r: f"{r.n_strong}")
    add("of these false", lambda r: f"{r.n_false}")
    add("recall of 100-500 e⁻", lambda r: f"{r.recall:.2f}")
    add("strong spots indexed", lambda r: f"{100 * r.n_indexed / r.n_strong:.1f} %")
    add("cell a, c (Å)", lambda r: f"{r.cell[0]:.3f}, {r.cell[2]:.3f}")
    add("reflections integrated", lambda r: f"{r.n_integrated}")
    add("background modelling failed", lambda r: f"{r.n_failed_background}")
    add("CC with truth, d > 4 Å", lambda r: f"{r.correlation_to_4:.4f}")
    add("slope 20-4 Å / 1.65-1.5 Å", lambda r: f"{r.slope_ratio:.3f}")
    add_bins("slope {:.2f}-{:.2f} Å", lambda r: r.by_resolution, "{0.slope:.3f}")
    add_bins(
        "bias {:.0f}-{:.0f} e⁻",
        lambda r: r.by_intensity,
        "{0.bias:+.2f} ± {0.bias_error:.2f}",
    )
    add_bins("z-sd {:.0f}-{:.0f} e⁻", lambda r: r.by_intensity, "{0.z_sd:.2f}")
    return ["", *(result.name for result in results)], rows
