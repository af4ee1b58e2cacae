"""What is known of images before they are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GainOptions:
    """What is known of the images.

    Attributes
    ----------
    flat : bool
        Whether the images are evenly lit, and not diffraction patterns.
    truncated : bool or None
        Whether zeros stand for values that were cut off; None: judge.
    dark_level : float or None
        Mean without electrons, ADU; None: that of the dark images, if there are any.
    electrons : tuple of float
        Incident electrons per pixel of each image, or one number for all; may be empty.
    electrons_error : float
        Their standard uncertainty, as a part of them.
    rounding : {'round', 'floor'}
        How the camera made integers.
    """

    flat: bool = True
    truncated: bool | None = None
    dark_level: float | None = None
    electrons: tuple[float, ...] = ()
    electrons_error: float = 0.0
    rounding: str = "round"


@dataclass(frozen=True)
class Known:
    """What all steps need to know.

    Attributes
    ----------
    options : GainOptions
        What was said.
    truncated : bool
        Whether zeros stand for values that were cut off.
    shift : int
        What is subtracted before values below zero count as cut off, ADU.
    zero : float
        Mean without electrons, ADU; 0 where nobody knows.
    """

    options: GainOptions
    truncated: bool
    shift: int
    zero: float
