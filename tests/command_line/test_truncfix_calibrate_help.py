"""The help names every mode, with a command for it that is understood."""

from __future__ import annotations

import re
import shlex

import pytest

from dials_truncfix.command_line import truncfix_calibrate
from dials_truncfix.command_line.calibrate_phil import phil_scope

WORDS = phil_scope.get("mode").objects[0].words
NAMES = [word.value.lstrip("*") for word in WORDS]


def examples():
    text = truncfix_calibrate.__doc__.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith("dials.truncfix_calibrate ")]


@pytest.mark.parametrize("mode", NAMES)
def test_every_mode_has_an_example(mode):
    assert any(f"mode={mode}" in line for line in examples())
    assert re.search(rf" {mode} +\S", truncfix_calibrate.__doc__)


@pytest.mark.parametrize("line", examples())
def test_parameters_of_examples_exist(line):
    given = [word for word in shlex.split(line)[1:] if re.match(r"[\w.]+=", word)]
    interpreter = phil_scope.command_line_argument_interpreter()
    working = phil_scope.fetch(sources=[interpreter.process(word) for word in given])
    assert working.extract().mode in NAMES


def test_lines_fit_a_terminal():
    lines = truncfix_calibrate.__doc__.splitlines()
    assert max(map(len, lines)) <= 100
