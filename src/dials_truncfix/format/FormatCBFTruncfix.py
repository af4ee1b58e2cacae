"""Read the corrected images that dials.truncfix writes as CBF.

The header restores gain, pedestal, trusted range and all models as they were
written. No class of dxtbx accepts these files, because none could know their
trusted range.
"""

from __future__ import annotations

from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.FormatCBF import FormatCBF

from dials_truncfix import compat
from dials_truncfix.format.corrected_image import CorrectedImage
from dials_truncfix.format.tem_models import plain_failures, refuse
from dials_truncfix.io import cbf
from dials_truncfix.io.corrected_header import parse_cbf_lines


class FormatCBFTruncfix(CorrectedImage, FormatCBF):
    """A corrected image in a miniCBF file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept undamaged miniCBF files with our header convention."""
        try:
            if cbf.read_header(image_file).convention != cbf.CONVENTION:
                return False
        except (OSError, ValueError):
            return False
        try:
            parse_cbf_lines(cbf.read_checked_header(image_file).lines)
        except ValueError as error:
            return refuse("dxtbx.format.FormatCBFTruncfix", error)
        return True

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _start(self) -> None:
        with plain_failures():
            header = cbf.read_header(self._image_file)
            self._restore_models(parse_cbf_lines(header.lines))

    def get_raw_data(self) -> Any:
        """Return the pixels as flex.int (ADU)."""
        with plain_failures():
            header, packed = cbf.read_compressed(self._image_file)
        return compat.uncompress_byte_offset(packed, header.shape)
