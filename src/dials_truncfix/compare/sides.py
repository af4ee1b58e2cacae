"""From a reflection file and its experiments to one side of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cctbx import crystal, sgtbx
from dxtbx.model import Experiment

from dials_truncfix.compare.comparison import Side
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import MIN_PARTIALITY, read_observations


def make_side(
    integrated: Integrated,
    intensity: str = "sum",
    min_partiality: float = MIN_PARTIALITY,
    space_group: str | None = None,
) -> Side:
    """Take what is compared out of an integration.

    Parameters
    ----------
    integrated : Integrated
        Reflections and experiments.
    intensity : {'sum', 'profile', 'scale'}
        Kind of intensity.
    min_partiality : float
        Reflections of which less was recorded are left out.
    space_group : str, optional
        Symbol or number of the group in which to merge; that of the crystals if not
        given.

    Returns
    -------
    Side

    Raises
    ------
    ValueError
        If the table has no such intensities, or the crystals have several symmetries.
    """
    experiments = integrated.experiments
    try:
        observations = read_observations(
            integrated.table, experiments, intensity, min_partiality
        )
        symmetry = _symmetry(experiments, space_group)
    except ValueError as error:
        raise ValueError(f"{integrated.path}: {error}") from None
    return Side(
        observations,
        tuple(np.reshape(e.crystal.get_A(), (3, 3)) for e in experiments),
        tuple(_rotation_width(e) for e in experiments),
        symmetry,
    )


def _rotation_width(experiment: Experiment) -> float:
    """Rotation in an image, degrees; infinite for stills."""
    if experiment.scan is None:
        return math.inf
    return abs(experiment.scan.get_oscillation()[1]) or math.inf


def _symmetry(
    experiments: Sequence[Experiment], space_group: str | None
) -> crystal.symmetry:
    """Cell and space group in which to merge."""
    groups = {str(e.crystal.get_space_group().info()) for e in experiments}
    if space_group is not None:
        try:
            group = sgtbx.space_group_info(space_group).group()
        except RuntimeError:
            raise ValueError(f"{space_group} is not a space group") from None
    elif len(groups) > 1:
        raise ValueError(
            f"its crystals have several space groups ({', '.join(sorted(groups))}): "
            "give merging.space_group"
        )
    else:
        group = experiments[0].crystal.get_space_group()
    cell = experiments[0].crystal.get_unit_cell()
    if not group.is_compatible_unit_cell(cell, 0.05, 3.0):
        parameters = ", ".join(f"{x:g}" for x in cell.parameters())
        raise ValueError(f"a cell of {parameters} does not fit {group.info()}")
    return crystal.symmetry(unit_cell=group.average_unit_cell(cell), space_group=group)
