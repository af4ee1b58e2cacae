r"""Read TIFF images that EM-MENU wrote for TVIPS cameras.

The images know their stage angle, but not how far the stage turned while they
were exposed, so they are stills. A numbered series becomes a sweep by::

    dials.import mov_*.tif geometry.scan.oscillation=-30,0.25 \
        geometry.convert_stills_to_sequences=True

The remaining geometry.* parameters are those of FormatTVIPS. The class is a
child of Format, not of FormatTIFF: that one looks for the TIFF directory in the
first kilobyte only, while EM-MENU writes it behind its own tags.
"""

from __future__ import annotations

import logging
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format

from dials_truncfix import compat
from dials_truncfix.format.tem_models import log_once, make_flat_detector
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
        """Accept TIFF files that carry a TVIPS tag."""
        try:
            return emmenu_tiff.is_emmenu_tiff(image_file)
        except OSError:
            return False

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _note(self, message: str) -> None:
        # Without the file name, so that a series says it once.
        log_once(_LOGGER, logging.INFO, f"EM-MENU TIFF: {message}")

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
            "the headers hold no rotation per image; import a sweep with "
            "geometry.scan.oscillation=start,width (degrees) and "
            "geometry.convert_stills_to_sequences=True"
        )
        return None

    def get_raw_data(self) -> Any:
        """Return the pixels as flex.int (ADU)."""
        return compat.to_flex(emmenu_tiff.read_pixels(self._image_file))
