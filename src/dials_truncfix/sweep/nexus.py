"""The master file of corrected images in NeXus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dials_truncfix import compat
from dials_truncfix.io.nexus import DataFile, Master, check_numbers, write_master
from dials_truncfix.io.nexus_data import check_compression
from dials_truncfix.sweep.image_output import corrected_header
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.replicates import Replicate
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import blocks


def check_nexus(source: SweepSource, compression: str) -> None:
    """Find out before the work whether the images can be written as NeXus.

    Raises
    ------
    ValueError
        When an image number is below 1, or the compression is not installed.
    """
    check_numbers(source.numbers)
    check_compression(compression)


def write_sweep_master(
    folder: Path,
    source: SweepSource,
    replicate: Replicate,
    panel: PanelValues,
    images_per_file: int,
) -> None:
    """Write the master file of the data files of one sweep.

    Parameters
    ----------
    folder : pathlib.Path
        Where the data files are.
    source : SweepSource
        The recorded sweep.
    replicate : Replicate
        Which draw of it this is.
    panel : PanelValues
        What the detector model shall say.
    images_per_file : int
        How the images were divided among data files.

    Raises
    ------
    OSError
        When the file cannot be written.
    ValueError
        When NeXus cannot describe the models.
    """
    output = replicate.output
    scan = source.scan
    models = compat.models_to_dict(
        source.imageset.get_detector(), source.beam, source.goniometer, None, None
    )
    models["scan"] = None if scan is None else compat.scan_to_dict(scan)
    mask = source.static_mask()
    write_master(
        folder / output.images_template,
        Master(
            corrected_header(models, panel, replicate.seed),
            tuple(
                DataFile(output.file_name(block[0]), tuple(block))
                for block in blocks(source.numbers, images_per_file)
            ),
            None if mask.all() else ~mask,
        ),
        rotation_axis=_rotation_axis(source),
        electrons=compat.is_electron_beam(source.beam),
    )


def _rotation_axis(source: SweepSource) -> Sequence[float] | None:
    """Return the axis in the laboratory."""
    if source.goniometer is None or source.scan is None:
        return None
    return tuple(source.goniometer.get_rotation_axis())
