"""The record of a corrected sweep, its parts put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dials_truncfix.correction.joint_camera.camera_fit import CameraFit
from dials_truncfix.correction.verdict.verdict import Verdict
from dials_truncfix.sweep.inputs import Inputs
from dials_truncfix.sweep.passes import Corrected
from dials_truncfix.sweep.recipe import Recipe, placed
from dials_truncfix.sweep.record import (
    camera_record,
    correction_record,
    correlation_record,
    illustrations_record,
    regions_record,
    replicates_record,
    run_record,
)
from dials_truncfix.sweep.record_layout import lay_out
from dials_truncfix.sweep.replicates import Replicate
from dials_truncfix.sweep.work import SweepWork


def sweep_record(
    work: SweepWork,
    inputs: Inputs,
    verdict: Verdict,
    camera_fit: CameraFit | None,
    done: Corrected,
    replicates: Sequence[Replicate],
    recipe: Recipe,
) -> dict[str, Any]:
    """Describe a correction.

    Parameters
    ----------
    work : SweepWork
        The sweep, with the options that were settled.
    inputs : Inputs
        Its files.
    verdict : Verdict
        On the sweep.
    camera_fit : CameraFit or None
        If a camera was fitted.
    done : Corrected
        What was found on the way.
    replicates : sequence of Replicate
        The draws.
    recipe : Recipe
        What determines the pixels of the first draw.

    Returns
    -------
    dict
        As it lies in its file.
    """
    files = inputs.record()
    recipe = placed(recipe, Path(replicates[0].output.json or ".").absolute().parent)
    return {
        **run_record(work.source, files, work.options, verdict),
        "camera": camera_record(work.options, camera_fit),
        **correction_record(done.fits, done.panels[0], done.gain),
        "regions": regions_record(work),
        "replicates": replicates_record(replicates, done.panels),
        "noise_correlation": correlation_record(done.looks),
        "illustrations": illustrations_record(done.looks, work.source),
        **lay_out(done.fits, recipe, {file["path"] for file in files}),
    }
