"""Commands of DIALS that are tried on postrefined tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from neighbour_checks import (
    merged,
    merged_as,
    reflections,
    says,
    written,
)
from neighbour_steps import (
    BATCH,
    N_STILLS,
    OLD_WX,
    Step,
    integrated_steps,
    scaled_steps,
)


def table_steps(kind: str) -> Iterator[Step]:
    """Yield steps on postrefined tables, in one pair of files or in parts."""
    if kind == "numbered parts":
        parts = range(N_STILLS // BATCH)
        names = [f"postrefined_{number:03d}" for number in parts]
        for part in names:
            yield Step(
                f"dials.merge {part}.expt {part}.refl output.mtz={part}.mtz",
                merged(f"{part}.mtz", 1000),
                quick=part == names[0],
            )
        given = " ".join(f"{part}.expt {part}.refl" for part in names)
        yield Step(
            f"dials.combine_experiments {given}"
            " output.experiments_filename=postrefined.expt"
            " output.reflections_filename=postrefined.refl",
            reflections("postrefined.refl", 10000),
            quick=True,
        )
    for step in (
        *integrated_steps("postrefined", 10000),
        *scaled_steps(
            "postrefined",
            10000,
            "mode=dataset",
            merged_as("by_dials.mtz", "merged.mtz"),
        ),
        *_stills_steps(),
    ):
        yield replace(step, same=False, once=not step.quick)


def _stills_steps() -> Iterator[Step]:
    """Yield steps on many crystals."""
    files = "postrefined.expt postrefined.refl"
    yield Step(f"dials.refine_error_model {files}", written("error_model.html"))
    yield Step(
        f"dials.split_experiments {files}"
        " output.experiments_prefix=one output.reflections_prefix=one",
        written("one_*.refl", N_STILLS // 2),
    )
    yield Step(
        f"dials.reindex {files} change_of_basis_op=b,a,-c",
        reflections("reindexed.refl", 10000),
    )
    yield Step(
        f"dials.cluster_unit_cell {files}",
        says(r"(\d+) +\S+.*P 43 21 2", "crystals in the largest cluster:"),
    )
    yield Step("dials.unit_cell_histogram postrefined.expt", written("*.png"))
    yield Step(
        f"dials.scale {files} output.experiments=rescaled.expt"
        " output.reflections=rescaled.refl",
        reflections("rescaled.refl", 10000),
    )
    yield Step(
        f"dials.cosym {files} output.experiments=cosym.expt"
        " output.reflections=cosym.refl",
        written("cosym.refl"),
    )
    yield Step(
        f"dials.symmetry {files} output.experiments=symmetrized.expt",
        says(r"Recommended space group: *(.+)", "space group"),
    )
    yield Step(
        f"dials.reciprocal_lattice_viewer {files}",
        written("viewer.png"),
        display=True,
        excuse=OLD_WX,
    )
