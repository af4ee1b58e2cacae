"""From reflection tables of replicates to one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.combine.pooling import Pooled, pool
from dials_truncfix.combine.rows import Rows, same_reflections
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import flex_indices

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: Kinds of intensity, and the flag of reflections that have one.
KINDS = {"sum": "integrated_sum", "prf": "integrated_prf"}
_NEEDED = (
    "intensity.sum.value",
    "intensity.sum.variance",
    "miller_index",
    "id",
    "flags",
    "entering",
    "bbox",
    "partiality",
    "d",
)
# What depends on the draws, beside the intensities; rows of other columns are copied.
_AVERAGED = (
    "background.mean",
    "background.mse",
    "background.dispersion",
    "background.sum.value",
    "background.sum.variance",
    "profile.correlation",
    "profile.rmsd",
)


@dataclass(frozen=True)
class Combined:
    """Reflections pooled over replicates.

    Attributes
    ----------
    table : dials.array_family.flex.reflection_table
        With pooled intensities and variances, in the order of the first replicate.
    pooled : dict of str to Pooled
        For each kind of intensity, one row for each of the table.
    d : ndarray, shape (n,)
        Resolution, Å.
    n_dropped : int
        Reflections that too few replicates integrated.
    """

    table: flex.reflection_table
    pooled: dict[str, Pooled]
    d: FloatArray
    n_dropped: int


def combine_tables(
    replicates: Sequence[Integrated],
    changes: Sequence[Sequence[IntArray]],
    rule: str,
    min_replicates: int,
    max_distance: float,
) -> Combined:
    """Pool the intensities of replicates.

    Parameters
    ----------
    replicates : sequence of Integrated
        At least two.
    changes : sequence of sequence of ndarray of int, shape (3, 3)
        What takes the indices of each crystal of each replicate to the setting of the
        first replicate.
    rule : {'reduced', 'rubin'}
        As for :func:`dials_truncfix.combine.pooling.pool`.
    min_replicates : int
        Reflections that fewer replicates integrated are left out.
    max_distance : float
        Largest distance along the rotation, images.

    Returns
    -------
    Combined

    Raises
    ------
    ValueError
        If a table cannot be pooled, or the tables have no reflection in common.
    """
    for replicate in replicates:
        _check_columns(replicate)
    tables = [_integrated(replicate) for replicate in replicates]
    kinds = [
        kind for kind in KINDS if all(f"intensity.{kind}.value" in t for t in tables)
    ]
    indices = [_reindexed(t, c) for t, c in zip(tables, changes)]
    groups = same_reflections(
        [_rows(t, hkl) for t, hkl in zip(tables, indices)], max_distance
    )
    pooled = {
        kind: pool(
            _estimates(tables, groups, kind, "value"),
            _estimates(tables, groups, kind, "variance"),
            rule,
            min_replicates,
        )
        for kind in kinds
    }
    kept = np.logical_or.reduce([p.pooled for p in pooled.values()])
    if not kept.any():
        raise ValueError(
            f"{replicates[0].path} and {replicates[1].path} have no integrated "
            "reflection in common: give replicates that were processed alike"
        )
    groups = groups[kept]
    pooled = {kind: p.select(kept) for kind, p in pooled.items()}
    table = _first_rows(tables, indices, groups)
    for name in _AVERAGED:
        if all(name in t for t in tables):
            table[name] = flumpy.from_numpy(_mean(_gather(tables, groups, name)))
    for kind, estimates in pooled.items():
        _write(table, kind, estimates)
    d = flumpy.to_numpy(table["d"]).copy()
    return Combined(table, pooled, d, int(np.count_nonzero(~kept)))


def _check_columns(replicate: Integrated) -> None:
    table = replicate.table
    for name in _NEEDED:
        if name not in table:
            raise ValueError(
                f"{replicate.path} has no column {name}: give the reflections that "
                "dials.integrate wrote"
            )
    if "inverse_scale_factor" in table:
        raise ValueError(
            f"{replicate.path} has been scaled: combine what dials.integrate wrote, and "
            "scale the combined reflections"
        )


def _integrated(replicate: Integrated) -> flex.reflection_table:
    """Rows that have an intensity of any kind."""
    table = replicate.table
    chosen = flex.bool(len(table), False)
    for kind, flag in KINDS.items():
        if f"intensity.{kind}.variance" in table:
            chosen |= _has(table, kind)
    chosen &= table["id"] >= 0
    if chosen.count(True) == 0:
        raise ValueError(
            f"{replicate.path} holds no integrated reflection: give the reflections that "
            "dials.integrate wrote"
        )
    return table.select(chosen)


def _has(table: flex.reflection_table, kind: str) -> flex.bool:
    flag = getattr(table.flags, KINDS[kind])
    return table.get_flags(flag) & (table[f"intensity.{kind}.variance"] > 0)


def _reindexed(table: flex.reflection_table, changes: Sequence[IntArray]) -> IntArray:
    indices: FloatArray = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    lattice = flumpy.to_numpy(table["id"])
    result = np.rint(indices).astype(np.int64)
    for number, change in enumerate(changes):
        mine = lattice == number
        result[mine] = result[mine] @ change.T
    return result


def _rows(table: flex.reflection_table, indices: IntArray) -> Rows:
    _, _, _, _, first, end = table["bbox"].parts()
    return Rows(
        miller_index=indices,
        lattice=flumpy.to_numpy(table["id"]).astype(np.int64),
        entering=flumpy.to_numpy(table["entering"]).astype(bool),
        z=(flumpy.to_numpy(first) + flumpy.to_numpy(end)) / 2.0,
        partiality=flumpy.to_numpy(table["partiality"]).astype(np.float64),
    )


def _gather(
    tables: Sequence[flex.reflection_table], groups: IntArray, name: str
) -> FloatArray:
    """Put the values of a column side by side; NaN where a table has no such row."""
    values = np.full(groups.shape, np.nan)
    for k, table in enumerate(tables):
        there = groups[:, k] >= 0
        column = flumpy.to_numpy(table[name]).astype(np.float64)
        values[there, k] = column[groups[there, k]]
    return values


def _estimates(
    tables: Sequence[flex.reflection_table], groups: IntArray, kind: str, part: str
) -> FloatArray:
    """Intensities or variances of one kind; NaN where it was not integrated."""
    values = _gather(tables, groups, f"intensity.{kind}.{part}")
    for k, table in enumerate(tables):
        there = groups[:, k] >= 0
        good = flumpy.to_numpy(_has(table, kind))
        values[there, k] = np.where(
            good[groups[there, k]], values[there, k], np.float64(np.nan)
        )
    return values


def _mean(values: FloatArray) -> FloatArray:
    there = np.isfinite(values)
    n = np.maximum(there.sum(axis=1), 1)
    return np.asarray(np.where(there, values, 0.0).sum(axis=1) / n)


def _first_rows(
    tables: Sequence[flex.reflection_table],
    indices: Sequence[IntArray],
    groups: IntArray,
) -> flex.reflection_table:
    """For each reflection, its row in the first table that has it."""
    owner = np.argmax(groups >= 0, axis=1)
    common = set.intersection(*(set(map(str, t.keys())) for t in tables))
    result = None
    order: list[IntArray] = []
    for k, (table, hkl) in enumerate(zip(tables, indices)):
        mine = np.flatnonzero(owner == k)
        rows = groups[mine, k]
        part = table.select(flex.size_t(rows.tolist()))
        for name in list(part.keys()):
            if name not in common:
                del part[name]
        part["miller_index"] = flex_indices(hkl[rows])
        order.append(mine)
        if result is None:
            result = part
        else:
            for identifier in list(part.experiment_identifiers().keys()):
                del part.experiment_identifiers()[identifier]
            result.extend(part)
    assert result is not None
    back = np.argsort(np.concatenate(order), kind="stable")
    return result.select(flex.size_t(back.tolist()))


def _write(table: flex.reflection_table, kind: str, pooled: Pooled) -> None:
    """Put pooled intensities in the place of those of one replicate.

    What they were pooled from goes to columns of its own.
    """
    done = flumpy.from_numpy(pooled.pooled)
    for part, values in (("value", pooled.value), ("variance", pooled.variance)):
        name = f"intensity.{kind}.{part}"
        table[name].set_selected(done, flumpy.from_numpy(values).select(done))
    for part in ("within", "between", "degrees_of_freedom"):
        table[f"replicates.{kind}.{part}"] = flumpy.from_numpy(getattr(pooled, part))
    table[f"replicates.{kind}.n"] = flumpy.from_numpy(pooled.n.astype(np.int32))
    flag = getattr(table.flags, KINDS[kind])
    table.unset_flags(flex.bool(len(table), True), flag)
    table.set_flags(done, flag)
