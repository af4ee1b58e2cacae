"""The parameters of dials.truncfix as the options of the library."""

from __future__ import annotations

from typing import Any

import libtbx
from dials.util import Sorry

from dials_truncfix.command_line.camera_options import camera_of
from dials_truncfix.command_line.program import in_one_sentence
from dials_truncfix.sweep.label_image import LabelImage, read_label_image
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions


def correction_options(params: Any) -> CorrectionOptions:
    """Translate the phil parameters of the correction.

    Raises
    ------
    Sorry
        When the label image cannot be used, or parameters exclude each other.
    """
    try:
        return _correction_options(params)
    except ValueError as error:
        raise Sorry(str(error)) from None


def _correction_options(params: Any) -> CorrectionOptions:
    tile_size, labels = params.regions.tiles.size, params.regions.labels
    return CorrectionOptions(
        n_annuli=params.annuli.count,
        minimum_pixels=params.annuli.minimum_pixels,
        shape=params.regions.shape,
        n_sectors=params.regions.sectors.count,
        tile_size=None if tile_size is libtbx.Auto else tile_size,
        labels=None if labels is None else _labels(labels),
        family=params.fit.model,
        camera=camera_of(params),
        histograms=params.fit.histograms,
        block_size=params.fit.block_size,
        rounding=params.rounding,
        assign=params.assign,
        noise=params.noise,
        beam_stop=params.mask.beam_stop,
        seed=params.seed,
    )


def _labels(path: str) -> LabelImage:
    with in_one_sentence(path):
        return read_label_image(path)


def output_options(params: Any) -> OutputOptions:
    """Translate the phil parameters of the output.

    Raises
    ------
    Sorry
        When the template has no place for the image number.
    """
    auto = libtbx.Auto
    output = params.output
    try:
        return OutputOptions(
            directory=output.directory or ".",
            template=output.template,
            image_format=output.format,
            experiments=output.experiments,
            json=output.json,
            html=output.html,
            offset=None if output.offset is auto else output.offset,
            gain=None if params.gain is auto else params.gain,
            pedestal=None if params.pedestal is auto else params.pedestal,
            compression=output.compression,
            replicates=params.replicates,
        )
    except ValueError as error:
        raise Sorry(str(error)) from None
