"""Reflection files with their experiments, read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dials_truncfix.compare.files import Integrated, load_integrated


@dataclass(frozen=True)
class FilePiece:
    """A reflection file and its experiments.

    Attributes
    ----------
    path, experiments_path : pathlib.Path
        Where they are.
    """

    path: Path
    experiments_path: Path

    def load(self) -> Integrated:
        """Read them.

        Raises
        ------
        ValueError
            If a file is damaged, or they do not belong together.
        OSError
            If a file cannot be read.
        """
        return load_integrated([self.path], [self.experiments_path])[0]


def pair_files(
    reflections: Sequence[Path], experiments: Sequence[Path]
) -> list[FilePiece] | None:
    """Find the experiments of each reflection file by its name.

    Parameters
    ----------
    reflections : sequence of pathlib.Path
        Reflection files.
    experiments : sequence of pathlib.Path
        Files of experiments, in any order; without any, those beside the reflections.

    Returns
    -------
    list of FilePiece or None
        None if names do not tell.
    """
    by_name = {path.with_suffix(""): path for path in experiments}
    if not experiments:
        by_name = {
            path.with_suffix(""): path.with_suffix(".expt") for path in reflections
        }
    elif len(by_name) < len(experiments) or len(experiments) != len(reflections):
        return None
    if not all(path.with_suffix("") in by_name for path in reflections):
        return None
    # workers elsewhere have other working folders
    return [
        FilePiece(path.absolute(), by_name[path.with_suffix("")].absolute())
        for path in reflections
    ]
