"""Runs of dials.truncfix to which something happens, and what they leave behind.

Each run is a child of this process, forked when DIALS has been loaded, so that it takes
as long as the work does. It may be killed before any change of a file in its folder, or
after some time.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dials.util import Sorry
from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from recordings import record
from simulated_sweeps import make_small_sweep

#: Regions as large as so few pixels allow.
SMALL = ("annuli.count=3", "annuli.minimum_pixels=2000")
#: What is done to files, in the words of Python's audit events.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    code : int
        Exit code; minus the signal that killed it.
    stderr : str
        What it printed there.
    n_changes : int
        Changes of files that it was about to make.
    seconds : float
        How long it took.
    """

    code: int
    stderr: str
    n_changes: int
    seconds: float


def make_recordings(folder: Path) -> list[Path]:
    """Simulate a sweep of six images, and record it in two parts."""
    sweep = make_small_sweep()
    clipped = [sweep.record(i).clipped for i in range(sweep.n_images)]
    parts = (clipped[:4], clipped[4:])
    return [record(folder / f"crystal_{i}", part).path for i, part in enumerate(parts)]


def import_recordings(paths: Sequence[Path], name: Path) -> Path:
    """Write the experiments of recordings."""
    together = ExperimentList()
    for path in paths:
        together.extend(ExperimentListFactory.from_filenames([str(path)]))
    together.as_file(str(name))
    return name


def outputs(folder: Path) -> dict[str, bytes]:
    """Contents of all files of a folder that are not hidden, but for the log."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.suffix != ".log"
    }


def hidden(folder: Path) -> list[str]:
    """List the hidden files and folders, but for the notes about finished sweeps."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob(".*")
        if path.suffix != ".done"
    )


def complete(folder: Path) -> bool:
    """Say whether all images are there to which any experiments in a folder refer."""
    for path in folder.rglob("*.expt"):
        experiments = ExperimentList.from_file(str(path), check_format=False)
        for imageset in experiments.imagesets():
            if not all(os.path.exists(image) for image in imageset.paths()):
                return False
    return True


def empty(folder: Path) -> None:
    """Make an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def start_run(
    arguments: Sequence[str],
    folder: Path,
    before: Callable[[], None] | None = None,
    at_change: tuple[int, Callable[[], None]] | None = None,
) -> tuple[int, Path]:
    """Start a run in a folder; returns its process and a file that it writes its end to.

    Parameters
    ----------
    arguments : sequence of str
        Of dials.truncfix.
    folder : pathlib.Path
        Where it runs.
    before : callable, optional
        Called in the run's process before it begins.
    at_change : tuple of int and callable, optional
        Number of a change of files in the folder, from 1, and what is called before it is
        made, in the run's process.
    """
    told = folder.parent / f"{folder.name}.told"
    told.unlink(missing_ok=True)
    process = os.fork()
    if process:
        return process, told
    code = 3
    try:
        os.chdir(folder)
        with told.open("w", buffering=1) as stream:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(stream.fileno(), 2)
            sys.stdout, sys.stderr = open(os.devnull, "w"), stream
            _count_changes(folder, told, at_change)
            if before is not None:
                before()
            code = _run(arguments)
    finally:
        os._exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        run(list(arguments))
    except Sorry as error:
        print(f"Sorry: {error}", file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 2
    return 0


def be_killed() -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def _count_changes(
    folder: Path, told: Path, at_change: tuple[int, Callable[[], None]] | None
) -> None:
    """Count the changes of files in a folder, and do something before one of them."""
    inside = str(folder)
    n_changes = 0
    # written to without a change of another file
    counter = os.open(f"{told}.n", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal n_changes
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            # opened already
            return
        if not os.path.abspath(os.fsdecode(path)).startswith(inside):
            return
        n_changes += 1
        os.pwrite(counter, str(n_changes).encode(), 0)
        if at_change is not None and n_changes == at_change[0]:
            at_change[1]()

    sys.addaudithook(hook)


def wait_for(process: int, told: Path, kill_after: float | None = None) -> Ended:
    """Wait until a run has ended, or kill it after some time, s."""
    start = time.monotonic()
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        seconds = time.monotonic() - start
        if ended:
            break
        if kill_after is not None and seconds > kill_after:
            os.kill(process, signal.SIGKILL)
            kill_after = None
        time.sleep(0.002)
    counted = Path(f"{told}.n")
    return Ended(
        os.waitstatus_to_exitcode(status),
        told.read_text(),
        int(counted.read_text() or 0),
        seconds,
    )


def run_to_end(arguments: Sequence[str], folder: Path, **options: object) -> Ended:
    """Start a run, see `start_run`, and wait for it."""
    kill_after = options.pop("kill_after", None)
    process, told = start_run(arguments, folder, **options)  # type: ignore[arg-type]
    return wait_for(process, told, kill_after)  # type: ignore[arg-type]
