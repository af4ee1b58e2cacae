"""Experiments of the corrected images."""

from __future__ import annotations

import copy
import logging
import os
from pathlib import Path
from typing import Any

from dxtbx.format.FormatMultiImage import FormatMultiImage
from dxtbx.imageset import ImageSetFactory
from dxtbx.model import Experiment
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix import compat
from dials_truncfix.sweep.options import numbered
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import SweepSource

logger = logging.getLogger("dials.truncfix.experiments")


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
        Path of the corrected images with a run of ``#`` for the image number, or of
        the one file that holds all. They need not exist yet.
    panel : PanelValues
        What the detector model shall say.

    Returns
    -------
    dxtbx.model.ExperimentList
        Everything else, crystals and identifiers included, as it was.
    """
    detector = _with_panel_values(source.imageset.get_detector(), panel)
    # making a sequence numbers the batches of its scan as slices of it need them
    scan = copy.deepcopy(source.scan)
    imageset = _imageset(source, detector, scan, str(template))
    _keep_lookup(source.imageset.external_lookup, imageset.external_lookup)
    corrected = ExperimentList()
    for experiment in experiments:
        corrected.append(
            Experiment(
                identifier=experiment.identifier,
                beam=experiment.beam,
                detector=experiment.detector,
                goniometer=experiment.goniometer,
                scan=scan,
                crystal=experiment.crystal,
                profile=experiment.profile,
                imageset=imageset,
                scaling_model=experiment.scaling_model,
            )
        )
        compat.hand_on_history(experiment, corrected[-1])
    # experiments may share a detector, or have refined one each
    for given in experiments.detectors():
        corrected.replace(given, _with_panel_values(given, panel))
    return corrected


def _with_panel_values(detector: Any, values: PanelValues) -> Any:
    changed = copy.deepcopy(detector)
    write_panel_values(changed[0], values)
    return changed


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


def _keep_lookup(given: Any, kept: Any) -> None:
    """Hand on the mask and the distortion maps."""
    for name in ("mask", "dx", "dy"):
        item = getattr(given, name)
        if not item.data.empty():
            getattr(kept, name).filename = item.filename
            getattr(kept, name).data = item.data
    if not (given.gain.data.empty() and given.pedestal.data.empty()):
        logger.warning(
            "The gain and pedestal images (lookup.gain, lookup.pedestal of "
            "dials.import) were not applied and are left out of the experiments: the "
            "gain and pedestal of the panel take their place."
        )


def _imageset(source: SweepSource, detector: Any, scan: Any, template: str) -> Any:
    one_file = "#" not in os.path.basename(template)
    if scan is not None:
        return ImageSetFactory.make_sequence(
            template,
            list(source.numbers),
            format_class=FormatMultiImage if one_file else None,
            beam=source.beam,
            detector=detector,
            goniometer=source.goniometer,
            scan=scan,
            check_format=False,
        )
    if one_file:
        imageset = FormatMultiImage.get_imageset(
            [template],
            single_file_indices=[number - 1 for number in source.numbers],
            as_imageset=True,
            check_format=False,
        )
    else:
        imageset = ImageSetFactory.make_imageset(
            [numbered(template, number) for number in source.numbers],
            check_format=False,
        )
    for index in range(len(imageset)):
        imageset.set_beam(source.beam, index)
        imageset.set_detector(detector, index)
    return imageset
