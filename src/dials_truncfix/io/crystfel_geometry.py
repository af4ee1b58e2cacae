"""Detector geometry in the words of CrystFEL, as they stand in its stream files.

CrystFEL's laboratory frame has z along the beam, away from the source, y upwards, and x to
the left of somebody who looks along the beam. Positions on a panel are counted in pixels
from the very corner of the first pixel; the stream counts them from the corner of the data
block, in which the panel begins at ``min_fs`` and ``min_ss``.

The format is that of the manual page crystfel_geometry(5) of CrystFEL 0.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Names that begin like this are no panels.
_NO_PANELS = ("bad", "rigid_group", "group")
_NUMBERS = ("min_fs", "max_fs", "min_ss", "max_ss", "corner_x", "corner_y", "res")
_TERM = re.compile(r"([+-]?)\s*(\d*\.?\d*(?:[eE][+-]?\d+)?)\s*([xyz])")
_FARTHEST = 2**31
# Many more characters than three numbers have; looking for them takes quadratic time.
_LONGEST_DIRECTION = 256
_COMMENT = re.compile(r";.*")


@dataclass(frozen=True)
class StreamPanel:
    """One flat part of a detector.

    Attributes
    ----------
    name : str
        Its name in the stream.
    pixel_size : float
        mm.
    first : tuple of int
        Position of its first pixel in the data block (fast, slow).
    size : tuple of int
        Pixels (fast, slow).
    corner : ndarray, shape (3,)
        Corner of its first pixel, mm; z counts from the camera length.
    fast, slow : ndarray, shape (3,)
        Directions, of length 1.
    """

    name: str
    pixel_size: float
    first: tuple[int, int]
    size: tuple[int, int]
    corner: FloatArray
    fast: FloatArray
    slow: FloatArray

    def holds(self, fs: float, ss: float) -> bool:
        """Whether a position in the data block is on the panel."""
        x, y = fs - self.first[0], ss - self.first[1]
        return 0 <= x <= self.size[0] and 0 <= y <= self.size[1]


def parse_panels(lines: Iterable[str]) -> tuple[StreamPanel, ...]:
    """Read the panels of a geometry block.

    Parameters
    ----------
    lines : iterable of str
        ``parameter = value``, or ``panel/parameter = value``.

    Returns
    -------
    tuple of StreamPanel
        In the order of the block; empty if there are none.

    Raises
    ------
    ValueError
        About the first panel that is not fully described.
    """
    defaults: dict[str, str] = {}
    panels: dict[str, dict[str, str]] = {}
    for line in lines:
        key, equals, value = _COMMENT.sub("", line).partition("=")
        if not equals:
            continue
        panel, slash, name = key.strip().rpartition("/")
        if panel.startswith(_NO_PANELS) or (not slash and name.startswith(_NO_PANELS)):
            continue
        if slash:
            # a value without a panel is for panels that come after it
            panels.setdefault(panel, dict(defaults))[name] = value.strip()
        else:
            defaults[name] = value.strip()
    return tuple(_panel(name, values) for name, values in panels.items())


def _panel(name: str, values: dict[str, str]) -> StreamPanel:
    try:
        min_fs, max_fs, min_ss, max_ss, x, y, res = (
            float(values[key]) for key in _NUMBERS
        )
        pixel_size = 1e3 / res
        offset = 1e3 * float(values.get("coffset", "0").split()[0])
        fast, slow = _direction(values["fs"]), _direction(values["ss"])
        if not all(abs(x) < _FARTHEST for x in (min_fs, max_fs, min_ss, max_ss)):
            raise ValueError("its place in the data block")
    except KeyError as error:
        raise ValueError(f"panel {name} has no {error.args[0]}") from None
    except (ValueError, ZeroDivisionError, IndexError) as error:
        raise ValueError(f"panel {name} is not understood ({error})") from None
    return StreamPanel(
        name=name,
        pixel_size=pixel_size,
        first=(round(min_fs), round(min_ss)),
        size=(round(max_fs - min_fs) + 1, round(max_ss - min_ss) + 1),
        corner=np.array([x * pixel_size, y * pixel_size, offset]),
        fast=fast,
        slow=slow,
    )


def _direction(text: str) -> FloatArray:
    """Read a vector such as -0.5x +0.866y; a bare letter counts once."""
    if len(text) > _LONGEST_DIRECTION:
        raise ValueError(f"{text[:40]}... is no direction")
    result = np.zeros(3)
    for sign, number, axis in _TERM.findall(text):
        size = float(number) if number else 1.0
        result["xyz".index(axis)] += -size if sign == "-" else size
    length = float(np.linalg.norm(result))
    if not length > 0 or _TERM.sub("", text).strip():
        raise ValueError(f"{text} is no direction")
    return result / length
