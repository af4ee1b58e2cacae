"""What is wrong with files named on the command line, before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dials.util import Sorry


def check_inputs(files: Iterable[str], parameters: Mapping[str, Iterable[str]]) -> None:
    """Refuse folders, and files of parameters that are not there.

    Parameters
    ----------
    files : iterable of str
        Given as such; they exist.
    parameters : mapping of str to iterable of str
        Files by the name of the parameter.

    Raises
    ------
    Sorry
        About the first of them.
    """
    for file in files:
        if os.path.isdir(file):
            raise Sorry(
                f"{file} is a folder: name the files in it, such as "
                f"{os.path.join(file, '*.img')}"
            )
    for name, paths in parameters.items():
        for path in paths:
            if os.path.isdir(path):
                raise Sorry(f"{path} is a folder: {name} takes a file")
            if not os.path.exists(path):
                raise Sorry(f"{path}: there is no such file ({name})")


def check_outputs(outputs: Iterable[str | None]) -> None:
    """Refuse outputs that cannot be written, before long work for them.

    Raises
    ------
    Sorry
        About the first of them.
    """
    for path in outputs:
        if path is None:
            continue
        folder = Path(path).absolute().parent
        if os.path.isdir(path):
            raise Sorry(f"{path} is a folder: give another name for the output file")
        if not folder.is_dir():
            raise Sorry(
                f"{path}: there is no folder {folder}: make it, or give another name "
                "for the output file"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Sorry(
                f"{path}: nothing can be written to {folder}: give another name for the "
                "output file, or work in another folder"
            )
