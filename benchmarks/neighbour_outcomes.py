"""What became of the commands of DIALS: what is known to fail, and the record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from neighbour_inputs import INPUTS, STOCK_STILLS, STOCK_SWEEP, SWEEPS, TABLES
from neighbour_steps import Step


@dataclass(frozen=True)
class Outcome:
    """What became of a command on an input.

    Attributes
    ----------
    name : str
        What was tried.
    command : str
        As typed.
    input : str
        What it was tried on.
    status : str
        done, failed, known (fails on stock data too) or absent (not tried).
    message : str
        What came out, or what went wrong.
    reason : str
        Why it may fail on stock data too.
    """

    name: str
    command: str
    input: str
    status: str
    message: str
    reason: str = ""


def judged(
    steps: Mapping[str, Sequence[Step]], before: list[Outcome], now: list[Outcome]
) -> list[Outcome]:
    """Put together what was tried, and judge it as a whole.

    Parameters
    ----------
    steps : mapping of str to sequence of Step
        What there is to try on each input.
    before : list of Outcome
        What was tried before; what is no longer among the steps is left out.
    now : list of Outcome
        What was tried this time, in the place of the same before.
    """
    latest = {(each.input, each.command): each for each in (*before, *now)}
    kept = [
        _in_words_of_today(latest[kind, step.command], step)
        for kind in INPUTS
        for step in steps[kind]
        if (kind, step.command) in latest
    ]
    same = {step.command for kind in SWEEPS for step in steps[kind] if step.same}
    return known(compared(kept, same))


def _in_words_of_today(outcome: Outcome, step: Step) -> Outcome:
    known_as = step.reason.text if step.reason and outcome.reason else ""
    return replace(outcome, reason=known_as)


def compared(outcomes: list[Outcome], same: set[str]) -> list[Outcome]:
    """Let steps fail whose output is not that of the first sweep."""
    first: dict[str, str] = {}

    def checked(each: Outcome) -> Outcome:
        # what is read again has another name for every format
        if (
            each.input not in SWEEPS
            or each.status != "done"
            or each.command not in same
        ):
            return each
        expected = first.setdefault(each.command, each.message)
        if each.message == expected:
            return each
        message = f"{each.message}, in the place of {expected}"
        return replace(each, status="failed", message=message)

    return [checked(each) for each in outcomes]


def known(outcomes: list[Outcome]) -> list[Outcome]:
    """Tell failures that stock data have too from those that only ours have."""
    stock = {
        (each.input, anonymous(each.command), each.reason)
        for each in outcomes
        if each.input in (STOCK_SWEEP, STOCK_STILLS) and each.reason
    }

    def judged(each: Outcome) -> Outcome:
        alike = STOCK_STILLS if each.input in (*TABLES, STOCK_STILLS) else STOCK_SWEEP
        if (alike, anonymous(each.command), each.reason) in stock:
            return replace(each, status="known")
        # what was known may rest on a record that is no longer true
        return replace(each, status="failed") if each.reason else each

    return [judged(each) for each in outcomes]


def anonymous(command: str) -> str:
    """Give a command without the name of what it is tried on."""
    return re.sub(r"\b(truncfix|postrefined|stock)\b", "GIVEN", command)


def recorded(path: Path) -> list[Outcome]:
    """Read what was tried before."""
    if not path.exists():
        return []
    return [Outcome(**each) for each in json.loads(path.read_text())["outcomes"]]


def write_record(path: Path, version: str, outcomes: list[Outcome]) -> None:
    """Write what happened with a release of DIALS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"dials": version, "outcomes": [asdict(each) for each in outcomes]}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
