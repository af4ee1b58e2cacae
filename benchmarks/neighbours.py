"""Commands of DIALS on what dials.truncfix and dials.truncfix_postrefine write.

Usage: python benchmarks/neighbours.py [--quick] [--inputs NAME ...] [--only WORD ...]
           [--folder FOLDER] [--json FOLDER]

A simulated sweep is corrected to each output format, simulated stills are postrefined to
one pair of files and to numbered parts, and one command of DIALS after the other is run on
them. Each has to end with exit code 0 and leave behind what it should, which has to be the
same for every format. With --json what happened goes to FOLDER/dials-VERSION.json, from which
benchmarks/neighbours_page.py makes a page; what was not tried this time stays in it. With
--folder, inputs that are there are used again. Ends with 1 if anything failed that is not
known to fail in DIALS itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from arms import simulate
from neighbour_steps import (
    BATCH,
    N_IMAGES,
    N_STILLS,
    SIZE,
    SWEEPS,
    TABLES,
    Step,
)
from neighbour_sweeps import sweep_steps
from neighbour_tables import table_steps
from stock_dials import BIN, run
from window import virtual_display, watch

from dials.util.version import dials_version

#: Longest time for a command, and for a window to show something, s.
PATIENCE = 900
#: What a failed command printed last is shortened to so many characters.
LONGEST = 160


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
        done, failed, known (a failure of DIALS itself) or absent (not tried).
    message : str
        What came out, or what went wrong.
    """

    name: str
    command: str
    input: str
    status: str
    message: str


def make_sweep(folder: Path) -> Path:
    """Simulate and import a truncated sweep; returns the experiments."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"scan.n_images={N_IMAGES}", f"geometry.image_size={SIZE},{SIZE}"]
    options.append("output.unclipped=False")
    _, advice = simulate(folder, options)
    run(["dials.import", *advice], folder)
    return folder / "imported.expt"


def correct(experiments: Path, folder: Path, kind: str) -> None:
    """Correct a sweep to one output format."""
    folder.mkdir()
    command = ["dials.truncfix", str(experiments), f"output.format={kind}"]
    run([*command, "output.directory=corrected", "output.html=None"], folder)


def postrefine(folder: Path, kind: str) -> None:
    """Simulate stills and put them on one scale."""
    stills = folder / "stills"
    options = [f"stills.n_lattices={N_STILLS}", "d_min=3.1", f"stills.batch={BATCH}"]
    if not stills.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["dials.truncfix_simulate", "source=stills", *options]
        run([*command, f"output.directory={stills.name}"], folder)
    most = BATCH if kind == "numbered parts" else N_STILLS
    output = folder / kind.replace(" ", "_")
    output.mkdir()
    files = sorted(map(str, stills.glob("integrated*")))
    options = [f"output.lattices_per_file={most}", "output.html=None"]
    run(["dials.truncfix_postrefine", *files, *options], output)


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
    try:
        printed = (
            watch(command, folder, display, PATIENCE)
            if step.display and display is not None
            else _printed(command, folder)
        )
        return outcome("done", step.check(folder, printed))
    except subprocess.CalledProcessError as error:
        message = _last_words(str(error.output))
        message = f"exit code {error.returncode}: {message}"
    except subprocess.TimeoutExpired:
        message = f"not done after {PATIENCE} s"
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        message = str(error)
    if step.excuse is not None and re.search(step.excuse[0], message):
        return outcome("known", f"{message} ({step.excuse[1]})")
    return outcome("failed", message)


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
    text = re.sub(r"Please report this error .*?@\S+: ", "", printed).strip()
    if (sorry := text.rfind("Sorry: ")) >= 0:
        text = text[sorry:]
    else:
        text = text.splitlines()[-1] if text else "it printed nothing"
    return " ".join(text.split())[:LONGEST]


def compared(outcomes: list[Outcome], same: set[str]) -> list[Outcome]:
    """Let steps fail whose output is not that of the first input."""
    first: dict[str, str] = {}
    result = []
    for outcome in outcomes:
        # what is read again has another name for every format
        if outcome.status == "done" and outcome.command in same:
            expected = first.setdefault(outcome.command, outcome.message)
            if outcome.message != expected:
                outcome = Outcome(
                    outcome.name,
                    outcome.command,
                    outcome.input,
                    "failed",
                    f"{outcome.message}, in the place of {expected}",
                )
        result.append(outcome)
    return result


def chosen(
    steps: Iterator[Step], args: argparse.Namespace, first: bool
) -> Iterator[Step]:
    """Leave out what was not asked for, or was done on the first input of its kind."""
    for step in steps:
        named = not args.only or any(word in step.command for word in args.only)
        if named and (step.quick or not args.quick) and (first or not step.once):
            yield step


def try_all(args: argparse.Namespace, folder: Path) -> list[Outcome]:
    """Make all inputs, and try every step on each."""
    outcomes: list[Outcome] = []
    same: set[str] = set()
    inputs = args.inputs or [*SWEEPS, *TABLES]
    firsts = {
        next((kind for kind in inputs if kind in kinds), None)
        for kinds in (SWEEPS, TABLES)
    }
    with virtual_display() as display:
        for kind in inputs:
            work = folder / kind.replace(" ", "_")
            if kind in SWEEPS:
                imported = folder / "sweep" / "imported.expt"
                if not imported.exists():
                    make_sweep(folder / "sweep")
                if not work.exists():
                    correct(imported, work, kind)
                steps = sweep_steps(SWEEPS[kind])
            else:
                if not work.exists():
                    postrefine(folder, kind)
                steps = table_steps(kind)
            for step in chosen(steps, args, kind in firsts):
                outcome = attempt(step, work, kind, display)
                if step.same:
                    same.add(step.command)
                print(
                    f"{kind:15}{outcome.status:7}{outcome.command}\n"
                    f"{'':22}{outcome.message}",
                    flush=True,
                )
                outcomes.append(outcome)
    return compared(outcomes, same)


def record_outcomes(path: Path, version: str, outcomes: list[Outcome]) -> None:
    """Write what happened; of commands not tried this time, what is there stays."""
    found = [asdict(each) for each in outcomes]
    if path.exists():
        before = json.loads(path.read_text())["outcomes"]
        again = {(each["input"], each["command"]): each for each in found}
        kept = [again.pop((e["input"], e["command"]), e) for e in before]
        found = [*kept, *again.values()]
    record = {"dials": version, "outcomes": found}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    """Try everything; returns 1 if something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the main commands")
    parser.add_argument("--inputs", nargs="+", choices=[*SWEEPS, *TABLES])
    parser.add_argument(
        "--only", nargs="+", default=[], help="commands with one of these words"
    )
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, help="folder for the record")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        outcomes = try_all(args, folder)
    found = re.search(r"\d+(\.\w+)+", dials_version())
    version = found[0] if found else "unknown"
    if args.json:
        args.json.mkdir(parents=True, exist_ok=True)
        record_outcomes(args.json / f"dials-{version}.json", version, outcomes)
    failed = [each for each in outcomes if each.status == "failed"]
    print(f"\nDIALS {version}: {len(outcomes)} tried, {len(failed)} failed")
    for each in failed:
        print(f"{each.input}: {each.command}: {each.message}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
