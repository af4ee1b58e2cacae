"""A comparison together with what was compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dials_truncfix.compare.comparison import CompareOptions, Comparison
from dials_truncfix.compare.files import Integrated


@dataclass(frozen=True)
class Compared:
    """Everything that tables, record and page tell.

    Attributes
    ----------
    before, after : Integrated
        The two integrations.
    truth : pathlib.Path or None
        File of the true intensities.
    intensity : {'sum', 'profile', 'scale'}
        Kind of intensity.
    options : CompareOptions
        How they were compared.
    comparison : Comparison
        The figures.
    """

    before: Integrated
    after: Integrated
    truth: Path | None
    intensity: str
    options: CompareOptions
    comparison: Comparison

    @property
    def unit(self) -> str:
        """Unit of observed intensities."""
        return "scaled" if self.intensity == "scale" else "ADU"

    @property
    def files(self) -> list[tuple[str, str]]:
        """What was compared: role and paths."""
        roles = [
            (role, f"{side.path}, {side.experiments_path}")
            for role, side in (("before", self.before), ("after", self.after))
        ]
        if self.truth is not None:
            roles.append(("truth", str(self.truth)))
        return roles
