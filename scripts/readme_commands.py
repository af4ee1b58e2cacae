"""Print the commands that README.rst gives, one a line, as a shell takes them.

Usage: python3 scripts/readme_commands.py README.rst blocks|DEFINITION

``blocks``: of all literal blocks that hold nothing but commands, each followed by an empty
line. DEFINITION, such as "Debian and Ubuntu, for one user": those named in the text of this
definition.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

#: A program that a user is told to start.
COMMAND = re.compile(
    r"(sudo |apt |apt-get |git |make |python |/usr/bin/python3 |dials\.)"
)


def literal_blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of each literal block."""
    for match in re.finditer(r"::\n\n((?:[ ]+\S.*\n|\n)+)", text):
        yield [line.strip() for line in match[1].splitlines() if line.strip()]


def blocks(text: str) -> Iterator[str]:
    """Yield the commands of literal blocks, comments taken off."""
    for lines in literal_blocks(text):
        if all(COMMAND.match(line) for line in lines):
            yield from (line.partition(" # ")[0].strip() for line in lines)
            yield ""


def definition(text: str, term: str) -> Iterator[str]:
    """Yield the commands in the text of a definition."""
    found = re.search(rf"^{re.escape(term)}\n((?:[ ]+\S.*\n)+)", text, re.MULTILINE)
    if found is None:
        sys.exit(f"README.rst has no definition {term!r}")
    for literal in re.findall(r"``(.+?)``", found[1], re.DOTALL):
        command = " ".join(literal.split())
        if COMMAND.match(command):
            yield command


def main() -> None:
    """Print what was asked for."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    which = sys.argv[2]
    found = list(blocks(text) if which == "blocks" else definition(text, which))
    if not found:
        sys.exit(f"no commands found in {sys.argv[1]}")
    print("\n".join(found))


if __name__ == "__main__":
    main()
