"""Runs of dials.truncfix, and what they leave behind."""

from __future__ import annotations

import pytest

from dials.util import Sorry

from dials_truncfix.command_line.truncfix import run

#: Options for recordings of a quarter of a megapixel. Reports have tests of their own.
SMALL = ["nproc=1", "annuli.count=4", "output.html=None"]


def files_of(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("imported.expt", "dials.truncfix.log")
    )


def fails(arguments):
    """Run with arguments that are refused; returns the sentence the user is told."""
    with pytest.raises(Sorry) as stop:
        run([str(argument) for argument in arguments])
    return str(stop.value)
