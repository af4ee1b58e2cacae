"""Every file in phil/ is understood, to its last line, by the program it names."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import libtbx.phil

PHIL_FILES = sorted((Path(__file__).parent.parent / "phil").glob("*.phil"))
MODULES = {
    "dials.import": "dials.command_line.dials_import",
    "dials.index": "dials.command_line.index",
    "dials.truncfix": "dials_truncfix.command_line.truncfix",
    "dials.truncfix_calibrate": "dials_truncfix.command_line.truncfix_calibrate",
    "dials.truncfix_postrefine": "dials_truncfix.command_line.truncfix_postrefine",
    "dials.truncfix_simulate": "dials_truncfix.command_line.truncfix_simulate",
}


def test_there_are_files():
    assert PHIL_FILES


@pytest.mark.parametrize("path", PHIL_FILES, ids=lambda path: path.name)
def test_the_program_understands_the_file(path):
    program = path.read_text().splitlines()[0].removeprefix("# ")
    scope = importlib.import_module(MODULES[program]).phil_scope
    _, unused = scope.fetch(
        libtbx.phil.parse(path.read_text()), track_unused_definitions=True
    )
    assert [str(definition) for definition in unused] == []


@pytest.mark.parametrize("path", PHIL_FILES, ids=lambda path: path.name)
def test_every_value_has_its_reason(path):
    lines = [line.strip() for line in path.read_text().splitlines()]
    for number, line in enumerate(lines):
        if not re.match(r"[a-z_0-9.]+ *=", line):
            continue
        before = lines[number - 1]
        # one reason may cover a run of values
        assert before.startswith("#") or re.match(r"[a-z_0-9.]+ *=", before), line
