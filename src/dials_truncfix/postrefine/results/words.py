"""Tables and sentences about a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.gather import DataSet
from dials_truncfix.postrefine.lattice.lattices import FloatArray
from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    N_PARAMETERS,
    PARAMETER_NAMES,
    THETA_X,
    THETA_Y,
    B,
)
from dials_truncfix.postrefine.results.false_predictions import (
    choice_in_words,
    far_predictions,
)
from dials_truncfix.postrefine.results.figures import Shell
from dials_truncfix.postrefine.results.profiles import Profile, Profiles
from dials_truncfix.postrefine.results.record import B_CONVENTION, verdict_counts

#: Where so many reflections are recorded to less than this part, the five parameters of
#: simulated crystals were off by 6 standard uncertainties and more.
_NEARLY_ALL, _LEAST_RECORDED = 0.99, 0.5


@dataclass(frozen=True)
class Table:
    """A table of the log: title, header and rows of text."""

    title: str
    header: list[str]
    rows: list[list[str]]


def _text(value: float, digits: int = 3) -> str:
    return "-" if not math.isfinite(value) else f"{value:.{digits}f}"


def _significant(value: float) -> str:
    return "-" if not math.isfinite(value) else f"{value:.3g}"


def cycle_table(outcome: Outcome) -> Table:
    """How the cycles converged."""
    return Table(
        "Cycles",
        ["Cycle", "Accepted", "Change of I (%)", "Mean CC"],
        [
            [
                # the first brings the lattices on one scale only
                "scaling" if number == 0 and len(outcome.cycles) > 1 else str(number),
                str(cycle.n_accepted),
                _text(100 * cycle.change),
                _text(cycle.mean_cc, 4),
            ]
            for number, cycle in enumerate(outcome.cycles)
        ],
    )


def model_table(outcome: Outcome) -> Table:
    """How the models predict what they were not fitted to."""
    best = min((h.score for h in outcome.held_out), default=0.0)
    return Table(
        "Models of partiality, on observations held out",
        ["Model", "R free", "CC free", "R work", "CC work", "Score"],
        [
            [
                held_out.model.value,
                _text(held_out.r_free),
                _text(held_out.cc_free),
                _text(held_out.r_work),
                _text(held_out.cc_work),
                f"{held_out.score - best:+.4f}",
            ]
            for held_out in outcome.held_out
        ],
    )


def verdict_table(data: DataSet, outcome: Outcome) -> Table:
    """Count lattices by what became of them."""
    return Table(
        "Lattices",
        ["", "Number"],
        [[reason, str(count)] for reason, count in verdict_counts(data, outcome)],
    )


def parameter_table(outcome: Outcome) -> Table:
    """Percentiles of the parameters of accepted lattices, and of their uncertainties."""
    fits, accepted = outcome.fits, outcome.accepted
    if not accepted.any():
        return Table("", [], [])
    x, sd = fits.parameters[accepted], fits.uncertainties()[accepted]
    degrees = 180.0 / math.pi
    quantities = [
        ("G", np.exp(x[:, LOG_G]), np.exp(x[:, LOG_G]) * sd[:, LOG_G]),
        ("B (Å²)", x[:, B], sd[:, B]),
        ("θx (°)", degrees * x[:, THETA_X], degrees * sd[:, THETA_X]),
        ("θy (°)", degrees * x[:, THETA_Y], degrees * sd[:, THETA_Y]),
        ("rs (Å⁻¹)", np.exp(x[:, LOG_RS]), np.exp(x[:, LOG_RS]) * sd[:, LOG_RS]),
    ]
    rows = []
    for name, values, uncertainties in quantities:
        known = uncertainties[np.isfinite(uncertainties)]
        rows.append(
            [
                name,
                *(_significant(q) for q in np.percentile(values, [5, 50, 95])),
                _significant(float(np.median(known))) if len(known) else "-",
            ]
        )
    header = ["", "5 %", "Median", "95 %", "Median s.u."]
    return Table("Parameters of the accepted lattices", header, rows)


_CELL_NAMES = ("a (Å)", "b (Å)", "c (Å)", "α (°)", "β (°)", "γ (°)")


def cell_table(data: DataSet, outcome: Outcome) -> Table:
    """Percentiles of refined cells of accepted lattices, and of their uncertainties."""
    header = ["", "5 %", "Median", "95 %", "Median s.u."]
    accepted = outcome.accepted
    if not isinstance(data.observations, FreeCells) or not accepted.any():
        return Table("", header, [])
    values, sd = data.observations.refined_cells(outcome.fits)
    rows = []
    for name, value, uncertainty in zip(
        _CELL_NAMES, values[accepted].T, sd[accepted].T
    ):
        known = uncertainty[np.isfinite(uncertainty)]
        percentiles = (_text(q, 3) for q in np.percentile(value, [5, 50, 95]))
        typical = _text(float(np.median(known))) if len(known) else "-"
        rows.append([name, *percentiles, typical])
    return Table("Cells of the accepted lattices", header, rows)


def error_table(outcome: Outcome) -> Table:
    """How far full intensities deviate from the mean of other lattices, by intensity."""
    return Table(
        "Deviations over their standard deviations, by intensity",
        ["I", "Number", "Before", "With the error model"],
        [
            [
                _significant(entry.intensity),
                str(entry.n),
                _text(entry.before),
                _text(entry.after),
            ]
            for entry in outcome.final.error_check
        ],
    )


def shell_table(shells: Sequence[Shell]) -> Table:
    """Figures of merged data."""
    reference = any(math.isfinite(shell.cc_reference) for shell in shells)
    header = [
        "d (Å)",
        "Merged",
        "Unique",
        "Compl. (%)",
        "Mult.",
        "I/σ",
        "CC½",
        "R split",
    ]
    header += ["CC before", "CC after"]
    header += ["R iso", "CC ref"] if reference else []
    rows = []
    for shell in shells:
        row = [
            f"{shell.d_max:.2f}-{shell.d_min:.2f}",
            str(shell.n_observed),
            str(shell.n_unique),
            _text(100 * shell.completeness, 1),
            _text(shell.multiplicity, 1),
            _text(shell.i_over_sigma, 1),
            _text(shell.cc_half, 4),
            _text(shell.r_split),
            _text(shell.cc_before),
            _text(shell.cc_after),
        ]
        if reference:
            row += [_text(shell.r_iso), _text(shell.cc_reference)]
        rows.append(row)
    return Table("Merged intensities", header, rows)


def findings(
    data: DataSet, outcome: Outcome, external: bool, binned: Profiles | None
) -> list[str]:
    """Say in sentences what the tables do not show at once."""
    accepted = outcome.accepted
    result = [
        f"{accepted.sum()} of {data.n_experiments} lattices accepted; model "
        f"{outcome.model.value}.",
        f"B is the Wilson factor of intensities: {B_CONVENTION}.",
    ]
    corrected = ", ".join(data.corrections)
    result.append(
        f"Intensities were corrected for {corrected}."
        if corrected
        else "Intensities were taken as they are, without corrections."
    )
    left_out = {reason: n for reason, n in data.left_out.items() if n}
    if left_out:
        listed = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
        result.append(f"Reflections left out: {listed}.")
    far = None if binned is None else far_predictions(binned.by_excitation_error)
    result += choice_in_words(outcome.held_out, outcome.model, far)
    if binned is not None:
        result += recorded_in_words(binned.by_partiality)
    dropped = outcome.fits.dropped[accepted]
    if dropped.any():
        cell = np.any(dropped[:, N_PARAMETERS:], axis=1)
        counts = [*dropped[:, :N_PARAMETERS].sum(axis=0), cell.sum()]
        listed = ", ".join(
            f"{name} of {count} lattices"
            for name, count in zip((*PARAMETER_NAMES, "all of the cell"), counts)
            if count
        )
        result.append(
            f"Not refined, because the observations do not carry them: {listed}."
        )
    outliers = outcome.final.n_outliers
    if outliers:
        result.append(f"{outliers} observations deviate too much and are not merged.")
    spread = outcome.fits.spread[accepted]
    if len(spread):
        result.append(_of_spread(spread))
        result.append(_of_error_model(outcome))
    if not external and accepted.any() and not outcome.cycles[-1].change < 0.01:
        result.append(
            "The cycles have not converged: give more of them (cycles.maximum), or a "
            "reference."
        )
    return result


def recorded_in_words(by_partiality: Profile) -> list[str]:
    """Warn of rotations that record no reflection to a large part.

    Parameters
    ----------
    by_partiality : Profile
        Observations in bins of calculated partiality.

    Returns
    -------
    list of str
        Empty where there is nothing to warn of.
    """
    recorded = np.cumsum(by_partiality.n)
    if not len(recorded) or recorded[-1] == 0:
        return []
    place = np.searchsorted(recorded, _NEARLY_ALL * recorded[-1])
    most = float(by_partiality.edges[1:][place])
    if most > _LEAST_RECORDED:
        return []
    return [
        f"Hardly a reflection is recorded to more than {100 * most:.0f} %: the rotations are "
        "narrower than the rocking curves, and orientations, G and rs may be wrong by far "
        "more than their uncertainties. Integrate wider rotations of each crystal."
    ]


def _of_spread(spread: FloatArray) -> str:
    median = float(np.median(spread))
    return (
        f"Residuals of a lattice scatter by {median:.3g} times their standard deviations "
        "(median); the uncertainties written include this factor."
    )


def _of_error_model(outcome: Outcome) -> str:
    model = outcome.final.error_model
    if model is None:
        return (
            "There is no error model: it was turned off, or too few observations have "
            "equivalents in several other lattices."
        )
    return f"Error model: variance = {model.a:.3g}² (variance + ({model.b:.3g} I)²)."
