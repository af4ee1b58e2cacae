"""Where a run finds what an earlier one of the same sweep has left."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.plain import from_plain, to_plain
from dials_truncfix.io.work_folder import clear, remove_half_written
from dials_truncfix.sweep.journal import is_whole, mark
from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.run_key import RunKey

logger = logging.getLogger("dials.truncfix.resume")

_KEY = "key.json"
_JOURNAL = "journal"


def work_path(output: OutputOptions) -> Path:
    """Hidden folder in which the images of one draw are collected."""
    return Path(output.directory) / f".truncfix-{output.images_template}"


def note_path(output: OutputOptions) -> Path:
    """Hidden file that says of a finished sweep what was written."""
    return Path(output.directory) / f".truncfix-{output.images_template}.done"


def prepare_work(folder: Path, key: RunKey, resume: bool) -> Path:
    """Make room for the work of a run, and keep what an earlier one did of the same.

    Parameters
    ----------
    folder : pathlib.Path
        The hidden folder, locked.
    key : RunKey
        All that determines the output.
    resume : bool
        Keep anything at all.

    Returns
    -------
    pathlib.Path
        The folder below it for files.
    """
    name = key.digest[:32]
    work = folder / name
    resumed = resume and work.is_dir()
    former = None if resumed else _former_key(folder)
    removed = clear(folder, kept=name if resumed else None)
    if removed and not resume:
        logger.info("Removed what a run that was killed had left: %s", folder)
    elif former is not None:
        logger.info(
            "An earlier run had %s: everything is made anew.", key.difference(former)
        )
    (work / _JOURNAL).mkdir(parents=True, exist_ok=True)
    for place in (work, journal_folder(work)):
        remove_half_written(place)
    with atomic_write(work / _JOURNAL / _KEY) as stream:
        stream.write(json.dumps(to_plain(key)).encode())
    return work


def journal_folder(work: Path) -> Path:
    """Folder of the entries about finished tasks."""
    return work / _JOURNAL


def _former_key(folder: Path) -> RunKey | None:
    for path in folder.glob(f"*/{_JOURNAL}/{_KEY}"):
        try:
            return from_plain(RunKey, json.loads(path.read_bytes()))
        except (OSError, ValueError):
            continue
    return None


def write_note(
    path: Path,
    key: RunKey,
    panels: Iterable[PanelValues],
    files: Iterable[Path],
    known: Mapping[Path, str],
) -> None:
    """Note down that a sweep is finished.

    Parameters
    ----------
    path : pathlib.Path
        Of the note.
    key : RunKey
        All that determined the output.
    panels : iterable of PanelValues
        Detector values of each draw.
    files : iterable of pathlib.Path
        What was written.
    known : mapping of pathlib.Path to str
        Marks of those among them that need not be read again.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    note = {
        "key": to_plain(key),
        "panels": [to_plain(panel) for panel in panels],
        "files": {str(file): known.get(file) or mark(file) for file in files},
    }
    with atomic_write(path) as stream:
        stream.write(json.dumps(note, indent=1).encode())


def read_note(path: Path, key: RunKey) -> tuple[PanelValues, ...] | None:
    """Find out whether a sweep is finished.

    Returns
    -------
    tuple of PanelValues or None
        Detector values of each draw, if an earlier run with the same key wrote all files
        and all have still the contents that they had.
    """
    try:
        note = json.loads(path.read_bytes())
        former = from_plain(RunKey, note["key"])
        if former != key:
            logger.info(
                "An earlier run had %s: everything is made anew.",
                key.difference(former),
            )
            return None
        panels = tuple(from_plain(PanelValues, panel) for panel in note["panels"])
        for file, known in note["files"].items():
            if not is_whole(Path(file), known):
                logger.info("%s is missing or has changed since it was written.", file)
                return None
    except (
        OSError,
        ValueError,
        LookupError,
        RecursionError,
        TypeError,
        AttributeError,
    ):
        return None
    return panels
