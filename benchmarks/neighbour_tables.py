"""Commands of DIALS that are tried on postrefined tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from neighbour_checks import (
    merged,
    merged_as,
    reflections,
    says,
    written,
)
from neighbour_inputs import BATCH, N_STILLS, STILLS_GROUP, STOCK_STILLS
from neighbour_steps import (
    BACKGROUND,
    NO_SCAN,
    OLD_WX,
    Step,
    integrated_steps,
    scaled_steps,
)

#: Of the simulated stills, observations that have to be there, and those merged of a part.
LEAST, LEAST_MERGED = 2500, 300


def table_steps(kind: str) -> Iterator[Step]:
    """Yield steps on scaled stills: ours, in one pair of files or in parts, or stock ones."""
    ours = kind != STOCK_STILLS
    name = "postrefined" if ours else "stock"
    if kind == "numbered parts":
        parts = range(N_STILLS // BATCH)
        names = [f"postrefined_{number:03d}" for number in parts]
        for part in names:
            yield Step(
                f"dials.merge {part}.expt {part}.refl output.mtz={part}.mtz",
                merged(f"{part}.mtz", LEAST_MERGED),
                quick=part == names[0],
            )
        given = " ".join(f"{part}.expt {part}.refl" for part in names)
        yield Step(
            f"dials.combine_experiments {given}"
            " output.experiments_filename=postrefined.expt"
            " output.reflections_filename=postrefined.refl",
            reflections("postrefined.refl", LEAST),
            quick=True,
        )
    for step in (
        *integrated_steps(name, LEAST, stills=True),
        *scaled_steps(
            name,
            LEAST,
            "mode=dataset",
            merged_as("by_dials.mtz", "merged.mtz") if ours else None,
            stills=True,
        ),
        *_stills_steps(name),
    ):
        yield replace(step, same=False, once=not step.quick)


def _error_model(folder: Path, printed: str) -> str:
    """Ask for a page; without one, say what the program said instead."""
    if (found := re.search("Insufficient reflections .*", printed)) is not None:
        raise ValueError(found[0])
    return written("error_model.html")(folder, printed)


def _stills_steps(name: str) -> Iterator[Step]:
    """Yield steps on many crystals."""
    files = f"{name}.expt {name}.refl"
    yield Step(f"dials.refine_error_model {files}", _error_model, reason=BACKGROUND)
    yield Step(
        f"dials.split_experiments {files}"
        " output.experiments_prefix=one output.reflections_prefix=one",
        written("one_*.refl", N_STILLS // 2),
    )
    yield Step(
        f"dials.reindex {files} change_of_basis_op=b,a,-c",
        reflections("reindexed.refl", LEAST),
    )
    yield Step(
        f"dials.cluster_unit_cell {files}",
        says(rf"(\d+) +\S+.*{STILLS_GROUP}", "crystals in the largest cluster:"),
    )
    yield Step(f"dials.unit_cell_histogram {name}.expt", written("uc_histograms.png"))
    yield Step(
        f"dials.scale {files} output.experiments=rescaled.expt"
        " output.reflections=rescaled.refl",
        reflections("rescaled.refl", LEAST),
    )
    yield Step(
        f"dials.cosym {files} dimensions=2 output.experiments=cosym.expt"
        " output.reflections=cosym.refl",
        written("cosym.refl"),
    )
    yield Step(
        f"dials.symmetry {files} output.experiments=symmetrized.expt",
        says(r"Recommended space group: *(.+)", "space group"),
        reason=NO_SCAN,
    )
    yield Step(
        f"dials.image_viewer {files}",
        written("viewer.png"),
        display=True,
        reason=OLD_WX,
    )
    yield Step(
        f"dials.reciprocal_lattice_viewer {files}",
        written("viewer.png"),
        display=True,
        reason=OLD_WX,
    )
