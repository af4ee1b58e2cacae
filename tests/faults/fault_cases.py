"""A command of dials.truncfix whose output is known, and what may happen to it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fault_runs import (
    SMALL,
    Ended,
    complete,
    empty,
    hidden,
    import_recordings,
    outputs,
    run_to_end,
)


class Case:
    """One command in one folder, and what it makes when nothing happens."""

    def __init__(self, place: Path, recordings: Sequence[Path], *options: str) -> None:
        place.mkdir(exist_ok=True)
        self.folder = place / "run"
        name = import_recordings(recordings, place / "imported.expt")
        self.arguments = [str(name), *SMALL, "nproc=1", *options]
        self.several = len(recordings) > 1
        empty(self.folder)
        self.undisturbed = self.run()
        assert self.undisturbed.code == 0, self.undisturbed.stderr
        self.expected = outputs(self.folder)
        assert hidden(self.folder) == []
        empty(self.folder)

    def run(self, *options: str, **disturbance: Any) -> Ended:
        """Run it, see `fault_runs.start_run` and `wait_for` for disturbances."""
        return run_to_end([*self.arguments, *options], self.folder, **disturbance)

    def resume(self, **disturbance: Any) -> list[str]:
        """Run it with resume=True; returns what is not as if nothing had happened."""
        ended = self.run("resume=True", **disturbance)
        if ended.code:
            return [f"resumed with {ended.code}: {ended.stderr}"]
        return self.compare()

    def compare(self) -> list[str]:
        """Say what differs from an undisturbed run."""
        found = outputs(self.folder)
        names = [
            n
            for n in {**found, **self.expected}
            if found.get(n) != self.expected.get(n)
        ]
        return [f"{name} differs" for name in names] + self.leftovers()

    def leftovers(self) -> list[str]:
        """Say which hidden files are left, other than notes about finished sweeps."""
        return [f"{name} is left" for name in hidden(self.folder)]

    def partial(self, but: str | None = None) -> list[str]:
        """Say what could be mistaken for output of a whole run, one file left out."""
        problems = [
            f"{name} is not whole"
            for name, content in outputs(self.folder).items()
            if content != self.expected.get(name) and name != but
        ]
        if not complete(self.folder):
            problems.append("experiments refer to images that are not there")
        return problems

    def anything(self) -> list[str]:
        """Say what output there is, where there should be none."""
        return [f"{name} is there" for name in outputs(self.folder)] + self.leftovers()

    def log(self) -> str:
        """Return the log."""
        path = self.folder / "dials.truncfix.log"
        return path.read_text() if path.exists() else ""

    def n_kept(self) -> int:
        """Count the images that the last run has kept of earlier ones."""
        return sum(map(int, re.findall(r"earlier run (\d+) files? w", self.log())))

    def phase(self) -> str:
        """Tell from what a killed run left how far it had come."""
        if outputs(self.folder).keys() >= self.expected.keys():
            return "after"
        begun = self.folder.rglob(".*.expt.*.tmp")
        if outputs(self.folder) or any(path.stat().st_size for path in begun):
            return "writing the rest"
        staged = self.folder.rglob(".truncfix-*/*/*")
        return "images" if any(path.is_file() for path in staged) else "before images"


def refused(ended: Ended, words: str) -> list[str]:
    """Say how a run ended, if not by a sentence with these words."""
    told = ended.stderr
    fine = ended.code == 1 and told.startswith("Sorry: ") and words in told
    if fine and "Traceback" not in told and "Exception ignored" not in told:
        return []
    return [f"ended with {ended.code}: {told}"]


def at_image(number: int, do: Callable[[], None]) -> Callable[[], None]:
    """Make a function after which a run does something when it writes an image."""
    name = re.compile(rf"truncfix_0*{number}\.")

    def before() -> None:
        done = []

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            path = arguments[0] if event == "open" else None
            if not done and isinstance(path, str) and name.search(path):
                done.append(path)
                do()

        sys.addaudithook(hook)

    return before


def jumping_clock(jump: float) -> Callable[[], None]:
    """Make a function after which the clock of a run jumps by so much, s."""

    def before() -> None:
        clock = time.time
        start = clock()
        time.time = lambda: clock() + (jump if clock() > start + 0.2 else 0)

    return before


def waiting(here: Path, go: Path) -> Callable[[], None]:
    """Make a function that says that it waits, and waits for a file."""

    def wait() -> None:
        here.touch()
        while not go.exists():
            time.sleep(0.005)

    return wait
