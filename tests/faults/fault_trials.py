"""What inject_faults.py does to runs, and a line of its table about each fault."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fault_cases import Case, at_image, jumping_clock, refused, waiting
from fault_runs import Ended, be_killed, empty, make_recordings, start_run, wait_for

FORMATS = ("cbf", "smv", "nexus", "sidecar")
#: Changes of files at the end of a run, when all is put into its place.
_LAST_CHANGES = 20
#: How long processes of their own take to start, s.
_START = 4.0
#: What may happen to a recording.
CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 3),
    "emptied": lambda path: os.truncate(path, 0),
    "appended to": lambda path: path.open("ab").write(b"x"),
    "written again": lambda path: path.write_bytes(path.read_bytes()),
    "removed": lambda path: path.unlink(),
}


class Trials:
    """Runs to which something happens at moments that a generator decides."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator
        self.n_bad = 0
        self._cases: dict[tuple[str, bool], Case] = {}

    def begin(self, folder: Path) -> None:
        """Make recordings."""
        self.folder = folder
        self.recordings = make_recordings(folder / "recordings")
        print(f"{'':24s}{'tried':>7s}{'as it should be':>17s}")

    def case(self, image_format: str, several: bool) -> Case:
        """Return a command in an empty folder."""
        key = (image_format, several)
        if key not in self._cases:
            given = self.recordings if several else self.recordings[:1]
            place = self.folder / f"{image_format}-{len(given)}"
            self._cases[key] = Case(place, given, f"output.format={image_format}")
        empty(self._cases[key].folder)
        return self._cases[key]

    def any_case(self) -> Case:
        """Choose a format, and one or two sweeps."""
        several = self.generator.random() < 0.5
        return self.case(self.generator.choice(FORMATS), several)

    def any_change(self, case: Case) -> int:
        """Choose one of the changes of files that a run makes."""
        return self.generator.randint(1, case.undisturbed.n_changes)

    def _table(
        self,
        name: str,
        n: int,
        trial: Callable[[int], list[str]],
        note: Callable[[], str] = str,
    ) -> None:
        bad = 0
        for number in range(n):
            problems = trial(number)
            bad += bool(problems)
            for problem in problems:
                print(f"  {name} {number}: {problem}", file=sys.stderr, flush=True)
        self.n_bad += bad
        print(f"{name:24s}{n:7d}{n - bad:17d}  {note()}".rstrip(), flush=True)

    def kills(self, n: int) -> None:
        """Kill runs before changes of files or by the clock, some of them twice."""
        counts: Counter[str] = Counter()

        def trial(number: int) -> list[str]:
            case = self.any_case()
            ended = self._killed(case, number)
            counts[case.phase()] += 1
            problems = case.partial()
            if ended.code != -signal.SIGKILL:
                problems.append(f"ended with {ended.code}: {ended.stderr}")
            if self.generator.random() < 0.3:
                counts["killed again"] += 1
                case.run("resume=True", at_change=(self.any_change(case), be_killed))
                problems += case.partial()
            problems += case.resume()
            counts["images kept"] += case.n_kept()
            return problems

        self._table("kill -9", n, trial, lambda: _listed(counts))

    def _killed(self, case: Case, number: int) -> Ended:
        """Kill a run, of five one by the clock, and one that has processes."""
        if number % 5 < 3:
            change = self.any_change(case)
            if number % 5 == 0:
                change = case.undisturbed.n_changes - change % _LAST_CHANGES
            return case.run(at_change=(change, be_killed))
        options = ["mp.nproc=2"] if number % 5 == 4 else []
        longest = case.undisturbed.seconds + (_START if options else 0)
        while True:
            after = longest * self.generator.random()
            ended = case.run(*options, kill_after=after)
            if ended.code:
                return ended
            # it was faster
            longest = after
            empty(case.folder)

    def changed_input(self, n: int) -> None:
        """Truncate, rewrite and remove recordings that are being read."""
        movie = self.folder / "changed" / "movie_000.tvips"
        movie.parent.mkdir()
        shutil.copy(self.recordings[0], movie)
        cases = [
            Case(movie.parent / name, [movie], f"output.format={name}")
            for name in ("cbf", "smv")
        ]
        counts: Counter[str] = Counter()

        def trial(number: int) -> list[str]:
            kind, change = list(CHANGES.items())[number % len(CHANGES)]
            counts[kind] += 1
            case = self.generator.choice(cases)
            empty(case.folder)
            image = self.generator.randint(1, 4)
            ended = case.run(before=at_image(image, lambda: change(movie)))
            problems = refused(ended, f"{movie} ") + case.anything()
            shutil.copy(self.recordings[0], movie)
            return problems + case.resume()

        self._table("input changes", n, trial, lambda: _listed(counts))

    def two_runs(self, n: int) -> None:
        """Start a second run in the folder of one that is at work."""

        def trial(number: int) -> list[str]:
            case = self.any_case()
            here, go = self.folder / f"here-{number}", self.folder / f"go-{number}"
            # the first changes lock the output
            change = max(self.any_change(case), 3)
            process, told = start_run(
                case.arguments, case.folder, at_change=(change, waiting(here, go))
            )
            while not here.exists():
                time.sleep(0.005)
            second = case.run()
            go.touch()
            first = wait_for(process, told)
            problems = refused(second, f"Another run (process {process} on ")
            if first.code:
                problems.append(f"the first ended with {first.code}: {first.stderr}")
            return problems + case.compare()

        self._table("two runs in a folder", n, trial)

    def clocks(self, n: int) -> None:
        """Let clocks jump before and after a kill, and in between."""

        def trial(number: int) -> list[str]:
            case = self.any_case()
            jump = self.generator.choice((-1, 1)) * 10 ** self.generator.uniform(2, 9)
            at_change = (self.any_change(case), be_killed)
            case.run(before=jumping_clock(jump), at_change=at_change)
            for path in case.folder.rglob("*"):
                then = path.stat().st_mtime + self.generator.uniform(-1, 1) * jump
                os.utime(path, (max(then, 0.0), max(then, 0.0)))
            return case.resume(before=jumping_clock(-jump))

        self._table("clock jumps", n, trial)

    def full_disks(self, n: int) -> None:
        """Run on disks that hold less than a run needs."""

        def trial(number: int) -> list[str]:
            case = self.any_case()
            needed = sum(len(content) for content in case.expected.values())
            size = int(needed * self.generator.uniform(0.02, 0.95))
            arguments = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
            with mounted(*arguments, str(case.folder)):
                problems = refused(case.run(), "No space left on device")
                # of two sweeps one may have found room, and experiments that lack the other
                left = case.partial(but="truncfix.expt") + case.leftovers()
                problems += left if case.several else case.anything()
                mount("-o", "remount,size=100m", str(case.folder))
                return problems + case.resume()

        self._table("disk full", n, trial)

    def read_only(self, n: int) -> None:
        """Run in folders that cannot be written."""

        def trial(number: int) -> list[str]:
            case = self.case(FORMATS[number % len(FORMATS)], several=number % 2 == 1)
            folder = str(case.folder)
            with mounted("--bind", folder, folder):
                mount("-o", "remount,bind,ro", folder)
                problems = refused(case.run(), "Read-only file system")
                problems += case.anything()
            return problems + case.resume()

        self._table("read-only folder", n, trial)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def mount(*arguments: str) -> None:
    """Mount something."""
    subprocess.run(["mount", *arguments], check=True)


@contextmanager
def mounted(*arguments: str) -> Iterator[None]:
    """Have something mounted; the last argument says where."""
    mount(*arguments)
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True)
