"""Read TIFF images that EM-MENU wrote for TVIPS cameras.

The images know their stage angle, but not how far the stage turned while they
were exposed, so they are stills. A numbered series becomes a sweep by::

    dials.import mov_*.tif geometry.scan.oscillation=-30,0.25

The remaining geometry.* parameters are those of FormatTVIPS. The class is a
child of Format, not of FormatTIFF: that one looks for the TIFF directory in the
first kilobyte only, while EM-MENU writes it behind its own tags.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.sequence_filenames import template_regex

from dials_truncfix import compat
from dials_truncfix.format.tem_models import (
    log_once,
    make_flat_detector,
    plain_failures,
    refuse,
)
from dials_truncfix.io import emmenu_tiff
from dials_truncfix.io.microscope import (
    camera_length,
    electron_wavelength,
    high_tension,
    tvips_pixel_size,
)

_LOGGER = "dxtbx.format.FormatEMMENU"


class FormatEMMENU(Format):
    """One image in a TIFF file with the tags of EM-MENU."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept readable TIFF files that carry a TVIPS tag."""
        try:
            if not emmenu_tiff.is_emmenu_tiff(image_file):
                return False
            emmenu_tiff.read_header(image_file)
        except ValueError as error:
            return refuse(_LOGGER, error)
        except OSError:
            return False
        return True

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _note(self, message: str, level: int = logging.INFO) -> None:
        # Without the file name, so that a series says it once.
        log_once(_LOGGER, level, f"EM-MENU TIFF: {message}")

    def _start(self) -> None:
        self._header = emmenu_tiff.read_header(self._image_file)

    def _goniometer(self) -> Any:
        self._note(
            "rotation axis (1, 0, 0) assumed (geometry.goniometer.axis and "
            "geometry.goniometer.invert_rotation_axis override)"
        )
        return self._goniometer_factory.known_axis((1.0, 0.0, 0.0))

    def _detector(self) -> Any:
        header = self._header
        pixel_size = header.pixel_size_mm
        if not 0.001 <= header.physical_pixel_mm <= 0.1:
            pixel, note = tvips_pixel_size(
                header.nx, header.binning[0], header.physical_pixel_mm
            )
            pixel_size = (pixel, pixel)
            if note is not None:
                self._note(note)
        distance, note = camera_length(header.camera_length_mm)
        self._note(note)
        self._note(
            "beam centre assumed in the middle of the image "
            "(mosflm_beam_centre=x,y or slow_fast_beam_centre=y,x override)"
        )
        return make_flat_detector(
            (header.nx, header.ny), pixel_size, distance, header.dtype
        )

    def _beam(self) -> Any:
        kilovolt, note = high_tension(self._header.high_tension_kv)
        if note is not None:
            self._note(note)
        return compat.make_electron_beam(electron_wavelength(kilovolt))

    def _scan(self) -> Any:
        self._note(
            "the headers hold no rotation per image; if the crystal was rotated, import "
            "the series with geometry.scan.oscillation=start,width (degrees)",
            logging.WARNING,
        )
        template, number = template_regex(os.path.basename(self._image_file))
        index = 1 if template is None else number
        # No angle and no width: such scans join to one sequence, whatever the
        # stage read-back, and dials.import gives that its oscillation.
        return compat.make_scan(
            (index, index),
            (0.0, 0.0),
            [self._header.exposure_s],
            [self._header.timestamp],
        )

    def get_raw_data(self) -> Any:
        """Return the pixels as flex.int (ADU)."""
        with plain_failures():
            return compat.to_flex(emmenu_tiff.read_pixels(self._image_file))
