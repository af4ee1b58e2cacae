"""Many output files at once: all of them appear in their folder, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """Collect files in a hidden folder, and move them out when all went well.

    Parameters
    ----------
    destination : pathlib.Path
        The folder in which the files shall appear; made when it does not exist.

    Yields
    ------
    pathlib.Path
        A folder on the same file system, so that moving a file is atomic.

    Raises
    ------
    OSError
        When the destination cannot be made or written.

    Notes
    -----
    After any exception, an interrupt included, the hidden folder is removed, and so
    are the folders that were made for the destination.
    """
    destination = Path(destination).absolute()
    made = [p for p in (destination, *destination.parents) if not p.exists()]
    try:
        destination.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".truncfix-", dir=destination))
        try:
            yield staging
            for path in sorted(staging.iterdir()):
                os.replace(path, destination / path.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except BaseException:
        for folder in made:
            try:
                folder.rmdir()
            except OSError:
                # it holds something by now, or was never made
                break
        raise
