"""The reference of dials.truncfix_postrefine, and lattices indexed as it is, or alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix.command_line.postrefine_options import (
    cycle_options,
    input_options,
)
from dials_truncfix.parallel import TaskMap
from dials_truncfix.postrefine.indexing.ambiguity import (
    TOLERATED,
    Agreement,
    Reindexing,
    agreements,
    reindexings,
    sample,
)
from dials_truncfix.postrefine.indexing.reindexing import (
    Preference,
    all_preferences,
    reindexed_pieces,
)
from dials_truncfix.postrefine.input.gather import DataSet, gather
from dials_truncfix.postrefine.merge.reference import (
    ReferenceFile,
    as_reference,
    read_reference,
)
from dials_truncfix.postrefine.merge.references import ExternalReference

logger = logging.getLogger("dials.truncfix.postrefine")

_REMEDY = "run dials.cosym, or give a reference with reference.reindex=True"
_KNOWN = "ambiguity.check=False if the indices are known to be right"


@dataclass(frozen=True)
class Settled:
    """A data set with its reference.

    Attributes
    ----------
    data : DataSet
        Reindexed, if that was asked for.
    external : ExternalReference or None
        The reference.
    doubt : str or None
        Why lattices must not be merged after all.
    """

    data: DataSet
    external: ExternalReference | None
    doubt: str | None = None


def settle_indexing(
    params: Any, data: DataSet, folder: Path, apply: TaskMap
) -> Settled:
    """Read the reference, if there is one, and see that all lattices are indexed alike.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        After parsing.
    data : DataSet
        What was read.
    folder : pathlib.Path
        For what does not stay in memory.
    apply : TaskMap
        Processes.

    Returns
    -------
    Settled

    Raises
    ------
    ValueError
        If the reference is not usable, or lattices are not indexed alike.
    """
    given = params.reference
    operators = reindexings(data.symmetry, params.ambiguity.tolerance)
    if given.file is None:
        if given.reindex:
            raise ValueError(
                "reference.reindex=True needs a reference: give reference.file, or run "
                "dials.cosym"
            )
        if params.ambiguity.check and len(operators) > 1:
            return Settled(data, None, _compare(params, data, operators))
        return Settled(data, None)
    file = ReferenceFile(
        Path(given.file),
        given.label,
        None if given.scattering == "auto" else given.scattering,
        given.solvent,
    )
    intensities = read_reference(file, data)
    if len(operators) == 1:
        if given.reindex:
            logger.info("The cell and space group leave one way to index lattices.")
    elif given.reindex:
        found = all_preferences(data.observations, intensities, operators)
        data = _reindexed(params, data, operators, found, folder, apply)
    elif params.ambiguity.check:
        found = all_preferences(data.observations, intensities, operators)
        _refuse_other_indexing(file.path, operators, found)
    return Settled(data, as_reference(file, intensities, data.observations))


def _compare(params: Any, data: DataSet, operators: Sequence[Reindexing]) -> str | None:
    """Refuse lattices that are indexed unlike each other; say why they may be."""
    wanted = np.any(cycle_options(params).refinement.rounds(), axis=0)
    found = agreements(sample(data.observations), data.symmetry, operators, wanted)
    where = f"{data.symmetry.space_group_info()} with this cell can be indexed as "
    for agreement in found:
        way = f"{where}{agreement.operator.name} too"
        if not agreement.telling:
            doubt = (
                f"{way}, and the reflections that lattices have in common do not tell "
                "which are alike"
            )
            logger.warning("%s.", doubt)
            return f"{doubt}: {_REMEDY}, or {_KNOWN}"
        if not agreement.resolved:
            raise ValueError(
                f"{way}, and {agreement.n_unlike} of {agreement.n_lattices} lattices "
                f"compared are indexed unlike the others: {_REMEDY}"
            )
    if found:
        logger.info("%s", _of_agreement(found))
    return None


def _of_agreement(found: Sequence[Agreement]) -> str:
    names = ", ".join(agreement.operator.name for agreement in found)
    unlike = max(agreement.n_unlike for agreement in found)
    return (
        f"Lattices could be indexed as {names} too; {unlike} of "
        f"{found[0].n_lattices} compared are unlike the others."
    )


def _refuse_other_indexing(
    path: Path, operators: Sequence[Reindexing], found: Preference
) -> None:
    n_other, n = int(found.clearly_other.sum()), len(found.n_known)
    names = ", ".join(operator.name for operator in operators[1:])
    if n_other > TOLERATED * n:
        raise ValueError(
            f"{n_other} of {n} lattices agree better with {path} when they are indexed as "
            f"{names}: give reference.reindex=True"
        )
    logger.info(
        "Lattices could be indexed as %s too; %d of %d clearly agree better with the "
        "reference then.",
        names,
        n_other,
        n,
    )


def _reindexed(
    params: Any,
    data: DataSet,
    operators: Sequence[Reindexing],
    found: Preference,
    folder: Path,
    apply: TaskMap,
) -> DataSet:
    choice = np.zeros(data.n_experiments, dtype=np.int64)
    choice[data.lattice_experiment] = found.best
    counts = np.bincount(found.best, minlength=len(operators))
    logger.info(
        "Indexed as the reference: %s.",
        ", ".join(
            f"{count} lattices by {operator.name}"
            for operator, count in zip(operators, counts.tolist())
        ),
    )
    below = folder / "reindexed"
    below.mkdir()
    pieces = reindexed_pieces(data, operators, choice)
    again = gather(pieces, input_options(params), below, apply)
    return replace(again, reindexed=[operators[i].name for i in choice.tolist()])
