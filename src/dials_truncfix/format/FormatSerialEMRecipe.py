"""Read images that a recipe makes from K2 or K3 frames: summed, reduced, or both.

dials.import has no options for formats, so the recipe is a file, NAME.frames, and is
imported in the place of the stack; see `dials_truncfix.io.frame_recipe`. An image of
all frames, such as from a single exposure, needs nothing but
``{"serialem_frames": 1, "stack": "NAME.tif", "frames_per_image": 0}``.
"""

from __future__ import annotations

from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.format.FormatMultiImage import FormatMultiImage

from dials_truncfix.format.serialem_images import SerialEMStack
from dials_truncfix.format.tem_models import plain_failures
from dials_truncfix.io.frame_recipe import is_recipe, read_recipe


class FormatSerialEMRecipe(SerialEMStack, FormatMultiImage, Format):
    """Images made from frames behind a recipe."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept what is named and begins as a recipe; its faults are told later."""
        return is_recipe(image_file)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        FormatMultiImage.__init__(self, **kwargs)
        Format.__init__(self, image_file, **kwargs)

    def _start(self) -> None:
        with plain_failures():
            stack, recipe = read_recipe(self._image_file)
        self._open_stack(stack, recipe)
