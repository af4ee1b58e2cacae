"""The record of dials.truncfix_postrefine as arrays: one value per lattice."""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.source_files import printable
from dials_truncfix.postrefine.lattice.target import PARAMETER_NAMES
from dials_truncfix.postrefine.results.record import PROGRAM, SCHEMA
from dials_truncfix.report.records import read_record_of

Array = npt.NDArray[np.float64]

_COLUMNS = (
    *PARAMETER_NAMES,
    *(f"{name}_sd" for name in PARAMETER_NAMES),
    "n_obs",
    "cc_before",
    "cc_after",
    "spread",
)
#: Of these the logarithm is nearer to a normal distribution.
_LOGARITHMIC = ("G", "rs")
#: From median absolute deviation to standard deviation, for a normal distribution.
_MAD = 1.4826
#: Robust standard deviations beyond which a lattice is named: none of 10⁵ normal ones.
FAR = 5.0


@dataclass(frozen=True)
class Outlier:
    """A lattice one of whose parameters is far from those of the others.

    Attributes
    ----------
    lattice : int
        Position in the record.
    parameter : str
        Name, as in the record.
    deviation : float
        From the median, in robust standard deviations; of logarithms for G and rs.
    """

    lattice: int
    parameter: str
    deviation: float


@dataclass(frozen=True)
class PostrefineResults:
    """What the report is made from.

    Attributes
    ----------
    record : Mapping
        The record as it was read.
    identifiers : list of str
        Of all lattices.
    reasons : list of str or None
        Why each was left out; None for accepted lattices.
    accepted : ndarray, shape (n_lattices,), bool
        The same in short.
    values : dict of str to ndarray, shape (n_lattices,), float64
        Parameters, their standard uncertainties and figures under their names in the record;
        NaN where there is none.
    correlations : ndarray, shape (n_lattices, 5, 5), float32
        Of the parameters of each lattice; NaN for parameters that were not refined.
    n_dropped : Counter
        Of how many accepted lattices a parameter could not be refined.
    """

    record: Mapping[str, Any]
    identifiers: list[str]
    reasons: list[str | None]
    accepted: npt.NDArray[np.bool_]
    values: dict[str, Array]
    correlations: npt.NDArray[np.float32]
    n_dropped: Counter[str]

    def of_accepted(self, name: str) -> Array:
        """Take the known values of accepted lattices."""
        values: Array = self.values[name][self.accepted]
        known: Array = values[np.isfinite(values)]
        return known

    def outliers(self) -> list[Outlier]:
        """List accepted lattices far from the others, the farthest first."""
        found = []
        for name in PARAMETER_NAMES:
            deviations = self.deviations(name)
            for lattice in np.flatnonzero(np.abs(deviations) > FAR).tolist():
                found.append(Outlier(lattice, name, float(deviations[lattice])))
        return sorted(found, key=lambda outlier: -abs(outlier.deviation))

    def deviations(self, name: str) -> Array:
        """Measure how far accepted lattices are from their median.

        Returns
        -------
        ndarray, shape (n_lattices,)
            In robust standard deviations; NaN for other lattices, or without any scatter.
        """
        values = np.where(self.accepted, self.values[name], np.nan)
        if name in _LOGARITHMIC:
            values = np.log(values)
        known = values[np.isfinite(values)]
        if not len(known):
            return values
        middle = np.median(known)
        scatter = _MAD * np.median(np.abs(known - middle))
        if not scatter > 0:
            return np.full(len(values), np.nan)
        return np.asarray((values - middle) / scatter)


def read_postrefine_record(path: str) -> dict[str, Any]:
    """Read the record of a run.

    Parameters
    ----------
    path : str
        ``dials.truncfix_postrefine.json``.

    Raises
    ------
    ValueError
        When the file is no such record, or of another version.
    OSError
        When it cannot be read.
    """
    record = read_record_of(PROGRAM, SCHEMA, path)
    if "profiles" not in record:
        raise ValueError(
            f"{printable(path)} holds no partialities, as it was written by an earlier "
            f"version of the program: run {PROGRAM} again"
        )
    return record


def postrefine_results(record: Mapping[str, Any]) -> PostrefineResults:
    """Prepare a record for the report.

    Parameters
    ----------
    record : Mapping
        From `read_postrefine_record`, or of a run that just ended. Damage shows as errors
        of many kinds: see `records.damage_of`. Its lattices are taken one after the other,
        as there may be very many.
    """
    identifiers: list[str] = []
    reasons: list[str | None] = []
    columns = {name: array("d") for name in _COLUMNS}
    correlations = array("f")
    n_dropped: Counter[str] = Counter()
    for lattice in record["lattices"]:
        reason = lattice["reason"]
        identifiers.append(str(lattice["identifier"]))
        reasons.append(None if reason is None else sys.intern(str(reason)))
        for name, column in columns.items():
            value = lattice[name]
            column.append(math.nan if value is None else value)
        correlations.extend(_correlations(lattice["correlations"] or {}))
        if lattice["accepted"]:
            n_dropped.update(lattice["dropped"])
    n = len(PARAMETER_NAMES)
    return PostrefineResults(
        record=record,
        identifiers=identifiers,
        reasons=reasons,
        accepted=np.array([reason is None for reason in reasons], dtype=bool),
        values={name: np.array(column) for name, column in columns.items()},
        correlations=np.array(correlations).reshape(-1, n, n),
        n_dropped=n_dropped,
    )


def numbers(values: Sequence[Any]) -> Array:
    """Make an array of numbers, NaN for null: JSON has no word for it."""
    return np.array([math.nan if x is None else x for x in values], dtype=np.float64)


def _correlations(pairs: Mapping[str, float]) -> list[float]:
    """Fill a symmetric matrix, row by row, with what is known."""
    return [
        pairs.get(f"{a},{b}", pairs.get(f"{b},{a}", math.nan))
        for a in PARAMETER_NAMES
        for b in PARAMETER_NAMES
    ]
