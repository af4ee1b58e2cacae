"""Commands of DIALS on what dials.truncfix and dials.truncfix_postrefine write.

Usage: python benchmarks/neighbours.py [--quick] [--inputs NAME ...] [--only WORD ...]
           [--folder FOLDER] [--json FOLDER]

A simulated sweep is corrected to each output format, stills integrated by dials.stills_process
are postrefined to one pair of files and to numbered parts, and one command of DIALS after the
other is run on them. Each has to end with exit code 0 and leave behind what it should, which
has to be the same for every format. The main commands, and those that may fail whatever they
are given, are run on stock data as well, which this package did not touch. Ends with 1 if
anything failed that did not fail in the same way there. With --json what happened goes to
FOLDER/dials-VERSION.json, from which benchmarks/neighbours_page.py makes a page; what was not
tried this time stays in it. With --folder, inputs that are there are used again; with --only,
what the commands before left there too.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from neighbour_inputs import (
    INPUTS,
    STOCK_STILLS,
    STOCK_SWEEP,
    SWEEPS,
    TABLES,
    fresh_copy,
)
from neighbour_outcomes import Outcome, judged, recorded, write_record
from neighbour_steps import Step
from neighbour_sweeps import sweep_steps
from neighbour_tables import table_steps
from stock_dials import BIN
from window import virtual_display, watch

from dials.util.version import dials_version

#: Longest time for a command, and for a window to show something, s.
PATIENCE = 900
#: What a failed command printed last is shortened to so many characters.
LONGEST = 160


def attempt(step: Step, folder: Path, kind: str, display: Path | None) -> Outcome:
    """Run a step, and check what it leaves behind."""

    def outcome(status: str, message: str) -> Outcome:
        return Outcome(step.name, step.command, kind, status, message)

    program, *words = shlex.split(step.command)
    arguments = [name for word in words for name in _expanded(folder, word)]
    missing = [
        word for word in arguments if "=" not in word and not (folder / word).exists()
    ]
    if missing:
        return outcome("absent", f"no {missing[0]}: the step before it failed")
    if not (BIN / program).exists():
        return outcome("absent", "not part of this release")
    if step.display and display is None:
        return outcome("absent", "Xvfb is not installed")
    command = [str(BIN / program), *arguments]
    printed = ""
    try:
        printed = (
            watch(command, folder, display, PATIENCE)
            if step.display and display is not None
            else _printed(command, folder)
        )
        return outcome("done", step.check(folder, printed))
    except subprocess.CalledProcessError as error:
        printed = str(error.output)
        message = _last_words(printed)
        message = f"exit code {error.returncode}: {message}"
    except subprocess.TimeoutExpired:
        message = f"not done after {PATIENCE} s"
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        message = str(error)
    if step.reason is None or not re.search(step.reason.message, message):
        return outcome("failed", message)
    if step.reason.complete:
        try:
            message = f"exit code 1, but {step.check(folder, printed)}"
        except ValueError as error:
            return outcome("failed", str(error))
    return replace(outcome("failed", message), reason=step.reason.text)


def _expanded(folder: Path, word: str) -> list[str]:
    """Put file names in the place of a pattern, as a shell does."""
    if "*" not in word:
        return [word]
    found = sorted(str(path.relative_to(folder)) for path in folder.glob(word))
    return found or [word]


def _printed(command: list[str], folder: Path) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(os.environ, PATH=path),
        timeout=PATIENCE,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
    return done.stdout


def _last_words(printed: str) -> str:
    """Take the end of what a program said, without the advice on where to write to."""
    text = re.sub(r"Please report this error .*?@\S+:\s*", "", printed).strip()
    if (sorry := text.rfind("Sorry: ")) >= 0:
        text = text[sorry:]
    else:
        text = text.splitlines()[-1] if text else "it printed nothing"
    return " ".join(text.split())[:LONGEST]


def steps_on(kind: str) -> Iterator[Step]:
    """Yield what is tried on an input; on stock data what ours is compared with."""
    if kind in SWEEPS:
        yield from sweep_steps(SWEEPS[kind])
    elif kind in TABLES:
        yield from table_steps(kind)
    else:
        sweep = kind == STOCK_SWEEP
        steps = sweep_steps("stock_*.cbf", "stock.expt") if sweep else table_steps(kind)
        yield from (step for step in steps if step.quick or step.reason)


def chosen(kind: str, args: argparse.Namespace, first: bool) -> Iterator[Step]:
    """Leave out what was not asked for, or was done on the first input of its kind."""
    for step in steps_on(kind):
        named = not args.only or any(word in step.command for word in args.only)
        if named and (step.quick or not args.quick) and (first or not step.once):
            yield step


def try_all(
    args: argparse.Namespace, folder: Path, keep: Callable[[list[Outcome]], None]
) -> list[Outcome]:
    """Make all inputs, try every step on each, and keep what is known after each."""
    outcomes: list[Outcome] = []
    inputs = args.inputs or INPUTS
    firsts = {
        next((kind for kind in inputs if kind in kinds), None)
        for kinds in (SWEEPS, TABLES, [STOCK_SWEEP], [STOCK_STILLS])
    }
    with virtual_display() as display:
        for kind in inputs:
            work = fresh_copy(kind, folder, again=bool(args.only))
            for step in chosen(kind, args, kind in firsts):
                outcome = attempt(step, work, kind, display)
                # whether a failure is known is seen when stock data were tried too
                status = "stock?" if outcome.reason else outcome.status
                print(
                    f"{kind:15}{status:7}{outcome.command}\n{'':22}{outcome.message}",
                    flush=True,
                )
                outcomes.append(outcome)
            keep(outcomes)
    return outcomes


def main() -> int:
    """Try everything; returns 1 if something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the main commands")
    parser.add_argument("--inputs", nargs="+", choices=INPUTS)
    parser.add_argument(
        "--only", nargs="+", default=[], help="commands with one of these words"
    )
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, help="folder for the record")
    args = parser.parse_args()
    found = re.search(r"\d+(\.\w+)+", dials_version())
    version = found[0] if found else "unknown"
    path = args.json / f"dials-{version}.json" if args.json else None
    steps = {kind: list(steps_on(kind)) for kind in INPUTS}
    whole = not (args.quick or args.inputs or args.only)
    before = [] if whole or path is None else recorded(path)

    def keep(outcomes: list[Outcome]) -> None:
        if path is not None:
            write_record(path, version, judged(steps, before, outcomes))

    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        outcomes = try_all(args, folder, keep)
    everything = judged(steps, before, outcomes)
    failed = [each for each in everything if each.status == "failed"]
    print(f"\nDIALS {version}: {len(outcomes)} tried, {len(failed)} failed in all")
    for each in failed:
        print(f"{each.input}: {each.command}: {each.message}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
