"""What the detector model of corrected images must say to DIALS."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dials_truncfix.correction.gain import GainEstimate
from dials_truncfix.sweep.source import SweepSource

#: Below any value that the correction can draw: no corrected pixel is untrusted, and
#: every version of dxtbx agrees on that.
LOWEST_TRUSTED = -32768


@dataclass(frozen=True)
class PanelValues:
    """Values for the detector model, ADU.

    Attributes
    ----------
    gain : float
        Slope of the variance of pixels on their mean.
    pedestal : float
        Mean at which the variance would be zero, before the offset.
    lowest, highest : int
        Range of the values to trust, before the offset.
    offset : int
        Added to every stored pixel.
    """

    gain: float
    pedestal: float
    lowest: int
    highest: int
    offset: int = 0

    def with_offset(self, smallest: int, offset: int | None) -> PanelValues:
        """Add an offset for storage as unsigned integers.

        Parameters
        ----------
        smallest : int
            Smallest pixel of the sweep, ADU.
        offset : int or None
            The offset, ADU; None makes the smallest pixel 1.

        Raises
        ------
        ValueError
            When the offset leaves pixels below zero.
        """
        # 0 stays free for pixels that do not measure
        needed = 1 - smallest
        if offset is None:
            offset = max(needed, 0)
        elif offset < needed:
            raise ValueError(
                f"output.offset={offset} is too small: the smallest corrected pixel "
                f"is {smallest} ADU, which needs an offset of at least {needed}"
            )
        return replace(
            self,
            offset=offset,
            lowest=smallest,
            highest=min(self.highest, 65534 - offset),
        )


def panel_values(
    source: SweepSource,
    estimate: GainEstimate | None,
    gain: float | None,
    pedestal: float | None,
) -> PanelValues:
    """Choose the values: the user's, else the estimate, else what the images say.

    Parameters
    ----------
    source : SweepSource
        The sweep.
    estimate : GainEstimate or None
        Measured on the sweep; used when it is reliable.
    gain, pedestal : float or None
        The user's, ADU.

    Returns
    -------
    PanelValues
        Without offset.
    """
    measured = estimate if estimate is not None and estimate.reliable else None
    if gain is None:
        gain = source.panel.get_gain() if measured is None else measured.gain
    if pedestal is None:
        pedestal = (
            source.panel.get_pedestal() if measured is None else measured.pedestal
        )
    return PanelValues(gain, pedestal, LOWEST_TRUSTED, source.max_valid)
