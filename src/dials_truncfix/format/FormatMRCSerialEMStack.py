"""Read MRC stacks of K2 and K3 frames that SerialEM saved; one frame is one image.

The title tells orientation, scale, gain reference and defects; the latter two have to
lie beside the stack or one folder up, and are applied. Geometry comes from the .mdoc
file beside it; what nobody noted is assumed, logged, and overridden by the geometry.*
parameters of dials.import, among them::

    geometry.scan.oscillation=-30,0.05
    geometry.detector.distance=1500
    geometry.goniometer.axis=0.6,-0.8,0

Frames are summed or reduced by a recipe, see `FormatSerialEMRecipe`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.format.FormatMultiImage import FormatMultiImage

from dials_truncfix.format.serialem_images import SerialEMStack, is_frame_file
from dials_truncfix.io.frame_recipe import FrameRecipe


class FormatMRCSerialEMStack(SerialEMStack, FormatMultiImage, Format):
    """Several frames in an MRC file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept MRC files of several frames with a title of SerialEM's plugin."""
        return is_frame_file(image_file, tiff=False, several=True)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        FormatMultiImage.__init__(self, **kwargs)
        Format.__init__(self, image_file, **kwargs)

    def _start(self) -> None:
        self._open_stack(Path(self._image_file), FrameRecipe())
