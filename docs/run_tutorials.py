"""Run the commands of the tutorials, and make their excerpts and pictures anew.

Usage: python docs/run_tutorials.py [--check] [--folder FOLDER [--cut]] [PAGE ...]

The blocks ``.. code-block:: sh`` of a page are run in order in one folder, and the logs
that they leave are cut as the directives ``.. excerpt::`` of the page say. With --check
nothing is written: the excerpts are compared with what is in ``excerpts``, words exactly
and numbers to 2 %, and the exit status is 1 where they differ. Excerpts are those of the
version of DIALS that ``excerpts/dials_version.txt`` names; another one may find other
numbers of spots.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
EXCERPTS = DOCS / "excerpts"
PAGES = ("tutorial.rst", "tutorial_stills.rst")
VERSION = "dials_version.txt"
#: Log of an excerpt that is cut from what the commands above it printed.
PRINTED = "output"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_TOLERANCE = 0.02
_WIDTH = 88
# Of numbers that scatter around zero, and of the last digit.
_SMALLEST = 0.11


@dataclass(frozen=True)
class Commands:
    """A block of commands of a page, as it stands there."""

    text: str

    def lines(self) -> list[str]:
        """Return the commands, each on one line."""
        return self.text.replace("\\\n", " ").splitlines()


@dataclass(frozen=True)
class Excerpt:
    """A part of a log.

    Attributes
    ----------
    name : str
        File in the folder of excerpts.
    log : str
        File in the folder of the tutorial, or "output".
    first, last : str
        Patterns that the first and the last line begin with.
    """

    name: str
    log: str
    first: str
    last: str

    def cut(self, log: str) -> str:
        """Cut the excerpt from the text of a log.

        Raises
        ------
        ValueError
            When the log has no such lines.
        """
        lines = log.splitlines()
        # what a log repeats, it says best at the end
        starts = [n for n, line in enumerate(lines) if re.match(self.first, line)]
        if not starts:
            raise ValueError(f"{self.name}: no line of {self.log} begins {self.first}")
        start = starts[-1]
        ends = [n for n in range(start, len(lines)) if re.match(self.last, lines[n])]
        if not ends:
            raise ValueError(f"{self.name}: no line of {self.log} begins {self.last}")
        end = ends[0]
        # a table ends with its last rule: rules follow each other with rows between
        while lines[end].lstrip().startswith("+-") and _goes_on(lines, end):
            end = next(n for n in ends if n > end)
        return "".join(_folded(line.rstrip()) for line in lines[start : end + 1])


def _folded(line: str) -> str:
    """Break long lines at spaces, but not those of tables."""
    if len(line) <= _WIDTH or re.match(r"\s*[|+]", line):
        return line + "\n"
    indent = line[: len(line) - len(line.lstrip())]
    folded = textwrap.fill(
        line,
        _WIDTH,
        subsequent_indent=indent + ("    " if indent else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return folded + "\n"


def _goes_on(lines: list[str], rule: int) -> bool:
    return rule + 1 < len(lines) and lines[rule + 1].lstrip().startswith("|")


def steps(page: str) -> Iterator[Commands | Excerpt]:
    """Yield the commands and the excerpts of a page, in order."""
    pattern = re.compile(
        r"^\.\. (code-block:: sh|excerpt:: \S+)\n((?:\n|[ \t]+.*\n?)*)", re.MULTILINE
    )
    for found in pattern.finditer(page):
        body = re.sub(r"^   ", "", found[2], flags=re.MULTILINE).strip()
        if found[1] == "code-block:: sh":
            yield Commands(body)
            continue
        options = dict(re.findall(r"^:(\w+): (.*)$", body, re.MULTILINE))
        if options:
            name = found[1].split()[1]
            yield Excerpt(name, options["log"], options["from"], options["to"])


def run_page(page: str, folder: Path, cut_only: bool = False) -> dict[str, str]:
    """Run a page in a folder.

    Parameters
    ----------
    page : str
        Its text.
    folder : pathlib.Path
        Where to work.
    cut_only : bool
        Take the logs of an earlier run.

    Returns
    -------
    dict of str to str
        Excerpts by their names.

    Raises
    ------
    SystemExit
        When a command fails.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made: dict[str, str] = {}
    printed = folder / "nothing"
    for number, step in enumerate(steps(page)):
        if isinstance(step, Excerpt):
            log = printed if step.log == PRINTED else folder / step.log
            made[step.name] = step.cut(log.read_text().replace(f"{folder}/", ""))
            continue
        printed = folder / f"printed_{number:02d}.txt"
        if cut_only:
            continue
        print(step.text, flush=True)
        with printed.open("w") as output:
            done = subprocess.run(
                ["sh", "-euc", step.text],
                cwd=folder,
                env={**os.environ, "PATH": path, "COLUMNS": "90"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            last = printed.read_text()[-3000:]
            sys.exit(f"{last}\nThe commands above failed in {folder}")
    return made


def differences(old: str, new: str) -> list[str]:
    """Say which lines differ by more than numbers do from machine to machine."""
    before, after = old.splitlines(), new.splitlines()
    if len(before) != len(after):
        return [f"{len(before)} lines became {len(after)}"]
    return [
        f"- {one}\n+ {other}"
        for one, other in zip(before, after)
        if not _alike(one, other)
    ]


def _alike(one: str, other: str) -> bool:
    words = [re.sub(r"[-\s]+", " ", _NUMBER.sub("#", line)) for line in (one, other)]
    if words[0] != words[1]:
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other))
    return all(
        abs(float(a) - float(b)) <= max(_TOLERANCE * abs(float(a)), _SMALLEST)
        for a, b in pairs
    )


def dials_version() -> str:
    """Return the release of DIALS, such as 3.12."""
    from dials.util.version import dials_version

    found = re.search(r"\d+\.\d+", dials_version())
    return found[0] if found else "unknown"


def main() -> int:
    """Run the tutorials."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", default=PAGES, metavar="PAGE")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--folder", type=Path, help="where to work, and to leave it")
    parser.add_argument(
        "--cut", action="store_true", help="only cut the logs in FOLDER"
    )
    options = parser.parse_args()
    trouble = []
    with tempfile.TemporaryDirectory(prefix="truncfix-tutorial-") as scratch:
        for name in options.pages:
            folder = (options.folder or Path(scratch)).absolute() / Path(name).stem
            folder.mkdir(parents=True, exist_ok=options.cut)
            made = run_page((DOCS / name).read_text(), folder, options.cut)
            if not options.check:
                from page_pictures import take_pictures

                EXCERPTS.mkdir(exist_ok=True)
                for excerpt, text in made.items():
                    (EXCERPTS / excerpt).write_text(text)
                (EXCERPTS / VERSION).write_text(dials_version() + "\n")
                take_pictures(name, folder)
                continue
            for excerpt, text in made.items():
                for line in differences((EXCERPTS / excerpt).read_text(), text):
                    trouble.append(f"{excerpt}: {line}")
    print("\n".join(trouble))
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
