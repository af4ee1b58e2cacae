"""Read TIFF stacks of K2 and K3 frames that SerialEM saved; one frame is one image.

As `FormatMRCSerialEMStack`. The class is a child of Format, not of FormatTIFF, whose
children end the program at files that are not theirs; its name comes first, so that
they are not asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.format.FormatMultiImage import FormatMultiImage

from dials_truncfix.format.serialem_images import SerialEMStack, is_frame_file
from dials_truncfix.io.frame_recipe import FrameRecipe


class FormatSerialEMTIFFStack(SerialEMStack, FormatMultiImage, Format):
    """Several frames in a TIFF file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept TIFF files of several frames with a title of SerialEM's plugin."""
        return is_frame_file(image_file, tiff=True, several=True)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        FormatMultiImage.__init__(self, **kwargs)
        Format.__init__(self, image_file, **kwargs)

    def _start(self) -> None:
        self._open_stack(Path(self._image_file), FrameRecipe())
