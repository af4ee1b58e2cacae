"""Read SMV images that were made from TVIPS recordings.

These come from Leginon (BEAMLINE names TVIPS) or from tvips2smv and its kin
(a bare ADSC header with DETECTOR_SN=unknown). Their pixels may stand on a
constant that the header names IMAGE_PEDESTAL, relative to the stored values;
Leginon also notes LEGINON_OFFSET, the constant it added. The former is the
level of no electrons and becomes the pedestal of the panel; the latter stands
in where IMAGE_PEDESTAL is missing. Otherwise
``geometry.detector.panel.pedestal=`` of dials.import sets it.
"""

from __future__ import annotations

import logging
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.FormatSMVADSC import FormatSMVADSC

from dials_truncfix import compat
from dials_truncfix.format.tem_models import (
    integer_trusted_range,
    log_once,
    plain_failures,
)
from dials_truncfix.io import smv

_LOGGER = "dxtbx.format.FormatSMVTVIPS"

_PEDESTAL_KEYS = ("IMAGE_PEDESTAL", "LEGINON_OFFSET")
# The header that tvips2smv writes, and nothing that a synchrotron would add.
_CONVERTER_KEYS = frozenset(
    "BEAM_CENTER_X BEAM_CENTER_Y BIN BYTE_ORDER DATE DETECTOR_SN DIM DISTANCE "
    "HEADER_BYTES OSC_RANGE OSC_START PHI PIXEL_SIZE SIZE1 SIZE2 TIME TWOTHETA TYPE "
    "WAVELENGTH".split()
)
_LONGEST_ELECTRON_WAVELENGTH = 0.1


def _is_from_leginon(header: dict[str, str]) -> bool:
    return "TVIPS" in header.get("BEAMLINE", "").upper()


def _is_from_converter(header: dict[str, str]) -> bool:
    keys = frozenset(header)
    if header.get("DETECTOR_SN") != "unknown" or not _CONVERTER_KEYS <= keys:
        return False
    extra = keys - _CONVERTER_KEYS
    if extra - {*_PEDESTAL_KEYS, "GAIN"}:
        return False
    try:
        if float(header["WAVELENGTH"]) > _LONGEST_ELECTRON_WAVELENGTH:
            return False
    except ValueError:
        return False
    # The bare header is what FormatSMV_TVIPS of dxtbx_ED_formats asks for;
    # where that is installed its users expect it to be used.
    return bool(extra) or not compat.format_is_registered("FormatSMV_TVIPS")


class FormatSMVTVIPS(FormatSMVADSC):
    """An SMV image made from a TVIPS recording."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept ADSC headers that Leginon or tvips2smv wrote for TVIPS data."""
        try:
            header = smv.read_header(image_file)
        except (OSError, ValueError):
            return False
        if smv.is_truncfix(header):
            return False
        return _is_from_leginon(header) or _is_from_converter(header)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _pedestal(self) -> float:
        for key in _PEDESTAL_KEYS:
            if key in self._header_dictionary:
                value = float(self._header_dictionary[key])
                message = f"pedestal {value:g} ADU taken from {key}"
                break
        else:
            value = 0.0
            message = "no IMAGE_PEDESTAL in the header; pedestal 0 assumed"
        log_once(
            _LOGGER,
            logging.INFO,
            f"SMV from TVIPS data: {message} (geometry.detector.panel.pedestal "
            "overrides)",
        )
        return value

    def _detector(self) -> Any:
        with plain_failures():
            header, (slow_size, fast_size), dtype = smv.read_layout(self._image_file)
        pixel = float(header["PIXEL_SIZE"])
        return self._detector_factory.simple(
            "CCD",
            float(header["DISTANCE"]),
            # The header follows ADSC: X is the slow and Y the fast coordinate.
            (float(header["BEAM_CENTER_Y"]), float(header["BEAM_CENTER_X"])),
            "+x",
            "-y",
            (pixel, pixel),
            (fast_size, slow_size),
            integer_trusted_range(dtype),
            [],
            gain=float(header.get("GAIN", 1.0)),
            pedestal=self._pedestal(),
        )

    def _beam(self) -> Any:
        return compat.make_electron_beam(float(self._header_dictionary["WAVELENGTH"]))

    def get_raw_data(self) -> Any:
        """Return the pixels as stored, as flex.int (ADU)."""
        with plain_failures():
            return compat.to_flex(smv.read_pixels(self._image_file))
