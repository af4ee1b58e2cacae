"""Read .tvips series (EM-MENU 4 streams) recorded by TVIPS cameras.

``dials.import mov_*.tvips`` makes one sweep of all parts of a series. Headers
say little about geometry that can be relied on; what is assumed is logged, and
these parameters of dials.import override it::

    geometry.detector.distance=2640
    geometry.goniometer.axis=-0.829,0.559,0
    geometry.goniometer.invert_rotation_axis=True
    geometry.scan.oscillation=-30,0.25
    geometry.beam.wavelength=0.0251

The rotation axis is the one about which the crystal turns right-handed from
frame to frame. Where the stage angle falls, dials.import therefore sees the
negated angles and the inverted axis. An image that another program mirrored
left to right needs an axis (x, y, 0) changed to (x, -y, 0), as a rotation axis
is an axial vector.

Without usable stage angles (version 1, or a read-back that stands still) the
series is imported as stills; ``geometry.scan.oscillation=start,width`` makes it
a sweep.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from dxtbx import IncorrectFormatError
from dxtbx.format.Format import Format
from dxtbx.format.FormatMultiImage import FormatMultiImage

from dials_truncfix import compat
from dials_truncfix.format.tem_models import (
    log_once,
    make_flat_detector,
    plain_failures,
    refuse,
)
from dials_truncfix.io.microscope import (
    camera_length,
    electron_wavelength,
    high_tension,
    tvips_pixel_size,
)
from dials_truncfix.io.rotation import frame_interval, uniform_rotation
from dials_truncfix.io.tvips import TVIPSSeries, is_first_part

_LOGGER = "dxtbx.format.FormatTVIPS"


class FormatTVIPS(FormatMultiImage, Format):
    """A series of frames in one or several .tvips files."""

    @staticmethod
    def understand(image_file: str) -> bool:
        """Accept part ``_000`` of a series that is whole enough to be read."""
        if not is_first_part(image_file):
            return False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                TVIPSSeries.open(image_file)
        except ValueError as error:
            return refuse(_LOGGER, error)
        except OSError:
            return False
        return True

    def __init__(self, image_file: str, **kwargs: Any) -> None:
        if not self.understand(image_file):
            raise IncorrectFormatError(self, image_file)
        FormatMultiImage.__init__(self, **kwargs)
        Format.__init__(self, image_file, **kwargs)

    def _note(self, message: str, level: int = logging.INFO) -> None:
        log_once(_LOGGER, level, f"{self._image_file}: {message}")

    def _start(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._series = TVIPSSeries.open(self._image_file)
        for warning in caught:
            log_once(_LOGGER, logging.WARNING, str(warning.message))
        if len(self._series.parts) > 1:
            self._note(
                f"{self._series.n_frames} frames in {len(self._series.parts)} parts, "
                f"up to {self._series.parts[-1].name}, are read as one series"
            )
        headers = self._series.frame_headers()
        self._first_frame = headers[0]
        self._times = [header.time for header in headers]
        self._rotation = uniform_rotation(
            [float("nan") if h.alpha_deg is None else h.alpha_deg for h in headers]
        )

    def _goniometer(self) -> Any:
        falling = self._rotation is not None and self._rotation.step_deg < 0
        axis = (-1.0, 0.0, 0.0) if falling else (1.0, 0.0, 0.0)
        self._note(
            f"rotation axis {axis} assumed (geometry.goniometer.axis and "
            "geometry.goniometer.invert_rotation_axis override)"
        )
        return self._goniometer_factory.known_axis(axis)

    def _detector(self) -> Any:
        header = self._series.header
        pixel, note = tvips_pixel_size(
            header.nx, header.x_binning, header.pixel_size_nm * 1e-6
        )
        if note is not None:
            self._note(note)
        distance, note = camera_length(
            self._first_frame.magnification or header.magnification
        )
        self._note(note)
        self._note(
            "beam centre assumed in the middle of the image "
            "(mosflm_beam_centre=x,y or slow_fast_beam_centre=y,x override)"
        )
        return make_flat_detector(
            (header.nx, header.ny), (pixel, pixel), distance, header.dtype
        )

    def _beam(self) -> Any:
        kilovolt, note = high_tension(self._series.header.high_tension_kv)
        if note is not None:
            self._note(note)
        return compat.make_electron_beam(electron_wavelength(kilovolt))

    def _scan(self) -> Any:
        n_frames = self._series.n_frames
        if self._rotation is None:
            oscillation = (0.0, 0.0)
            self._note(
                "the stage angles in the headers describe no rotation; if the crystal "
                "was rotated, import with geometry.scan.oscillation=start,width "
                "(degrees)",
                logging.WARNING,
            )
        else:
            start, step = self._rotation.start_deg, self._rotation.step_deg
            oscillation = (start, step) if step > 0 else (-start, -step)
            self._note(
                f"oscillation {step:g} degrees a frame from {start:g} degrees taken "
                "from the stage angles (geometry.scan.oscillation overrides)"
            )
            if self._rotation.n_deviating:
                self._note(
                    f"the stage was more than two steps off a uniform rotation in "
                    f"{self._rotation.n_deviating} of {n_frames} frames",
                    logging.WARNING,
                )
        exposure = frame_interval(self._times)
        if exposure is None:
            exposure = 0.0
            self._note("the time stamps do not advance; exposure time set to 0")
        return compat.make_scan(
            (1, n_frames), oscillation, [exposure] * n_frames, self._times
        )

    def get_num_images(self) -> int:
        """Return the number of complete frames."""
        return self._series.n_frames

    def get_scan(self, index: int | None = None) -> Any:
        """Return the scan of all frames, or of one counted from 0."""
        scan = Format.get_scan(self)
        return scan if index is None else scan[index : index + 1]

    def get_raw_data(self, index: int | None = None) -> Any:
        """Return frame `index`, counted from 0, as flex.int (ADU)."""
        return compat.to_flex(self.recorded_pixels(index or 0))

    def recorded_pixels(self, index: int) -> Any:
        """Return frame `index`, counted from 0, as ndarray in the type it has (ADU)."""
        with plain_failures():
            return self._series.read_frame(index)
