"""Exposure and frame times that a K2 or K3 can do.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM,
section "Constraints on timing". Its printed figures for a K3, 0.666 ms, 0.013 s and
0.011 s, are rounded: times have to be whole read-outs, which 0.013 s and 0.011 s are not,
and 20 and 16 read-outs of 1/1500 s are.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

#: A time that differs by less from a legal one is taken for it, s.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class TimingRules:
    """Times of a camera in one of its modes, s.

    Attributes
    ----------
    read_out : fractions.Fraction
        Interval between read-outs of the sensor, of which all times are multiples.
    exposure_step : fractions.Fraction
        Exposures that are not fractionated are multiples of it.
    shortest_fractionated : fractions.Fraction
        Shortest exposure that can be fractionated.
    """

    read_out: Fraction
    exposure_step: Fraction
    shortest_fractionated: Fraction

    def read_outs(self, frame_time: float) -> int:
        """Read-outs of the sensor that make a frame.

        Raises
        ------
        ValueError
            If the time is no multiple of their interval, with the nearest one.
        """
        return _multiple(frame_time, self.read_out, "frame time")

    def check(self, exposure: float, n_frames: int | None) -> None:
        """Refuse an exposure that the camera cannot do.

        Parameters
        ----------
        exposure : float
            Time of the exposure, s.
        n_frames : int or None
            Frames into which it is fractionated; None where it is not.

        Raises
        ------
        ValueError
            With the nearest time that is possible.
        """
        if n_frames is None:
            _multiple(exposure, self.exposure_step, "exposure without fractionation")
            return
        if n_frames < 1:
            raise ValueError(f"{n_frames} frames")
        self.read_outs(exposure / n_frames)
        shortest = float(self.shortest_fractionated)
        if exposure < shortest - TOLERANCE:
            raise ValueError(
                f"a fractionated exposure of {exposure:g} s is too short: the nearest "
                f"that is possible is {shortest:.6g} s"
            )


def _multiple(time: float, step: Fraction, what: str) -> int:
    number = max(1, round(time / float(step)))
    nearest = float(number * step)
    if not abs(time - nearest) <= TOLERANCE:
        raise ValueError(
            f"{what} of {time:g} s is no multiple of {1e3 * float(step):.4g} ms: the "
            f"nearest that is possible is {nearest:.6f} s"
        )
    return number
