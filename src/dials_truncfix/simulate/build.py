"""One simulated sweep from its parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cctbx import crystal, miller
from dxtbx.model import Experiment

from dials_truncfix.camera.recording import Camera
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.models import (
    DEFAULT_SPACE_GROUP,
    DEFAULT_UNIT_CELL,
    Geometry,
    Rotation,
    make_crystal,
    make_experiment,
    random_orientation,
)
from dials_truncfix.simulate.prediction import predict
from dials_truncfix.simulate.scene import SpotShape
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills import StillsModel
from dials_truncfix.simulate.stills_images import SimulatedStills
from dials_truncfix.simulate.structure_factors import (
    read_intensities,
    wilson_intensities,
)
from dials_truncfix.simulate.sweep import SimulatedSweep


@dataclass(frozen=True)
class Sample:
    """The crystal and how strongly it scatters.

    Attributes
    ----------
    unit_cell : tuple of float or None
        Å and degrees; None for that of the file of structure factors, and proteinase
        K's without a file.
    space_group : str or None
        The same.
    orientation : ndarray, shape (3, 3), or None
        U at rotation angle 0; None draws it at random.
    mosaicity : float
        Standard deviation of the rocking curve, degrees.
    structure_factors : pathlib.Path or None
        MTZ, PDB or mmCIF; None for Wilson statistics.
    label : str or None
        Column of the MTZ file.
    wilson_b : float
        Temperature factor of random intensities, Å².
    extra_b : float
        Further temperature factor of intensities from a file, Å².
    d_min : float or None
        Resolution limit, Å; None for that of the corners of the image.
    mean_intensity : float
        Mean intensity of the reflections within the sweep, e⁻.
    """

    unit_cell: tuple[float, ...] | None = None
    space_group: str | None = None
    orientation: npt.NDArray[np.float64] | None = None
    mosaicity: float = 0.04
    structure_factors: Path | None = None
    label: str | None = None
    wilson_b: float = 16.0
    extra_b: float = 0.0
    d_min: float | None = None
    mean_intensity: float = 150.0

    def __post_init__(self) -> None:
        """Refuse what cannot be predicted."""
        if not (self.mosaicity > 0 and self.mean_intensity > 0):
            raise ValueError(
                f"mosaicity {self.mosaicity}°, mean intensity {self.mean_intensity} e⁻"
            )
        if self.d_min is not None and not self.d_min > 0:
            raise ValueError(f"resolution limit of {self.d_min} Å")


def sample_intensities(
    sample: Sample, d_min: float, seed: int
) -> tuple[miller.array, float]:
    """Read, compute or draw the squared structure factors of a sample.

    Parameters
    ----------
    sample : Sample
        The crystal; its own resolution limit is not looked at.
    d_min : float
        Resolution limit, Å.
    seed : int
        Seed of intensities drawn.

    Returns
    -------
    intensities : cctbx.miller.array
        F² on any scale, with the cell and space group of the sample.
    d_min : float
        The limit, or that of the file if it does not reach as far, Å.

    Raises
    ------
    ValueError
        If a file is unusable, or cell and space group do not agree.
    """
    unit_cell, space_group = sample.unit_cell, sample.space_group
    from_file: miller.array | None = None
    if sample.structure_factors is not None:
        from_file = read_intensities(
            sample.structure_factors, d_min, sample.label, sample.extra_b
        )
        d_min = max(d_min, from_file.d_min())
        unit_cell = unit_cell or from_file.unit_cell().parameters()
        space_group = space_group or str(from_file.space_group_info())
    made = make_crystal(
        unit_cell or DEFAULT_UNIT_CELL, space_group or DEFAULT_SPACE_GROUP, np.eye(3)
    )
    symmetry = crystal.symmetry(
        unit_cell=made.get_unit_cell(), space_group=made.get_space_group()
    )
    if from_file is None:
        return wilson_intensities(symmetry, d_min, sample.wilson_b, seed), d_min
    return _with_symmetry(from_file, symmetry), d_min


def build_sweep(
    sample: Sample,
    geometry: Geometry,
    rotation: Rotation,
    camera: Camera,
    background: Background,
    spots: SpotShape,
    seed: int,
) -> SimulatedSweep:
    """Put a sweep together.

    Parameters
    ----------
    sample, geometry, rotation, camera, background, spots
        Their parameters.
    seed : int
        Seed of orientation, intensities, electrons and camera.

    Returns
    -------
    SimulatedSweep

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    """
    experiment = make_experiment(geometry, rotation, camera)
    d_min = sample.d_min or experiment.detector.get_max_resolution(
        experiment.beam.get_s0()
    )
    intensities, d_min = sample_intensities(sample, d_min, seed)
    orientation = sample.orientation
    experiment.crystal = make_crystal(
        intensities.unit_cell().parameters(),
        str(intensities.space_group_info()),
        random_orientation(seed) if orientation is None else orientation,
    )
    return SimulatedSweep(
        experiment=experiment,
        reflections=predict(
            experiment,
            intensities,
            d_min=d_min,
            mosaicity=sample.mosaicity,
            mean_intensity=sample.mean_intensity,
        ),
        camera=camera,
        background=background,
        spots=spots,
        beam_stop_radius=geometry.beam_stop_radius / camera.pixel_size,
        beam_stop_arm=geometry.beam_stop_arm / camera.pixel_size,
        seed=seed,
    )


def build_stills(
    sample: Sample,
    geometry: Geometry,
    model: StillsModel,
    camera: Camera,
    background: Background,
    spots: SpotShape,
    seed: int,
) -> tuple[SimulatedStills, miller.array]:
    """Put stills through a camera together.

    Parameters
    ----------
    sample, geometry, camera, background, spots
        Their parameters; orientation, mosaicity and mean intensity of the sample do not
        matter.
    model : StillsModel
        Crystals. Beam and resolution limit are those of the geometry and the sample.
    seed : int
        Seed of everything.

    Returns
    -------
    stills : SimulatedStills
    intensities : cctbx.miller.array
        F² of unique reflections, on the scale of full reflections, e⁻.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    """
    swept = make_experiment(geometry, Rotation(), camera)
    experiment = Experiment(beam=swept.beam, detector=swept.detector)
    s0 = experiment.beam.get_s0()
    d_min = sample.d_min or experiment.detector.get_max_resolution(s0)
    intensities, d_min = sample_intensities(sample, d_min, seed)
    sphere = all_reflections(intensities, d_min, model.mean_intensity)
    stills = SimulatedStills(
        experiment=experiment,
        sphere=sphere,
        model=replace(model, s0=tuple(s0), d_min=d_min),
        camera=camera,
        background=background,
        spots=spots,
        beam_stop_radius=geometry.beam_stop_radius / camera.pixel_size,
        beam_stop_arm=geometry.beam_stop_arm / camera.pixel_size,
        seed=seed,
    )
    return stills, intensities.customized_copy(data=intensities.data() * sphere.scale)


def _with_symmetry(
    intensities: miller.array, symmetry: crystal.symmetry
) -> miller.array:
    """Give intensities a cell; the symmetry has to be their own."""
    given = intensities.space_group().build_derived_laue_group()
    if given != symmetry.space_group().build_derived_laue_group():
        raise ValueError(
            f"structure factors of space group {intensities.space_group_info()} do not "
            f"fit a crystal of {symmetry.space_group_info()}"
        )
    return intensities.customized_copy(crystal_symmetry=symmetry)
