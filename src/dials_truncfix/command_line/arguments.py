"""The command line of every command, and what to say of files that cannot be read."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

from dials.util import Sorry
from dials.util.options import ArgumentParser
from dxtbx.model.experiment_list import ExperimentList
from libtbx import Auto

from dials_truncfix.command_line.program import explain
from dials_truncfix.io.sidecar import is_sidecar
from dials_truncfix.io.tvips import TVIPSSeries
from dials_truncfix.sweep.sidecar import open_sidecar


def parse_arguments(
    parser: ArgumentParser, args: Sequence[str] | None, phil: Any
) -> tuple[Any, Any]:
    """Parse the command line.

    Parameters
    ----------
    parser : dials.util.options.ArgumentParser
        Of the program.
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        The program's own parameters.

    Returns
    -------
    params, options
        Extracted phil parameters and other options.

    Raises
    ------
    Sorry
        About the first argument that cannot be understood, in one sentence.
    """
    params, options, unread = parse_with_files(parser, args, phil)
    refuse_unread(unread)
    return params, options


def refuse_unread(files: Sequence[str]) -> None:
    """Raise a Sorry about the first of the files that were not read."""
    for file in files:
        raise Sorry(why_unread(file))


def parse_with_files(
    parser: ArgumentParser, args: Sequence[str] | None, phil: Any
) -> tuple[Any, Any, list[str]]:
    """Parse a command line that may name files which the parser does not read.

    Parameters
    ----------
    parser, args, phil
        As for `parse_arguments`.

    Returns
    -------
    params, options
        Extracted phil parameters and other options.
    files : list of str
        Existing files that were not read, in order.

    Raises
    ------
    Sorry
        About the first argument that is neither a parameter nor a file.
    """
    try:
        # the parser passes over arguments that are neither parameters nor files
        _, _, files = parser.parse_args(args, return_unhandled=True, quick_parse=True)
        for file in files:
            _check_file(file)
        params, options, unread = parser.parse_args(args, return_unhandled=True)
    except (RuntimeError, OverflowError, ValueError) as error:
        # phil reports values out of range, and unknown parameters in files, as errors
        # of the program, and so do format classes damaged images
        raise Sorry(str(error)) from None
    except OSError as error:
        raise Sorry(explain(error, "the files given")) from None
    _restore_auto(phil, params)
    _check_values(phil, params)
    return params, options, unread


def _restore_auto(phil: Any, params: Any) -> None:
    """Give back the word to choices named auto, which phil takes for Auto."""
    for definition in phil.all_definitions():
        words = [word.value.strip("*") for word in definition.object.words]
        if definition.object.type.phil_type != "choice" or "auto" not in words:
            continue
        *scopes, name = definition.path.split(".")
        scope = functools.reduce(getattr, scopes, params)
        if getattr(scope, name) is Auto:
            setattr(scope, name, "auto")


def _check_values(phil: Any, params: Any) -> None:
    """Refuse the words None and Auto, and nan, where they mean nothing."""
    definitions = {known.path: known for known in phil.all_definitions()}
    # what may be given several times stands there as often as it was given
    for given in phil.format(params).all_definitions():
        known = definitions[given.path]
        default, value = known.object.extract(), given.object.extract()
        if known.object.type.phil_type == "path":
            meaningless = value is Auto
        else:
            meaningless = (value is Auto and default is not Auto) or (
                value is None and default is not None
            )
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(x, float) and not math.isfinite(x) for x in numbers):
            meaningless = True
        if meaningless:
            raise Sorry(
                f"{known.path} cannot be {value}: -c -a2 -e2 explains the values"
            )


def _check_file(argument: str) -> None:
    if os.path.exists(argument):
        return
    name, equals, value = argument.partition("=")
    if equals and not value:
        raise Sorry(f"{name} was given no value")
    if equals:
        raise Sorry(f"{name} is not a parameter of this program: -h lists them")
    raise Sorry(f"{argument or 'a file without a name'}: there is no such file")


def why_unread(file: str) -> str:
    """Say why a file was not read; of our own formats their readers know more."""
    return why_unread_images(file, _images(file)) or (
        f"{file} can be read neither as images nor as experiments: check that it is "
        "complete, and that dials.import reads it"
    )


def why_unread_images(file: str, images: Sequence[str]) -> str | None:
    """Say why images, or the file that refers to them, cannot be read, if that is known."""
    if absent := next((path for path in images if not os.path.exists(path)), None):
        return (
            f"{file} refers to {absent}, and there is no such file: put the images "
            "back to where they were, or import them again"
        )
    try:
        for path in filter(is_sidecar, [file, *images]):
            open_sidecar(path)
        if file.lower().endswith(".tvips"):
            TVIPSSeries.open(file)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _images(file: str) -> list[str]:
    """List the files of images to which experiments refer, each once."""
    try:
        experiments = ExperimentList.from_file(file, check_format=False)
        paths = [
            p for images in experiments.imagesets() if images for p in images.paths()
        ]
    except Exception:
        # whatever dxtbx makes of a file that holds no experiments
        return []
    return list(dict.fromkeys(paths))
