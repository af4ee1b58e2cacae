"""Partial reflections of many stationary crystals, as tables without images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import transform

from dials_truncfix.postrefine.lattice.cell import strained
from dials_truncfix.postrefine.lattice.geometry import beam_frames, total_rotations
from dials_truncfix.postrefine.lattice.partiality import Model, partiality
from dials_truncfix.simulate.sphere import Sphere

FloatArray = npt.NDArray[np.float64]

#: Less of a reflection is not simulated in patterns.
_LEAST_PARTIALITY = 1e-3


@dataclass(frozen=True)
class StillsModel:
    """What differs from crystal to crystal, and how they are recorded.

    Attributes
    ----------
    n_lattices : int
        Number of crystals, one to an image.
    s0 : tuple of float
        Beam vector, Å⁻¹.
    model : Model
        Radial profile of the reciprocal lattice points.
    rs, rs_spread : float
        Median radius of the points (Å⁻¹), and standard deviation of its logarithm.
    mosaicity : float
        Standard deviation of the orientations of mosaic blocks about any axis, rad. It
        widens points in proportion to their distance from the origin.
    orientation_error : float
        Standard deviation of the two angles at right angles to the beam by which the
        orientations reported are wrong, rad.
    cell_error : float
        Relative standard deviation of a common factor of the cell axes reported.
    axis_error : float
        Standard deviation of each strain of the cell reported that the space group allows:
        of the relative errors of axes that are free of each other.
    g_spread : float
        Standard deviation of the logarithm of G, whose mean is 0.
    b_spread : float
        Standard deviation of B around 0, Å².
    mean_intensity : float
        Mean intensity of full reflections at G = 1 and B = 0, counts.
    background : float
        Counts of background under a reflection.
    reach : float
        Reflections are integrated where the orientation reported brings them nearer to the
        Ewald sphere than this, in units of rs.
    d_min : float
        Resolution limit, Å.

    Raises
    ------
    ValueError
        For values that no data have.
    """

    n_lattices: int
    s0: tuple[float, float, float]
    model: Model = Model.GAUSSIAN
    rs: float = 1e-3
    rs_spread: float = 0.1
    mosaicity: float = 0.0
    orientation_error: float = math.radians(0.05)
    cell_error: float = 0.0
    axis_error: float = 0.0
    g_spread: float = 0.3
    b_spread: float = 3.0
    mean_intensity: float = 1000.0
    background: float = 50.0
    reach: float = 1.5
    d_min: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what no data have."""
        if self.n_lattices < 1:
            raise ValueError(f"{self.n_lattices} lattices")
        if not np.linalg.norm(self.s0) > 0:
            raise ValueError(f"beam vector {self.s0} has no direction")
        for name in ("rs", "mean_intensity", "reach", "d_min"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")
        for name in (
            "rs_spread",
            "mosaicity",
            "orientation_error",
            "cell_error",
            "axis_error",
            "g_spread",
            "b_spread",
            "background",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} {getattr(self, name)} is negative")


@dataclass(frozen=True)
class Still:
    """One crystal: what would be reported of it, and what is true.

    Attributes
    ----------
    setting : ndarray, shape (3, 3)
        A reported, reciprocal axes as columns, Å⁻¹.
    parameters : ndarray, shape (5,)
        True log G, B (Å²), θx, θy (rad, to be applied to the A reported), log rs (Å⁻¹).
    miller_index : ndarray, shape (n, 3), int32
        Reflections integrated.
    intensity, variance : ndarray, shape (n,)
        Counts, and the squares of their estimated standard deviations.
    partiality : ndarray, shape (n,)
        True.
    full : ndarray, shape (n,)
        True intensity of the full reflection at G = 1 and B = 0, counts.
    """

    setting: FloatArray
    parameters: FloatArray
    miller_index: npt.NDArray[np.int32]
    intensity: FloatArray
    variance: FloatArray
    partiality: FloatArray
    full: FloatArray


@dataclass(frozen=True)
class Pattern:
    """What one crystal diffracts.

    Attributes
    ----------
    still : Still
        Its intensities are those expected, and not drawn; its variances are 0.
    rays : ndarray, shape (n, 3)
        q + s0 of the true orientation, Å⁻¹.
    """

    still: Still
    rays: FloatArray


@dataclass(frozen=True)
class _Crystal:
    """One crystal of the draws, and the generator for what is drawn next."""

    reported: FloatArray
    true: FloatArray
    parameters: FloatArray
    rng: np.random.Generator


def _draw_crystal(
    sphere: Sphere, model: StillsModel, seed: int, number: int
) -> _Crystal:
    rng = np.random.default_rng([seed, number])
    g, b = (
        model.g_spread * rng.standard_normal(),
        model.b_spread * rng.standard_normal(),
    )
    theta = model.orientation_error * rng.standard_normal(2)
    log_rs = math.log(model.rs) + model.rs_spread * rng.standard_normal()
    stretch = math.exp(model.cell_error * rng.standard_normal())
    u = transform.Rotation.from_quat(rng.standard_normal(4)).as_matrix()

    reciprocal = np.reshape(sphere.unit_cell.fractionalization_matrix(), (3, 3)).T
    frame = beam_frames(model.s0)[0]
    turned = total_rotations(theta[:1], theta[1:])[0]
    return _Crystal(
        # a cell that is too large has a reciprocal cell that is too small
        reported=u @ _strained(sphere, reciprocal, model, seed, number) / stretch,
        true=frame @ turned @ frame.T @ u @ reciprocal,
        parameters=np.array([g, b, theta[0], theta[1], log_rs]),
        rng=rng,
    )


def simulate_still(sphere: Sphere, model: StillsModel, seed: int, number: int) -> Still:
    """Simulate one crystal as integration would leave it.

    Parameters
    ----------
    sphere : Sphere
        Reflections.
    model : StillsModel
        Everything else.
    seed, number : int
        Seed of the run and number of the crystal: the draws depend on nothing else.

    Returns
    -------
    Still
    """
    crystal = _draw_crystal(sphere, model, seed, number)
    s0 = np.asarray(model.s0, float)
    near = np.flatnonzero(
        np.abs(_excitation(sphere.miller_index, crystal.reported, s0))
        < model.reach * model.rs
    )
    hkl, full = sphere.miller_index[near], sphere.full[near]
    p = _true_partiality(hkl, crystal, model)
    expected = _expected(hkl, full, p, crystal)
    rng = crystal.rng
    counts = rng.poisson(expected + model.background)
    # the background is measured around the spot, on as many pixels
    around = rng.poisson(np.full(len(hkl), model.background))
    return Still(
        setting=crystal.reported,
        parameters=crystal.parameters,
        miller_index=hkl,
        intensity=(counts - around).astype(float),
        variance=np.maximum(counts + around, 1).astype(float),
        partiality=p,
        full=full,
    )


def excite_still(sphere: Sphere, model: StillsModel, seed: int, number: int) -> Pattern:
    """Find what one crystal diffracts, before anything is recorded.

    Parameters
    ----------
    sphere, model, seed, number
        As for `simulate_still`; the crystal is the same.

    Returns
    -------
    Pattern
        Reflections of a partiality above 0.001.
    """
    crystal = _draw_crystal(sphere, model, seed, number)
    p = _true_partiality(sphere.miller_index, crystal, model)
    seen = np.flatnonzero(p > _LEAST_PARTIALITY)
    hkl, full, p = sphere.miller_index[seen], sphere.full[seen], p[seen]
    return Pattern(
        still=Still(
            setting=crystal.reported,
            parameters=crystal.parameters,
            miller_index=hkl,
            intensity=_expected(hkl, full, p, crystal),
            variance=np.zeros(len(hkl)),
            partiality=p,
            full=full,
        ),
        rays=hkl @ crystal.true.T + np.asarray(model.s0),
    )


def _expected(
    hkl: npt.NDArray[np.int32], full: FloatArray, p: FloatArray, crystal: _Crystal
) -> FloatArray:
    """Calculate the counts expected of partial reflections."""
    g, b = crystal.parameters[:2]
    q = hkl @ crystal.true.T
    return np.asarray(math.exp(g) * np.exp(-0.5 * b * np.sum(q * q, axis=1)) * p * full)


def _true_partiality(
    hkl: npt.NDArray[np.int32], crystal: _Crystal, model: StillsModel
) -> FloatArray:
    """Calculate partialities by the true orientation, with points widened by mosaicity.

    Blocks turned by ω move a point by ω × q, and its excitation error by ω·(q × s1)λ.
    """
    s0 = np.asarray(model.s0, float)
    rs = np.full(len(hkl), math.exp(crystal.parameters[-1]))
    if model.mosaicity > 0:
        q = hkl @ crystal.true.T
        s1 = q + s0
        lever = np.linalg.norm(np.cross(q, s1), axis=1) / np.linalg.norm(s1, axis=1)
        # a Gaussian of this standard deviation has the width of a point of radius rs
        rs = np.hypot(rs, 2.0 * math.sqrt(math.log(2.0)) * model.mosaicity * lever)
    return partiality(model.model, _excitation(hkl, crystal.true, s0), rs)


def _strained(
    sphere: Sphere, reciprocal: FloatArray, model: StillsModel, seed: int, number: int
) -> FloatArray:
    """Reciprocal axes with the errors of a cell whose axes are free of each other."""
    # draws of their own: everything else about the crystal stays as it is without them
    rng = np.random.default_rng([seed, number, 1])
    amounts = model.axis_error * rng.standard_normal((1, sphere.freedom.n_strains))
    setting = reciprocal[None]
    (changed,) = strained(setting, sphere.freedom.strains(setting), amounts)
    return np.asarray(changed)


def _excitation(
    hkl: npt.NDArray[np.int32], setting: FloatArray, s0: FloatArray
) -> FloatArray:
    """Excitation errors of reflections, Å⁻¹."""
    return np.asarray(np.linalg.norm(hkl @ setting.T + s0, axis=1) - np.linalg.norm(s0))


def simulate_stills(sphere: Sphere, model: StillsModel, seed: int) -> Iterator[Still]:
    """Simulate the crystals one after the other."""
    for number in range(model.n_lattices):
        yield simulate_still(sphere, model, seed, number)
