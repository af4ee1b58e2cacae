"""Models of a corrected image, restored from its header."""

from __future__ import annotations

import os
from typing import Any

from dxtbx.sequence_filenames import template_regex

from dials_truncfix import compat
from dials_truncfix.io.corrected_header import CorrectedHeader


class CorrectedImage:
    """Mix-in for format classes of corrected images."""

    _image_file: str

    def _restore_models(self, header: CorrectedHeader) -> None:
        # A template counts images by file name, so a renamed series keeps its
        # angles but follows its new numbers.
        template, number = template_regex(os.path.basename(self._image_file))
        try:
            self._models = compat.models_from_dict(
                dict(header.models), None if template is None else number
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{self._image_file}: the models in the header are damaged ({error}); "
                "run dials.truncfix again"
            ) from None

    def _detector(self) -> Any:
        return self._models[0]

    def _beam(self) -> Any:
        return self._models[1]

    def _goniometer(self) -> Any:
        return self._models[2]

    def _scan(self) -> Any:
        return self._models[3]
