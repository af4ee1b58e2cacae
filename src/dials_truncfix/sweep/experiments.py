"""Experiments of the corrected images."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from dxtbx.imageset import ImageSetFactory
from dxtbx.model import Experiment
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix import compat
from dials_truncfix.sweep.options import numbered
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import SweepSource


def corrected_experiments(
    experiments: Any, source: SweepSource, template: Path, panel: PanelValues
) -> Any:
    """Point experiments to the corrected images and to their detector model.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    source : SweepSource
        The images that were corrected.
    template : pathlib.Path
        Path of the corrected images with a run of ``#`` for the image number. They
        need not exist yet.
    panel : PanelValues
        What the detector model shall say.

    Returns
    -------
    dxtbx.model.ExperimentList
        Everything else, crystals and identifiers included, as it was.
    """
    detector = copy.deepcopy(source.imageset.get_detector())
    write_panel_values(detector[0], panel)
    # a copy: making a sequence renumbers the batches of its scan
    scan = copy.deepcopy(source.scan)
    imageset = _imageset(source, detector, scan, str(template))
    mask = source.imageset.external_lookup.mask
    if not mask.data.empty():
        imageset.external_lookup.mask.filename = mask.filename
        imageset.external_lookup.mask.data = mask.data
    corrected = ExperimentList()
    for experiment in experiments:
        corrected.append(
            Experiment(
                identifier=experiment.identifier,
                beam=experiment.beam,
                detector=detector,
                goniometer=experiment.goniometer,
                scan=scan,
                crystal=experiment.crystal,
                profile=experiment.profile,
                imageset=imageset,
                scaling_model=experiment.scaling_model,
            )
        )
    return corrected


def write_panel_values(panel: Any, values: PanelValues) -> None:
    """Set gain, pedestal and trusted range of a panel model, in place."""
    panel.set_gain(values.gain)
    panel.set_pedestal(values.pedestal + values.offset)
    panel.set_trusted_range(
        compat.safe_trusted_range(
            values.lowest + values.offset, values.highest + values.offset
        )
    )
    # DIALS models the background of a "PAD" in ways that need non-negative counts
    panel.set_type("SENSOR_CCD")


def _imageset(source: SweepSource, detector: Any, scan: Any, template: str) -> Any:
    if scan is not None:
        return ImageSetFactory.make_sequence(
            template,
            list(source.numbers),
            beam=source.beam,
            detector=detector,
            goniometer=source.goniometer,
            scan=scan,
            check_format=False,
        )
    imageset = ImageSetFactory.make_imageset(
        [numbered(template, number) for number in source.numbers], check_format=False
    )
    for index in range(len(imageset)):
        imageset.set_beam(source.beam, index)
        imageset.set_detector(detector, index)
    return imageset
