"""Read the corrected images that dials.truncfix writes as SMV.

Stored pixels stand on one constant for the whole sweep; the pedestal of the
panel accounts for it and for the read noise. Programs without this class find
the constant under IMAGE_PEDESTAL, and the gain under GAIN.
"""

from __future__ import annotations

from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.FormatSMVADSC import FormatSMVADSC

from dials_truncfix import compat
from dials_truncfix.format.corrected_image import CorrectedImage
from dials_truncfix.format.tem_models import plain_failures
from dials_truncfix.io import smv
from dials_truncfix.io.corrected_header import parse_smv_header


class FormatSMVTruncfix(CorrectedImage, FormatSMVADSC):
    """A corrected image in an SMV file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept SMV files that dials.truncfix wrote."""
        try:
            return smv.is_truncfix(smv.read_header(image_file))
        except (OSError, ValueError):
            return False

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _start(self) -> None:
        FormatSMVADSC._start(self)
        with plain_failures():
            header, _, _ = smv.read_layout(self._image_file)
            self._restore_models(parse_smv_header(header))

    def get_raw_data(self) -> Any:
        """Return the pixels as stored, as flex.int (ADU)."""
        with plain_failures():
            return compat.to_flex(smv.read_pixels(self._image_file))
