"""Narrow rotations of many crystals beside the truth.

Partialities are sums over many small steps of the rotation, and owe nothing to the integrals
and straight lines of the program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from cctbx import sgtbx
from dials.algorithms.profile_model.gaussian_rs import Model as GaussianRS
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import (
    Crystal,
    Experiment,
    ExperimentList,
    GoniometerFactory,
)

from dials_truncfix import compat
from dials_truncfix.postrefine.lattice.geometry import beam_frames, total_rotations
from dials_truncfix.postrefine.lattice.partiality import Model, partiality
from dials_truncfix.simulate.stills import StillsModel
from dials_truncfix.simulate.stills_output import _detector
from simulated_lattices import sphere

#: Fixed rotation of the goniometer, so that frames are not mixed up.
FIXED = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
STEPS = 1001


@dataclass(frozen=True)
class Wedge:
    """One crystal that turns a little.

    Attributes
    ----------
    reported : ndarray, shape (3, 3)
        A in the frame of the crystal, as dxtbx keeps it.
    parameters : ndarray, shape (5,)
        log G, B, θx, θy (of the middle of the rotation), log rs (root mean square).
    miller_index, intensity, variance, lp, partiality, s1, angle
        Of its reflections; the angle is that of the middle of their passage, rad.
    """

    reported: np.ndarray
    parameters: np.ndarray
    miller_index: np.ndarray
    intensity: np.ndarray
    variance: np.ndarray
    lp: np.ndarray
    partiality: np.ndarray
    s1: np.ndarray
    angle: np.ndarray
    full: np.ndarray


def simulate_wedge(
    model: StillsModel, axis, start: float, width: float, seed: int
) -> Wedge:
    """Simulate one crystal; angles in rad."""
    rng = np.random.default_rng(seed)
    every = sphere(model.d_min, model.mean_intensity)
    s0, axis = np.array(model.s0), np.asarray(axis, float)
    log_g, b = (
        model.g_spread * rng.standard_normal(),
        model.b_spread * rng.standard_normal(),
    )
    theta = model.orientation_error * rng.standard_normal(2)
    rs = model.rs * math.exp(model.rs_spread * rng.standard_normal())
    u = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    reciprocal = np.reshape(every.unit_cell.fractionalization_matrix(), (3, 3)).T
    # in the middle of the rotation, in the laboratory
    middle = u @ reciprocal
    frame = beam_frames(s0)[0]
    turned = frame @ total_rotations(theta[:1], theta[1:])[0] @ frame.T
    to_middle = Rotation.from_rotvec(axis * (start + width / 2)).as_matrix() @ FIXED
    hkl, reported, angle, s1 = passages(every, middle, s0, axis, start, width)
    speed = np.abs(np.cross(axis, reported) @ s0) / np.linalg.norm(s1, axis=1)
    true = hkl @ (turned @ middle).T
    # mosaic blocks move points in proportion to |q| cos θ
    lever = np.linalg.norm(np.cross(reported, s0), axis=1) / np.linalg.norm(s1, axis=1)
    radii = rs * lever / np.sqrt(np.mean(lever**2))
    p = recorded(model.model, true, s0, axis, width, radii, speed)
    full = every.full[every_row(every, hkl)]
    # the Lorentz factor of a rotation
    lorentz = 1.0 / (speed / np.linalg.norm(s0))
    q_squared = np.sum(true * true, axis=1)
    expected = math.exp(log_g) * np.exp(-0.5 * b * q_squared) * p * full * lorentz
    counts = rng.poisson(expected + model.background)
    around = rng.poisson(np.full(len(hkl), model.background))
    return Wedge(
        reported=np.linalg.inv(to_middle) @ middle,
        parameters=np.array([log_g, b, *theta, math.log(rs)]),
        miller_index=hkl,
        intensity=(counts - around).astype(float),
        variance=np.maximum(counts + around, 1).astype(float),
        lp=1.0 / lorentz,
        partiality=p,
        s1=s1,
        angle=angle,
        full=full,
    )


def excitation(q, s0, axis, angles):
    """Excitation errors of points (n, 3) turned by angles (n, m)."""
    along = (
        (q @ s0)[:, None] * np.cos(angles)
        + (np.cross(axis, q) @ s0)[:, None] * np.sin(angles)
        + (q @ axis * (axis @ s0))[:, None] * (1 - np.cos(angles))
    )
    q_squared = np.sum(q * q, axis=1)[:, None]
    return np.sqrt(q_squared + 2 * along + s0 @ s0) - np.linalg.norm(s0)


def recorded(model, q, s0, axis, width, rs, speed):
    """Part of each reflection that a rotation records, summed step by step."""
    tail = 20.0 if model is Model.LORENTZIAN else 6.0
    # far enough for tails on both sides
    reach = width / 2 + tail * rs / speed
    steps = (np.arange(STEPS) - STEPS // 2) / (STEPS // 2)
    angles = reach[:, None] * steps
    r_h = excitation(q, s0, axis, angles)
    profile = partiality(model, r_h, np.tile(rs[:, None], r_h.shape[1]))
    step = reach[:, None] / (STEPS // 2)
    inside = np.clip((width / 2 - np.abs(angles)) / step + 0.5, 0, 1)
    whole = profile.sum(axis=1)
    if model is Model.LORENTZIAN:
        # what lies further out on either side
        for edge in (np.abs(r_h[:, 0]), np.abs(r_h[:, -1])):
            beyond = math.pi / 2 - np.arctan(math.sqrt(2) * edge / rs)
            whole += rs / math.sqrt(2) * beyond / (speed * step[:, 0])
    return (profile * inside).sum(axis=1) / whole


def every_row(every, hkl):
    """Row of each index among all reflections."""
    place = {tuple(h): i for i, h in enumerate(every.miller_index.tolist())}
    return [place[tuple(h)] for h in hkl.tolist()]


def passages(every, middle, s0, axis, start, width):
    """Reflections that pass the sphere within the rotation, by the orientation reported."""
    q = every.miller_index @ middle.T
    ends = excitation(q, s0, axis, np.tile([-width / 2, width / 2], (len(q), 1)))
    rows = np.flatnonzero(ends[:, 0] * ends[:, 1] < 0)
    angles = np.linspace(-width / 2, width / 2, 41)
    r_h = excitation(q[rows], s0, axis, np.tile(angles, (len(rows), 1)))
    at = np.array([np.interp(0.0, *sorted_pair(each, angles)) for each in r_h])
    turned = Rotation.from_rotvec(np.outer(at, axis)).apply(q[rows])
    s1 = turned + s0
    # DIALS leaves out what hardly moves
    zeta = np.cross(s1, s0) @ axis / np.linalg.norm(np.cross(s1, s0), axis=1)
    good = np.abs(zeta) > 0.15
    return every.miller_index[rows][good], turned[good], at[good], s1[good]


def sorted_pair(x, y):
    order = np.argsort(x)
    return x[order], y[order]


def wedges(model: StillsModel, width: float, n: int, axis=(1.0, 0.0, 0.0), seed=1):
    """Simulate `n` crystals that turn by `width` degrees, from 20 degrees on."""
    return [
        simulate_wedge(
            model, axis, math.radians(20), math.radians(width), seed * 1000 + i
        )
        for i in range(n)
    ]


def wedge_files(
    made: list[Wedge],
    model: StillsModel,
    width: float,
    axis=(1.0, 0.0, 0.0),
    n_images=4,
):
    """Experiments and reflections as dials.integrate would have left them."""
    from simulated_lattices import LYSOZYME

    # what DIALS finds is not what is true
    rocking = 1.3 * model.rs / (2 * math.sqrt(math.log(2)) * 0.6 / model.d_min)
    group: sgtbx.space_group = LYSOZYME.space_group()
    beam = compat.make_electron_beam(1.0 / np.linalg.norm(model.s0))
    detector = _detector(model)
    experiments = ExperimentList()
    for number, wedge in enumerate(made):
        a, b, c = (tuple(x) for x in np.linalg.inv(wedge.reported))
        experiments.append(
            Experiment(
                beam=beam,
                detector=detector,
                goniometer=GoniometerFactory.make_goniometer(
                    tuple(axis), tuple(FIXED.ravel())
                ),
                scan=compat.make_scan(
                    (1, n_images),
                    (20.0, width / n_images),
                    [1.0] * n_images,
                    [0.0] * n_images,
                ),
                crystal=Crystal(a, b, c, space_group=group),
                profile=GaussianRS(None, 3, 0.02, math.degrees(rocking), deg=True),
                identifier=f"wedge-{number:03d}",
            )
        )

    def joined(name):
        return np.concatenate([getattr(wedge, name) for wedge in made])

    table = flex.reflection_table()
    table["miller_index"] = flex.miller_index(
        [tuple(h) for h in joined("miller_index").tolist()]
    )
    sizes = [len(wedge.intensity) for wedge in made]
    table["id"] = flumpy.from_numpy(
        np.repeat(np.arange(len(made), dtype=np.int32), sizes)
    )
    table["panel"] = flex.size_t(len(table), 0)
    px = np.zeros((len(table), 3))
    px[:, 2] = (joined("angle") / math.radians(width) + 0.5) * n_images
    for name, values in (
        ("s1", joined("s1")),
        ("xyzcal.px", px),
        ("xyzobs.px.value", px),
    ):
        table[name] = flumpy.vec_from_numpy(np.ascontiguousarray(values))
    for name, values in (
        ("intensity.sum.value", joined("intensity")),
        ("intensity.sum.variance", joined("variance")),
        ("lp", joined("lp")),
    ):
        table[name] = flumpy.from_numpy(np.ascontiguousarray(values))
    flags = table.flags
    table["flags"] = flex.size_t(
        len(table), int(flags.predicted) | int(flags.integrated_sum)
    )
    for number, experiment in enumerate(experiments):
        table.experiment_identifiers()[number] = experiment.identifier
    return experiments, table
