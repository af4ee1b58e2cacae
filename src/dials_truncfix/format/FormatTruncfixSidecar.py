"""Read sidecars of dials.truncfix: images that are corrected as they are read.

A sidecar holds how the images of a sweep are corrected, and where they are. What it
gives equals, pixel by pixel, the CBF images that dials.truncfix would have written.
Sources are looked for relative to the sidecar first, so that folders can move
together, and have to be what they were when it was written.
"""

from __future__ import annotations

import logging
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.format.FormatMultiImage import FormatMultiImage

from dials_truncfix import compat
from dials_truncfix.format.numbered_images import NumberedImages
from dials_truncfix.format.tem_models import log_once, plain_failures
from dials_truncfix.io.sidecar import is_sidecar

_LOGGER = "dxtbx.format.FormatTruncfixSidecar"


class FormatTruncfixSidecar(NumberedImages, FormatMultiImage, Format):
    """Corrected images behind a sidecar."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept what begins as a sidecar; what is wrong with it is said later."""
        return is_sidecar(image_file)

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        self._kwargs = kwargs
        FormatMultiImage.__init__(self, **kwargs)
        Format.__init__(self, image_file, **kwargs)

    def __reduce__(self) -> Any:
        """Open the file again where the object is unpickled."""
        return _reopen, (type(self), self._image_file, self._kwargs)

    def _start(self) -> None:
        # not at the top: every format class is imported by every dials.import
        from dials_truncfix.sweep.sidecar import open_sidecar

        with plain_failures():
            self._images = open_sidecar(self._image_file)
        self._numbers = self._images.numbers
        self._checks = {c.number: c.crc32 for c in self._images.recipe.checks}

    def _detector(self) -> Any:
        return self._images.detector()

    def _beam(self) -> Any:
        return self._images.sources.get_beam()

    def _goniometer(self) -> Any:
        return self._images.sources.get_goniometer()

    def _scan(self) -> Any:
        return self._images.sources.get_scan()

    def get_raw_data(self, index: int | None = None) -> Any:
        """Return the corrected image at this place, from 0, as flex.int (ADU)."""
        number = (index or 0) + 1
        with plain_failures():
            pixels = self._images.pixels(self._images.index(number))
        if number in self._checks:
            self._compare(number, pixels)
        return compat.to_flex(pixels)

    def _compare(self, number: int, pixels: Any) -> None:
        from dials_truncfix.sweep.recipe_images import checksum

        if checksum(pixels) != self._checks[number]:
            log_once(
                _LOGGER,
                logging.WARNING,
                f"{self._image_file}: image {number} differs from what it was when the "
                "sidecar was written, by another version or on another machine; the "
                "images are right, but not the same. Run dials.truncfix again where "
                "that matters.",
            )


def _reopen(cls: type[FormatTruncfixSidecar], path: str, kwargs: Any) -> Any:
    return cls(path, **kwargs)
