"""Crystals of CrystFEL streams: from their text to numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.crystfel_geometry import StreamPanel

FloatArray = npt.NDArray[np.float64]

#: h c, eV Å. CrystFEL states wavelengths as energies of photons, for electrons too.
_EV_ANGSTROM = 12398.419843320026
#: Numbers in a line of a reflection, by the version; a name of the panel follows in 2.3.
_N_NUMBERS = 9
_AXES = ("astar", "bstar", "cstar")
# Miller indices are kept in 32 bits.
_LARGEST_INDEX = 2**31


@dataclass(frozen=True)
class StreamCrystal:
    """One crystal of a stream.

    Attributes
    ----------
    image, event : str
        File of the image, and which of its images, empty if it holds one.
    number : int
        Which crystal of the image, from 0.
    wavelength : float
        Å.
    camera_length : float
        Mean distance of the panels along the beam, mm; NaN if it is not stated.
    setting : ndarray, shape (3, 3)
        A, reciprocal axes as columns, Å⁻¹.
    lattice_type, centering, unique_axis : str
        Such as orthorhombic, C, and ``?`` for none.
    profile_radius : float
        CrystFEL's estimate of the radius of reciprocal lattice points, Å⁻¹; NaN if it is
        not stated.
    miller_index : ndarray, shape (n, 3), int32
        h, k, l.
    intensity, sigma, peak, background : ndarray, shape (n,)
        As integrated, ADU: intensity and its standard deviation, highest pixel, mean
        background of a pixel.
    fast, slow : ndarray, shape (n,)
        Predicted position in the data block, pixels.
    panel : ndarray, shape (n,), int
        Position among the panels of the stream; -1 for none.
    """

    image: str
    event: str
    number: int
    wavelength: float
    camera_length: float
    setting: FloatArray
    lattice_type: str
    centering: str
    unique_axis: str
    profile_radius: float
    miller_index: npt.NDArray[np.int32]
    intensity: FloatArray
    sigma: FloatArray
    peak: FloatArray
    background: FloatArray
    fast: FloatArray
    slow: FloatArray
    panel: npt.NDArray[np.int64]


@dataclass
class ReflectionText:
    """Numbers of a list of reflections, one row for each, and their panels."""

    numbers: FloatArray
    panels: list[str]


@dataclass
class CrystalText:
    """A crystal as it stands in the file, and where it begins."""

    line: int
    values: dict[str, str] = field(default_factory=dict)
    table: ReflectionText | None = None


def make_crystal(
    values: Mapping[str, str],
    found: CrystalText,
    number: int,
    panels: Sequence[StreamPanel],
) -> StreamCrystal:
    """Make sense of the text of a crystal.

    Parameters
    ----------
    values : mapping of str to str
        What the stream says of the image.
    found : CrystalText
        What it says of the crystal.
    number : int
        Which crystal of the image, from 0.
    panels : sequence of StreamPanel
        Of the stream.

    Raises
    ------
    ValueError
        About what is missing or impossible.
    """
    try:
        energy = _first_number(values["photon_energy_eV"])
        axes = [[float(x) for x in found.values[n].split()[:3]] for n in _AXES]
        setting = 0.1 * np.array(axes).T
        length = _first_number(values.get("average_camera_length", "nan"))
        radius = _first_number(found.values.get("profile_radius", "nan"))
    except KeyError as error:
        raise ValueError(f"a crystal without {error.args[0]}") from None
    except (ValueError, IndexError) as error:
        raise ValueError(f"a crystal that is not understood ({error})") from None
    if setting.shape != (3, 3) or not np.linalg.det(setting) > 0:
        raise ValueError("the reciprocal axes span no right-handed cell")
    if not 0 < energy < math.inf:
        raise ValueError(f"a photon energy of {energy:g} eV")
    table = found.table or ReflectionText(np.empty((0, _N_NUMBERS)), [])
    data = table.numbers
    if not (np.abs(data[:, :3]) < _LARGEST_INDEX).all():
        raise ValueError("a crystal with impossible indices")
    words = found.values
    return StreamCrystal(
        image=values.get("Image filename", ""),
        event=values.get("Event", ""),
        number=number,
        wavelength=_EV_ANGSTROM / energy,
        camera_length=1e3 * length,
        setting=setting,
        lattice_type=words.get("lattice_type", "triclinic"),
        centering=words.get("centering", "P"),
        unique_axis=words.get("unique_axis", "?"),
        profile_radius=0.1 * radius,
        miller_index=data[:, :3].astype(np.int32),
        intensity=data[:, 3],
        sigma=data[:, 4],
        peak=data[:, 5],
        background=data[:, 6],
        fast=data[:, 7],
        slow=data[:, 8],
        panel=_panel_numbers(table, panels),
    )


def _panel_numbers(
    table: ReflectionText, panels: Sequence[StreamPanel]
) -> npt.NDArray[np.int64]:
    if table.panels:
        known = {panel.name: i for i, panel in enumerate(panels)}
        return np.array([known.get(name, -1) for name in table.panels], np.int64)
    result = np.full(len(table.numbers), -1)
    for i, panel in enumerate(panels):
        x = table.numbers[:, 7] - panel.first[0]
        y = table.numbers[:, 8] - panel.first[1]
        on = (x >= 0) & (x <= panel.size[0]) & (y >= 0) & (y <= panel.size[1])
        result[on & (result < 0)] = i
    return result


def _first_number(text: str) -> float:
    return float(text.split()[0])


def read_numbers(rows: list[str], path: Path, first_line: int) -> FloatArray:
    """Read the numbers of a list of reflections, one row for each.

    Parameters
    ----------
    rows : list of str
        Lines of the list, without names of panels.
    path : pathlib.Path
        The stream, for messages.
    first_line : int
        Number of the first line in it.

    Raises
    ------
    ValueError
        About the line that holds something else.
    """
    if not rows:
        return np.empty((0, _N_NUMBERS))
    with warnings.catch_warnings():
        # older numpy warns of what newer numpy refuses
        warnings.simplefilter("error", DeprecationWarning)
        try:
            flat = np.fromstring("\n".join(rows), sep=" ")
        except (DeprecationWarning, ValueError):
            flat = np.empty(0)
    if len(flat) == _N_NUMBERS * len(rows):
        return flat.reshape(-1, _N_NUMBERS)
    for number, row in enumerate(rows, first_line):
        try:
            if len([float(word) for word in row.split()]) == _N_NUMBERS:
                continue
        except ValueError:
            pass
        raise ValueError(f"{path}, line {number}: not a reflection of this version")
    raise ValueError(f"{path}, line {first_line}: reflections that are not understood")
