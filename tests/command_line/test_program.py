from __future__ import annotations

import pytest

import libtbx.phil
from dials.util import Sorry
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.program import parse_arguments

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
