"""Postrefinement of single lattices by the programs that Debian packages with DIALS.

cctbx.xfel (rs, rs2, rs_hybrid) and PRIME are run as they are, through the classes with which
their own commands refine a lattice. Each gets the observations, the orientation and the
reference that dials_truncfix gets.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from cctbx import crystal, miller
from cctbx.crystal_orientation import basis_type, crystal_orientation
from dials.array_family import flex

from dials_truncfix.postrefine.lattice.geometry import total_rotations
from dials_truncfix.simulate.stills import Still

#: rs_hybrid accepts no lattice with a scale above 0.5: the reference is in a unit in which
#: all scales are small.
_UNIT = 10.0


@dataclass(frozen=True)
class Answer:
    """What a program makes of one lattice: angles in degrees, conventional Wilson B."""

    accepted: bool
    theta: tuple[float, float]
    g: float
    b: float
    rs: float
    seconds: float


def refused(seconds: float) -> Answer:
    nan = math.nan
    return Answer(False, (nan, nan), nan, nan, nan, seconds)


@dataclass(frozen=True)
class Lattice:
    """A still in the words of cctbx."""

    observations: miller.array
    orientation: Any
    wavelength: float
    s1: flex.vec3_double
    reference: flex.double


def as_lattice(still: Still, symmetry: crystal.symmetry, wavelength: float) -> Lattice:
    indices = flex.miller_index([tuple(h) for h in still.miller_index.tolist()])
    observations = miller.array(
        miller.set(symmetry, indices, anomalous_flag=False),
        flex.double(still.intensity),
        flex.double(np.sqrt(still.variance)),
    ).set_observation_type_xray_intensity()
    # where spots are seen follows from the true orientation
    turned = total_rotations(still.parameters[2:3], still.parameters[3:4])[0]
    s1 = still.miller_index @ (turned @ still.setting).T + (0, 0, -1 / wavelength)
    return Lattice(
        observations,
        crystal_orientation(tuple(still.setting.ravel()), basis_type.reciprocal),
        wavelength,
        flex.vec3_double(s1.tolist()),
        flex.double(still.full),
    )


def xfel_program(
    algorithm: str,
    shape: str,
    weights: str,
    model: miller.array,
    vectorised: bool = False,
) -> Any:
    """Make a function from a lattice to an answer; None where cctbx.xfel is absent.

    Vectorised, excitation errors are calculated for all reflections at once, by the same
    class's own array of rays, instead of in a loop in Python.
    """
    try:
        from xfel.cxi.postrefinement_hybrid_rs import rs_hybrid
        from xfel.cxi.postrefinement_legacy_rs import legacy_rs, refinery_base
        from xfel.cxi.postrefinement_updated_rs import updated_rs
    except ImportError:
        return None
    made = {"rs": legacy_rs, "rs2": updated_rs, "rs_hybrid": rs_hybrid}[algorithm]
    params = SimpleNamespace(
        # otherwise only one of two Friedel mates finds its reference
        merge_anomalous=True,
        include_negatives=True,
        postrefinement=SimpleNamespace(
            algorithm=algorithm,
            lineshape=shape,
            target_weighting=weights,
            merge_partiality_exponent=0,
            rs_hybrid=SimpleNamespace(partiality_threshold=0.2),
        ),
    )
    reference = model.customized_copy(
        data=model.data() * _UNIT, sigmas=flex.double(model.size(), 1.0)
    )

    def refine(lattice: Lattice) -> Answer:
        result = {
            "current_orientation": [lattice.orientation],
            "wavelength": lattice.wavelength,
        }
        begin = time.process_time()
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                if vectorised:
                    stack.enter_context(
                        patch.object(refinery_base, "get_Rh_array", _all_at_once)
                    )
                program = made(
                    lattice.observations,
                    params,
                    reference,
                    reference,
                    result,
                    io.StringIO(),
                )
                program.run_plain()
                program.result_for_cxi_merge("lattice")
                values = program.get_parameter_values()
        # what makes its own command leave a lattice out
        except (AssertionError, ValueError, RuntimeError):
            return refused(time.process_time() - begin)
        theta = (math.degrees(values.thetax), math.degrees(values.thetay))
        seconds = time.process_time() - begin
        # its B is a quarter of the conventional one
        b = 4 * values.BFACTOR
        return Answer(True, theta, values.G * _UNIT, b, values.RS, seconds)

    return refine


def _all_at_once(refinery: Any, values: Any) -> flex.double:
    return refinery.get_s1_array(values).norms() - 1.0 / refinery.WAVE


def prime_program(n_passes: int) -> Any:
    """Make the same of PRIME, on a given reference.

    Its parameters are those that bring back orientations best of the ones tried (all
    parameters at a time or in turn, gamma_e from 1e-6 to 3e-3, one to six passes, with and
    without weak and partial reflections, its other profiles): all at a time,
    which is its default, and one wavelength (gamma_e, its default is 0.003).

    Parameters
    ----------
    n_passes : int
        Its n_postref_sub_cycle: 1 is its default, more take as many times as long.
    """
    try:
        from prime.postrefine.mod_input import master_phil
        from prime.postrefine.mod_leastsqr import leastsqr_handler
    except ImportError:
        return None
    iparams = master_phil.extract()
    iparams.postref.allparams.flag_on = True
    iparams.n_postref_sub_cycle = n_passes
    iparams.gamma_e = 1e-4
    # neither spot positions, which have no errors here, nor a dispersed beam
    iparams.postref.residual_threshold_xy = 1e9
    iparams.flag_volume_correction = False

    def refine(lattice: Lattice) -> Answer:
        observations = lattice.observations
        iparams.target_unit_cell = observations.unit_cell()
        zeros = flex.double(observations.size(), 0.0)
        begin = time.process_time()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                values, figures, _ = leastsqr_handler().optimize(
                    lattice.reference,
                    observations,
                    lattice.wavelength,
                    lattice.orientation,
                    zeros,
                    # with y all 0 it takes x for the diffracted rays
                    lattice.s1,
                    zeros,
                    iparams,
                    None,
                    observations,
                    100.0,
                )
        except (AssertionError, ValueError, RuntimeError, TypeError):
            return refused(time.process_time() - begin)
        seconds = time.process_time() - begin
        g, b, x, y, _, _, r0 = values[:7]
        accepted = figures[3] > 0.25 and math.isfinite(x + y)
        return Answer(accepted, (math.degrees(x), math.degrees(y)), g, b, r0, seconds)

    return refine


def run_peer(
    program: Callable[[Lattice], Answer], lattices: Sequence[Lattice]
) -> list[Answer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [program(lattice) for lattice in lattices]
