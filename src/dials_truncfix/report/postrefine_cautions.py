"""What a reader of a postrefinement has to know before using it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from dials_truncfix.postrefine.lattice.target import PARAMETER_NAMES
from dials_truncfix.report.parameter_figures import QUANTITIES
from dials_truncfix.report.postrefine_results import PostrefineResults, numbers

_MOST_REJECTED = 0.2
_LAST_CHANGE = 0.01
_MOST_DROPPED = 0.1
_SPREADS = (0.67, 1.5)
_MOST_OUTLIERS = 0.02
_LEAST_COMPLETENESS = 0.9
_LEAST_MULTIPLICITY = 3.0
_FREE_OVER_WORK = 1.3
_PARTIALITY_OFF = 0.05
_SIGNIFICANT = 4.0


def cautions(results: PostrefineResults) -> list[str]:
    """List what calls for attention; nothing if all is well."""
    record = results.record
    found = [
        _rejected(results),
        _not_converged(record),
        *_merged(record),
    ]
    if results.accepted.any():
        found += [
            _spread(results),
            _dropped(results),
            _outlier_lattices(results),
            _partiality(record),
            _overfit(record),
        ]
    return [sentence for sentence in found if sentence]


def _rejected(results: PostrefineResults) -> str:
    counts = Counter(reason for reason in results.reasons if reason is not None)
    total = sum(counts.values())
    if total <= _MOST_REJECTED * len(results.reasons):
        return ""
    reason, count = counts.most_common(1)[0]
    return (
        f"{total} of {len(results.reasons)} lattices were left out, {count} of them for: "
        f"{reason}."
    )


def _not_converged(record: Mapping[str, Any]) -> str:
    cycles = record["cycles"]
    if len(cycles) < 2:
        return ""
    change = cycles[-1]["change"]
    if change is not None and change < _LAST_CHANGE:
        return ""
    return "The cycles have not converged: give more of them (cycles.maximum), or a reference."


def _merged(record: Mapping[str, Any]) -> list[str]:
    if not record["shells"]:
        return []
    overall, result = record["shells"][-1], []
    if overall["completeness"] < _LEAST_COMPLETENESS:
        result.append(
            f"Only {100 * overall['completeness']:.0f} % of the reflections to "
            f"{overall['d_min']:.2f} Å were measured: more lattices, or a lower resolution "
            "limit (d_min), are needed."
        )
    if overall["multiplicity"] < _LEAST_MULTIPLICITY:
        result.append(
            f"A merged reflection rests on {overall['multiplicity']:.1f} observations on "
            "average: with so few, errors of single lattices do not average out."
        )
    outliers, merged = record["n_outliers"], record["n_merged"]
    if outliers > _MOST_OUTLIERS * merged:
        result.append(
            f"{outliers} observations, {100 * outliers / (outliers + merged):.1f} %, "
            "deviate too much and were not merged: their uncertainties may be too small."
        )
    return result


def _spread(results: PostrefineResults) -> str:
    spread = results.of_accepted("spread")
    if not len(spread) or _SPREADS[0] <= np.median(spread) <= _SPREADS[1]:
        return ""
    return (
        f"Observations scatter by {np.median(spread):.3g} times their standard deviations: "
        "those of integration are wrong. What was written includes this factor, but weak "
        "and strong observations may not be weighted well."
    )


def _dropped(results: PostrefineResults) -> str:
    counts = results.n_dropped
    many = [
        f"{QUANTITIES[name].symbol} of {counts[name]}"
        for name in PARAMETER_NAMES
        if counts[name] > _MOST_DROPPED * results.accepted.sum()
    ]
    if not many:
        return ""
    return (
        f"The observations do not carry all parameters: {', '.join(many)} of "
        f"{results.accepted.sum()} lattices could not be refined."
    )


def _outlier_lattices(results: PostrefineResults) -> str:
    lattices = {outlier.lattice for outlier in results.outliers()}
    if not lattices:
        return ""
    n = len(lattices)
    return (
        f"{n} accepted {'lattice is' if n == 1 else 'lattices are'} far from all others in "
        f"{'a parameter' if n == 1 else 'some parameter'}: see the table below the "
        "histograms."
    )


def _partiality(record: Mapping[str, Any]) -> str:
    if record["profiles"] is None:
        return ""
    profile = record["profiles"]["by_partiality"]
    observed, calculated, sd = (
        numbers(profile[name]) for name in ("observed", "calculated", "observed_sd")
    )
    off = np.abs(observed - calculated)
    with np.errstate(invalid="ignore", divide="ignore"):
        bad = (off > _PARTIALITY_OFF) & (off > _SIGNIFICANT * sd)
    if not bad.any():
        return ""
    worst = int(np.argmax(np.where(bad, off, 0.0)))
    return (
        "Calculated partialities are not those observed: where "
        f"{calculated[worst]:.2f} of a reflection is expected, {observed[worst]:.2f} was "
        "recorded. The model, the radius or the orientations are wrong."
    )


def _overfit(record: Mapping[str, Any]) -> str:
    used = [h for h in record["held_out"] if h["model"] == record["model"]]
    if not used or used[0]["r_free"] <= _FREE_OVER_WORK * used[0]["r_work"]:
        return ""
    return (
        f"Observations held out have a residual of {used[0]['r_free']:.3f}, all others of "
        f"{used[0]['r_work']:.3f}: lattices have more parameters than their observations "
        "carry. Try protocol=rs, or narrower priors."
    )
