"""Parsing of arguments shared by the commands."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

from dials.util import Sorry, log
from dials.util.options import ArgumentParser

from dials_truncfix.io.tvips import TVIPSSeries

_REMEDIES = {
    errno.ENOENT: "check the path; the folders of output files must exist",
    errno.EACCES: "give another folder, or its permission",
    errno.EROFS: "give an output folder that can be written",
    errno.EEXIST: "give another name for the output folder",
    errno.ENOTDIR: "give another name for the output folder",
    errno.ENOSPC: "free some space, or give another output folder",
    errno.EDQUOT: "free some space, or give another output folder",
    errno.EFBIG: "give an output folder that may hold files of this size",
}


def parse_arguments(
    parser: ArgumentParser, args: Sequence[str] | None
) -> tuple[Any, Any]:
    """Parse the command line.

    Parameters
    ----------
    parser : dials.util.options.ArgumentParser
        Of the program.
    args : sequence of str, optional
        Arguments; those of the command line if not given.

    Returns
    -------
    params, options
        Extracted phil parameters and other options.

    Raises
    ------
    Sorry
        About the first argument that cannot be understood, in one sentence.
    """
    try:
        # the parser passes over arguments that are neither parameters nor files
        _, _, files = parser.parse_args(args, return_unhandled=True, quick_parse=True)
        for file in files:
            _check_file(file)
        params, options, unread = parser.parse_args(args, return_unhandled=True)
    except RuntimeError as error:
        # phil reports values out of range, and unknown parameters in files, as errors
        # of the program
        raise Sorry(str(error)) from None
    for file in unread:
        raise Sorry(_reason(file))
    return params, options


def _check_file(argument: str) -> None:
    if os.path.exists(argument):
        return
    name, equals, _ = argument.partition("=")
    if equals:
        raise Sorry(f"{name} is not a parameter of this program: -h lists them")
    raise Sorry(f"{argument}: there is no such file")


def _reason(file: str) -> str:
    """Say why a file was not read; of recordings our own reader knows more."""
    if file.lower().endswith(".tvips"):
        try:
            TVIPSSeries.open(file)
        except (OSError, ValueError) as error:
            return str(error)
    return (
        f"{file} can be read neither as images nor as experiments: check that it is "
        "complete, and that dials.import reads it"
    )


def configure_log(verbosity: int, path: str | None) -> None:
    """Start logging as DIALS programs do.

    Raises
    ------
    Sorry
        When the log file cannot be written.
    """
    try:
        log.config(verbosity, logfile=path)
    except OSError as error:
        raise Sorry(explain(error)) from None


def explain(error: OSError) -> str:
    """Say which file failed, what is wrong with it and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f": {remedy}" if remedy else "")
