from __future__ import annotations

import pytest

import libtbx.phil
from dials.util import Sorry
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.arguments import _check_values, parse_arguments

SCOPE = libtbx.phil.parse(
    """
fit {
  model = *auto lognormal
    .type = choice
}
shape = *round square
  .type = choice
"""
)


def parsed(*arguments):
    return parse_arguments(ArgumentParser(phil=SCOPE), list(arguments), SCOPE)[0]


@pytest.mark.parametrize("word", ["auto", "Auto", "*auto"])
def test_a_choice_named_auto_can_be_given(word):
    assert parsed(f"fit.model={word}").fit.model == parsed().fit.model == "auto"


def test_other_choices_have_no_auto():
    assert parsed("fit.model=lognormal").fit.model == "lognormal"
    with pytest.raises(Sorry, match="shape cannot be Auto"):
        parsed("shape=auto")


def test_values_after_a_parameter_given_twice_are_judged_by_their_own_definitions():
    phil = libtbx.phil.parse(
        """
        dark = None
          .type = path
          .multiple = True
        zeros = *auto truncated
          .type = choice
        level = None
          .type = float
        count = 1
          .type = int
        """
    )
    given = phil.fetch(sources=[libtbx.phil.parse("dark = a\ndark = b")])
    _check_values(phil, given.extract())
    with pytest.raises(Sorry, match="count cannot be None"):
        wrong = given.fetch(sources=[libtbx.phil.parse("count = None")])
        _check_values(phil, wrong.extract())
