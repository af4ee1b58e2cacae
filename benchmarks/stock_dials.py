"""The stock DIALS commands on one sweep, as a user would type them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


class CommandFailed(RuntimeError):
    """A command ended with an error."""


@dataclass(frozen=True)
class Timing:
    """Cost of a finished command with all its processes, s."""

    cpu: float
    wall: float


def run(command: list[str], folder: Path) -> tuple[str, Timing]:
    """Run one command in a folder.

    Parameters
    ----------
    command : list of str
        Name of a command of this environment, and its arguments.
    folder : pathlib.Path
        Working folder.

    Returns
    -------
    str
        What it printed.
    Timing
        What it cost.

    Raises
    ------
    CommandFailed
        With the last lines of its output.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = dict(os.environ, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise CommandFailed(f"{' '.join(command)}\nin {folder} failed:\n{tail}")
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return done.stdout, Timing(cpu, wall)


@dataclass(frozen=True)
class Processed:
    """What the stock commands made of one sweep."""

    folder: Path
    n_strong: int
    n_indexed: int
    n_failed_background: int

    @property
    def experiments(self) -> Path:
        """Integrated experiments."""
        return self.folder / "integrated.expt"

    @property
    def reflections(self) -> Path:
        """Integrated reflections."""
        return self.folder / "integrated.refl"


def process(
    experiments: Path,
    folder: Path,
    space_group: str,
    cell: str,
    integrate: tuple[str, ...] = (),
) -> Processed:
    """Find spots, index and integrate, telling DIALS only the known symmetry.

    Parameters
    ----------
    experiments : pathlib.Path
        Imported or corrected experiments.
    folder : pathlib.Path
        Where to work.
    space_group, cell : str
        Known symmetry, in DIALS' words.
    integrate : tuple of str
        Further options of dials.integrate.

    Returns
    -------
    Processed

    Raises
    ------
    CommandFailed
        When a command fails.
    """
    from dials.array_family import flex

    folder.mkdir(parents=True, exist_ok=True)
    nproc = f"nproc={len(os.sched_getaffinity(0))}"
    run(["dials.find_spots", str(experiments.absolute()), nproc], folder)
    run(
        [
            "dials.index",
            str(experiments.absolute()),
            "strong.refl",
            f"space_group={space_group}",
            f"unit_cell={cell}",
            "detector.fix=distance",
        ],
        folder,
    )
    text, _ = run(
        ["dials.integrate", "indexed.expt", "indexed.refl", nproc, *integrate], folder
    )
    strong = flex.reflection_table.from_file(str(folder / "strong.refl"))
    indexed = flex.reflection_table.from_file(str(folder / "indexed.refl"))
    integrated = flex.reflection_table.from_file(str(folder / "integrated.refl"))
    flags = integrated.flags
    failed = integrated.get_flags(flags.failed_during_background_modelling)
    return Processed(
        folder,
        n_strong=len(strong),
        n_indexed=int(indexed.get_flags(indexed.flags.indexed).count(True)),
        n_failed_background=max(
            int(failed.count(True)),
            sum(
                int(n)
                for n in re.findall(r"(\d+) reflections? failed in background", text)
            ),
        ),
    )
