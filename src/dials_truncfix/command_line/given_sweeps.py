"""The sweeps given to a command, those that cannot be read among them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dials.util import Sorry
from dials.util.options import flatten_experiments
from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.arguments import refuse_unread, why_unread_images
from dials_truncfix.sweep.sweeps import sweep_name


@dataclass(frozen=True)
class Given:
    """What was given.

    Attributes
    ----------
    experiments : dxtbx.model.ExperimentList
        Of all sweeps; the images of some may not be readable.
    problems : dict of str to str
        Of each sweep that cannot be read, by its name, the reason.
    files : tuple of str
        Files of experiments of which only some sweeps can be read.
    unread : tuple of str
        Files of which nothing can be read.
    """

    experiments: Any
    problems: dict[str, str]
    files: tuple[str, ...]
    unread: tuple[str, ...]


def given_sweeps(given: Sequence[Any], unread: Sequence[str]) -> Given:
    """Look what can be read of files that could not be read as a whole.

    Parameters
    ----------
    given : sequence
        What the parser has read of the command line.
    unread : sequence of str
        What it could not read.

    Raises
    ------
    Sorry
        When a file was given twice; when one cannot be read, and there are not several
        sweeps besides.
    """
    _refuse_given_twice(given)
    experiments = flatten_experiments(given)
    problems: dict[str, str] = {}
    in_part, others = [], []
    for file in unread:
        found, reasons = _read_apart(file)
        if len(found.imagesets()) > max(len(reasons), 1):
            experiments.extend(found)
            problems.update(reasons)
            in_part.append(file)
        else:
            others.append(file)
    if len(experiments.imagesets()) < 2:
        refuse_unread(others)
    return Given(experiments, problems, tuple(in_part), tuple(others))


def _refuse_given_twice(given: Sequence[Any]) -> None:
    names = [str(one.filename) for one in given]
    paths = [os.path.realpath(name) for name in names]
    for i, name in enumerate(names):
        if os.path.exists(name) and paths[i] in paths[:i]:
            raise Sorry(f"{name} is given twice: give each sweep once")


def _read_apart(file: str) -> tuple[Any, dict[str, str]]:
    """Read the sweeps of a file one by one; of those that fail keep the models."""
    found = ExperimentList()
    problems: dict[str, str] = {}
    try:
        unopened = ExperimentList.from_file(file, check_format=False)
        imagesets = unopened.imagesets()
    except Exception:
        # whatever dxtbx makes of a file that holds no experiments
        return found, problems
    positions: dict[int, int] = {}
    for imageset in filter(None, imagesets):
        places = [int(i) for i in unopened.indices(imageset)]
        sweep = ExperimentList([unopened[i] for i in places])
        try:
            sweep = ExperimentListFactory.from_dict(sweep.to_dict(), check_format=True)
        except Exception:
            # whatever format classes make of images that have changed
            name = sweep_name(imageset)
            problems[name] = why_unread_images(file, imageset.paths()) or (
                f"{name} is no longer what was imported: it was damaged or replaced; "
                "dials.import says what is wrong with it"
            )
        positions.update(zip(places, sweep))
    found.extend(ExperimentList([positions[i] for i in sorted(positions)]))
    return found, problems
