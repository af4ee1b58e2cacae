"""Experiments that are written again alike, whatever history dxtbx keeps."""

from __future__ import annotations

import json
from typing import Any


def experiments_as_json(experiments: Any) -> str:
    """Describe experiments as `ExperimentList.as_json` does, but not the time of it.

    Newer releases of dxtbx keep a history, to which they add the program and the time
    whenever experiments are written: the same work would not give the same file again.
    The lines that are there already stay.
    """
    if not hasattr(experiments, "consolidate_histories"):
        return str(experiments.as_json())
    lines = experiments.consolidate_histories().get_history()
    history = list(dict.fromkeys(lines))
    plain = json.loads(experiments.as_json())
    plain["history"] = history
    for experiment in experiments:
        experiment.history = type(experiment.history)(history)
    return json.dumps(plain, indent=2)


def hand_on_history(given: Any, changed: Any) -> None:
    """Give an experiment the history of the one from which it was made, if it has one."""
    if getattr(given, "history", None) is not None:
        changed.history = given.history
