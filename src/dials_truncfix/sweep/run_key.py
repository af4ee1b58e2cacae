"""All that determines the output of a run on one sweep, as digests."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import dials_truncfix
from dials_truncfix import compat
from dials_truncfix.io.plain import to_plain
from dials_truncfix.sweep.inputs import Inputs
from dials_truncfix.sweep.journal import digest_of
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.record import software_versions
from dials_truncfix.sweep.source import SweepSource


@dataclass(frozen=True)
class RunKey:
    """Digests of what determines the output of a run.

    Attributes
    ----------
    program : str
        Versions of this program, DIALS, dxtbx, numpy and Python; the code of this one.
    options : str
        Parameters of the correction, the label image included.
    output : str
        Names, places and formats.
    input : str
        The source files, by their SHA-256, the experiments and the mask.
    """

    program: str
    options: str
    output: str
    input: str

    @property
    def digest(self) -> str:
        """Of all of it."""
        return digest_of(to_plain(self))

    def difference(self, other: RunKey) -> str:
        """Name what differs, in words."""
        words = {
            "program": "another version of the program",
            "options": "other options",
            "output": "other output",
            "input": "other input",
        }
        return " and ".join(
            said
            for name, said in words.items()
            if getattr(self, name) != getattr(other, name)
        )


def run_key(
    experiments: Any,
    source: SweepSource,
    inputs: Inputs,
    correction: CorrectionOptions,
    output: OutputOptions,
    force: bool,
) -> RunKey:
    """Take the digests.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    source : SweepSource
        The images to correct.
    inputs : Inputs
        Their files.
    correction : CorrectionOptions
        How the pixels are corrected, as the user says.
    output : OutputOptions
        What is written, and where.
    force : bool
        Correct whatever the verdict.
    """
    mask = source.user_mask()
    return RunKey(
        program=digest_of([software_versions(), _code()]),
        options=digest_of(
            [to_plain(replace(correction, labels=None)), _labels(correction), force]
        ),
        output=digest_of([to_plain(output), os.getcwd()]),
        input=digest_of(
            [
                inputs.record(),
                compat.experiments_as_json(experiments),
                None if mask is None else hashlib.sha256(mask.tobytes()).hexdigest(),
            ]
        ),
    )


def _labels(correction: CorrectionOptions) -> list[str] | None:
    labels = correction.labels
    return None if labels is None else [labels.path, labels.sha256]


@cache
def _code() -> str:
    """Digest of the modules of this package: versions alone do not tell a working copy."""
    folder = Path(dials_truncfix.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
