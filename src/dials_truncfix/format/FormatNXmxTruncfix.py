"""Read the corrected images that dials.truncfix writes as NeXus.

The master file describes the experiment by NXmx, so that other classes read it too.
This one restores what NXmx has no place for, or other releases leave out: pedestal,
gain, trusted range, the kind of panel and of beam, and image numbers that do not
start at 1.
"""

from __future__ import annotations

from typing import Any

from dxtbx import IncorrectFormatError, flumpy
from dxtbx.format.FormatNXmx import FormatNXmx

from dials_truncfix import compat
from dials_truncfix.format.numbered_images import NumberedImages
from dials_truncfix.format.tem_models import plain_failures, refuse
from dials_truncfix.io import nexus


class FormatNXmxTruncfix(NumberedImages, FormatNXmx):
    """Corrected images behind a NeXus master file."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept undamaged master files of dials.truncfix."""
        if not nexus.is_ours(image_file):
            return False
        try:
            nexus.read_master(image_file)
        except ValueError as error:
            return refuse("dxtbx.format.FormatNXmxTruncfix", error)
        return True

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        super().__init__(image_file, **kwargs)

    def _start(self) -> None:
        with plain_failures():
            self._master = nexus.read_master(self._image_file)
            models = dict(self._master.header.models)
            plain_scan = models.pop("scan", None)
            try:
                self._models = compat.models_from_dict({**models, "scan": None})
                self._sweep = plain_scan and compat.scan_from_dict(plain_scan)
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise ValueError(
                    f"{self._image_file}: the models in it are damaged ({error}); run "
                    "dials.truncfix again"
                ) from None
        self._numbers = self._master.numbers
        bad = self._master.bad_pixels
        self._static_mask = None if bad is None else (flumpy.from_numpy(~bad),)

    def _detector(self) -> Any:
        return self._models[0]

    def _beam(self, index: int | None = None) -> Any:
        return self._models[1]

    def _goniometer(self) -> Any:
        return self._models[2]

    def _scan(self) -> Any:
        return self._sweep

    def get_spectrum(self, index: int | None = None) -> Any:
        """Return None: the beam has one wavelength."""
        return None

    def get_raw_data(self, index: int | None = None) -> Any:
        """Return the image at this place in the file, from 0, as flex.int (ADU)."""
        with plain_failures():
            pixels = nexus.read_numbered(
                self._image_file, self._master, (index or 0) + 1
            )
        return (compat.to_flex(pixels),)
