"""Read single K2 and K3 frames that SerialEM saved to numbered MRC files.

As `FormatMRCSerialEMStack`, for files of one frame each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format

from dials_truncfix.format.serialem_images import SerialEMImage, is_frame_file
from dials_truncfix.io.frame_recipe import FrameRecipe


class FormatMRCSerialEMImage(SerialEMImage, Format):
    """One frame in an MRC file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept MRC files of one frame with a title of SerialEM's plugin."""
        return is_frame_file(image_file, tiff=False, several=False)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _start(self) -> None:
        self._open_stack(Path(self._image_file), FrameRecipe())
