"""CrystFEL streams as reflection tables and experiments of DIALS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import (
    Beam,
    BeamFactory,
    Crystal,
    Detector,
    DetectorFactory,
    Experiment,
    ExperimentList,
)

from dials_truncfix import compat
from dials_truncfix.compare.files import Integrated
from dials_truncfix.io.crystfel_geometry import StreamPanel
from dials_truncfix.io.stream import StreamFile, StreamPart
from dials_truncfix.io.stream_crystal import StreamCrystal
from dials_truncfix.postrefine.input.stream_symmetry import (
    find_space_group,
    has_symmetry,
)
from dials_truncfix.postrefine.lattice.lattices import FloatArray

STREAM = ".stream"
#: CrystFEL's x and z point the other way than those of DIALS: half a turn about y.
_TO_DIALS = np.diag([-1.0, 1.0, -1.0])
#: Lattices that are made into tables together.
_LATTICES_AT_ONCE = 1000
#: Camera lengths that differ by less, mm, share a detector.
_LENGTH_DIGITS = 2


@dataclass(frozen=True)
class StreamOptions:
    """What streams do not say.

    Attributes
    ----------
    space_group : str or None
        Symbol or number; streams state the lattice only.
    polarisation_fraction : float or None
        Part of the beam whose electric field is horizontal; 0.5 is an unpolarised beam.
        None: intensities are not corrected.
    """

    space_group: str | None = None
    polarisation_fraction: float | None = None


@dataclass(frozen=True)
class StreamPiece:
    """Some crystals of a stream, read when they are needed.

    Attributes
    ----------
    path : pathlib.Path
        The stream.
    options : StreamOptions
        What it does not say.
    panels : tuple of StreamPanel
        Its detector.
    part : StreamPart
        Where the crystals are.
    """

    path: Path
    options: StreamOptions
    panels: tuple[StreamPanel, ...]
    part: StreamPart

    def load(self) -> Integrated:
        """Read the crystals.

        Directions are those of DIALS: the beam runs along -z. Crystals share the detector
        of the stream at their camera length; the shifts of the detector that CrystFEL
        refined for each image are in the positions of the reflections, on which nothing
        depends here.

        Raises
        ------
        ValueError
            In one sentence, if they are damaged, or of another symmetry.
        OSError
            If the file cannot be read.
        """
        crystals = list(StreamFile(self.path, self.panels).read(self.part))
        return _Builder(self).build(crystals)


def stream_pieces(
    path: Path, options: StreamOptions, n_crystals: int = _LATTICES_AT_ONCE
) -> tuple[list[StreamPiece], int]:
    """Find the crystals of a stream, without reading them.

    Parameters
    ----------
    path : pathlib.Path
        The stream.
    options : StreamOptions
        What it does not say.
    n_crystals : int
        About so many are read together.

    Returns
    -------
    pieces : list of StreamPiece
        In the order of the file.
    n_incomplete : int
        Images without an end, whose crystals are left out.

    Raises
    ------
    ValueError
        In one sentence, if the file is no stream, or holds no crystals.
    OSError
        If the file cannot be read.
    """
    stream = StreamFile(path)
    parts = [part for part in stream.scan(n_crystals) if part.n_crystals]
    if not parts:
        raise ValueError(
            f"{path}: no crystal in {_count(stream.n_images, 'complete image')}: give a "
            "stream of images that indexamajig could index"
        )
    if not stream.n_lists:
        raise ValueError(
            f"{path}: {_count(stream.n_crystals, 'crystal')}, and no integrated "
            "reflection: run indexamajig without --no-refls-in-stream"
        )
    pieces = [StreamPiece(path, options, stream.panels, part) for part in parts]
    return pieces, stream.n_incomplete


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class _Builder:
    """Makes experiments that share their detectors and names that differ."""

    def __init__(self, piece: StreamPiece) -> None:
        self._path = piece.path
        self._panels = piece.panels
        self._options = piece.options
        self._group: Any = None
        self._detectors: dict[float, Detector] = {}
        self._n_crystals = piece.part.first_crystal

    def build(self, crystals: Sequence[StreamCrystal]) -> Integrated:
        experiments = ExperimentList()
        for crystal in crystals:
            experiments.append(self._experiment(crystal))
        table = _reflections(self._panels, crystals, experiments)
        fraction = self._options.polarisation_fraction
        if fraction is not None:
            s1 = flumpy.to_numpy(table["s1"])
            table["lp"] = flumpy.from_numpy(1.0 / polarisation_factor(s1, fraction))
        return Integrated(self._path, self._path, table, experiments)

    def _experiment(self, crystal: StreamCrystal) -> Experiment:
        self._check_symmetry(crystal)
        image = Path(crystal.image).name + crystal.event
        name = f"{self._n_crystals:06d}:{image}"
        self._n_crystals += 1
        # rows of the inverse are the direct axes
        axes = np.linalg.inv(_TO_DIALS @ crystal.setting)
        a, b, c = (tuple(axis) for axis in axes)
        return Experiment(
            beam=_beam(crystal.wavelength, self._options.polarisation_fraction),
            detector=self._detector(crystal.camera_length),
            crystal=Crystal(a, b, c, space_group=self._group),
            identifier=name,
        )

    def _check_symmetry(self, crystal: StreamCrystal) -> None:
        lattice = (crystal.lattice_type, crystal.centering, crystal.unique_axis)
        words = f"{crystal.lattice_type} {crystal.centering}"
        if self._group is None:
            symbol = self._options.space_group
            if symbol is None:
                raise ValueError(
                    f"{self._path}: streams state the lattice only ({words}): give "
                    "stream.space_group="
                )
            self._group = find_space_group(symbol)
        if not has_symmetry(self._group, *lattice):
            raise ValueError(
                f"{self._path}: crystal {self._n_crystals} has a lattice {words}, which "
                f"does not go with stream.space_group={self._options.space_group}: give "
                "another one, or a stream of one crystal form"
            )

    def _detector(self, length: float) -> Detector | None:
        if not self._panels or not math.isfinite(length):
            return None
        length = round(length, _LENGTH_DIGITS)
        if length not in self._detectors:
            self._detectors[length] = make_detector(self._panels, length)
        return self._detectors[length]


def _beam(wavelength: float, polarisation_fraction: float | None) -> Beam:
    beam = BeamFactory.make_polarized_beam(
        sample_to_source=(0.0, 0.0, 1.0),
        wavelength=wavelength,
        polarization=(0, 1, 0),
        polarization_fraction=(
            0.5 if polarisation_fraction is None else polarisation_fraction
        ),
    )
    return (
        compat.make_electron_beam(wavelength) if compat.is_electron_beam(beam) else beam
    )


def make_detector(panels: Sequence[StreamPanel], camera_length: float) -> Detector:
    """Make the detector of a stream.

    Parameters
    ----------
    panels : sequence of StreamPanel
        In CrystFEL's frame.
    camera_length : float
        Mean distance of the panels along the beam, mm.

    Returns
    -------
    dxtbx.model.Detector
        In the frame of DIALS.
    """
    mean_offset = float(np.mean([panel.corner[2] for panel in panels]))
    result = Detector()
    for panel in panels:
        corner = panel.corner + [0.0, 0.0, camera_length - mean_offset]
        origin, fast, slow = (
            tuple(_TO_DIALS @ vector) for vector in (corner, panel.fast, panel.slow)
        )
        made = DetectorFactory.make_detector(
            "SENSOR_PAD",
            fast,
            slow,
            origin,
            (panel.pixel_size, panel.pixel_size),
            panel.size,
            name=panel.name,
        )[0]
        made.set_name(panel.name)
        result.add_panel(made)
    return result


def polarisation_factor(s1: FloatArray, fraction: float) -> FloatArray:
    """Part of the intensity that is left by the polarisation of the beam, along -z.

    Parameters
    ----------
    s1 : ndarray, shape (n, 3)
        Diffracted rays.
    fraction : float
        Part of the beam whose electric field is along x; the rest has it along y.

    Returns
    -------
    ndarray, shape (n,)
        (1 + cos² 2θ)/2 for a fraction of 0.5.

    References
    ----------
    Kahn, R. et al. (1982). J. Appl. Cryst. 15, 330-337, equation 4.
    https://doi.org/10.1107/S0021889882012060
    """
    squares = np.square(s1 / np.linalg.norm(s1, axis=1, keepdims=True))
    lost = fraction * squares[:, 0] + (1.0 - fraction) * squares[:, 1]
    return np.asarray(1.0 - lost)


def _reflections(
    panels: Sequence[StreamPanel],
    crystals: Sequence[StreamCrystal],
    experiments: ExperimentList,
) -> flex.reflection_table:
    """Reflections as DIALS would have integrated them by summation."""

    def joined(name: str) -> Any:
        return np.concatenate([getattr(crystal, name) for crystal in crystals])

    sizes = [len(crystal.intensity) for crystal in crystals]
    hkl = joined("miller_index")
    q = np.concatenate(
        [crystal.miller_index @ (_TO_DIALS @ crystal.setting).T for crystal in crystals]
    )
    wavelength = np.repeat([crystal.wavelength for crystal in crystals], sizes)
    s1 = q - np.array([0.0, 0.0, 1.0]) / wavelength[:, None]
    # rays end on the Ewald sphere, reciprocal lattice points beside it
    s1 /= (np.linalg.norm(s1, axis=1) * wavelength)[:, None]
    panel = joined("panel")
    # a panel that is not there begins at 0
    first = np.array([*(p.first for p in panels), (0, 0)])[panel]
    px = np.column_stack([joined("fast"), joined("slow"), np.zeros(len(panel))])
    px[:, :2] -= first

    table = flex.reflection_table()
    table["miller_index"] = flex.miller_index(
        *(flumpy.from_numpy(np.ascontiguousarray(column)) for column in hkl.T)
    )
    number = np.repeat(np.arange(len(crystals), dtype=np.int32), sizes)
    table["id"] = flumpy.from_numpy(number)
    table["panel"] = flumpy.from_numpy(np.maximum(panel, 0).astype(np.uint64))
    for name, vectors in (("s1", s1), ("xyzcal.px", px), ("xyzobs.px.value", px)):
        table[name] = flumpy.vec_from_numpy(np.ascontiguousarray(vectors))
    for name, values in (
        ("intensity.sum.value", joined("intensity")),
        ("intensity.sum.variance", np.square(joined("sigma"))),
        ("background.mean", joined("background")),
        ("d", 1.0 / np.linalg.norm(q, axis=1)),
    ):
        table[name] = flumpy.from_numpy(np.ascontiguousarray(values))
    flags = table.flags
    wanted = int(flags.predicted) | int(flags.indexed) | int(flags.integrated_sum)
    table["flags"] = flex.size_t(len(table), wanted)
    for position, experiment in enumerate(experiments):
        table.experiment_identifiers()[position] = experiment.identifier
    return table
