"""What every command does before and after its work."""

from __future__ import annotations

import errno
import functools
import logging
import math
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from dials.util import Sorry, log
from dials.util.options import ArgumentParser, flatten_experiments
from dials.util.version import dials_version
from dxtbx.model.experiment_list import ExperimentList
from libtbx import Auto

from dials_truncfix import __version__, compat
from dials_truncfix.io.sidecar import is_sidecar
from dials_truncfix.io.tvips import TVIPSSeries
from dials_truncfix.sweep.sidecar import open_sidecar
from dials_truncfix.sweep.source import image_files

logger = logging.getLogger("dials.truncfix.program")

_REMEDIES = {
    errno.ENOENT: "check the path; the folders of output files must exist",
    errno.EACCES: "give another file or folder, or the permission",
    errno.EROFS: "give an output folder that can be written",
    errno.EEXIST: "give another name for the output",
    errno.ENOTDIR: "give another name for the output folder",
    errno.EWOULDBLOCK: "wait until it has ended, or give another name for the output",
    errno.EISDIR: "give another name for the output file",
    errno.ENOSPC: "free some space, or give another output folder",
    errno.EDQUOT: "free some space, or give another output folder",
    errno.EFBIG: "give an output folder that may hold files of this size",
}


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


def start(parser: ArgumentParser, options: Any, log_file: str | None) -> None:
    """Start the log, with the versions and the changed parameters at its head.

    From here on a termination request is an exception, so that half-written output is
    removed on the way out.

    Parameters
    ----------
    parser : dials.util.options.ArgumentParser
        After parsing.
    options : argparse.Namespace
        From the parser.
    log_file : str or None
        File of the log.

    Raises
    ------
    Sorry
        When the log file cannot be written.
    """
    # a full disk would have the log say so in a traceback, again and again
    logging.raiseExceptions = False
    try:
        log.config(options.verbose, logfile=log_file)
    except OSError as error:
        raise Sorry(explain(error, str(log_file))) from None
    logger.info(
        "dials_truncfix %s, %s, dxtbx %s",
        __version__,
        dials_version(),
        compat.dxtbx_version(),
    )
    if diff_phil := parser.diff_phil.as_str():
        logger.info("The following parameters have been modified:\n%s", diff_phil)
    signal.signal(signal.SIGTERM, _stop)


def _stop(signum: int, _: Any) -> NoReturn:
    raise SystemExit(128 + signum)


def keep_inputs(params: Any, outputs: Sequence[str | None]) -> None:
    """Refuse to overwrite what is read, and to write two things to one file.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        After parsing.
    outputs : sequence of str or None
        Files to write, besides images.

    Raises
    ------
    Sorry
        About the first file that would be lost.
    """
    keep_files(_input_files(params.input.experiments), outputs)


def keep_files(inputs: Iterable[str], outputs: Sequence[str | None]) -> None:
    """Refuse outputs that are inputs, and two outputs in one file.

    Parameters
    ----------
    inputs : iterable of str
        Files that are read.
    outputs : sequence of str or None
        Files to write.

    Raises
    ------
    Sorry
        About the first file that would be lost.
    """
    written = [path for path in outputs if path is not None]
    for i, path in enumerate(written):
        if os.path.abspath(path) in map(os.path.abspath, written[:i]):
            raise Sorry(f"{path} is given for two outputs: give each a name of its own")
    in_the_way = {_identity(path): path for path in written if os.path.exists(path)}
    if not in_the_way:
        return
    for path in inputs:
        if os.path.exists(path) and _identity(path) in in_the_way:
            raise Sorry(
                f"{in_the_way[_identity(path)]} is an input and would be overwritten: "
                "give another name for the output"
            )


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _input_files(experiments: Sequence[Any]) -> Iterator[str]:
    """List the experiments given and the files that hold their images."""
    for given in experiments:
        if given.filename:
            yield str(given.filename)
        for imageset in given.data.imagesets():
            if imageset is not None:
                yield from map(str, image_files(imageset))


def single_imageset(params: Any) -> tuple[Any, Any]:
    """Return the experiments given and their only imageset.

    Raises
    ------
    Sorry
        When there are several, or none.
    """
    if len(params.input.experiments) > 1:
        raise Sorry(
            f"{len(params.input.experiments)} experiment files were given: give them "
            "one by one, each in a folder of its own"
        )
    experiments = flatten_experiments(params.input.experiments)
    imagesets = experiments.imagesets()
    if len(imagesets) > 1:
        raise Sorry(
            f"{len(imagesets)} sweeps were given: give them one by one, each in a "
            "folder of its own (dials.split_experiments makes one file of each)"
        )
    if not imagesets or imagesets[0] is None:
        raise Sorry(
            "the experiments refer to no images: give the experiments that "
            "dials.import wrote"
        )
    return experiments, imagesets[0]


def explain(error: OSError, folder: str) -> str:
    """Say which file failed, what is wrong with it and what to do.

    Parameters
    ----------
    error : OSError
        The failure.
    folder : str
        Where the program was writing, for errors that name no file.
    """
    where = f"{error.filename or folder}: "
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f": {remedy}" if remedy else "")


@contextmanager
def in_one_sentence(folder: str = "the files given") -> Iterator[None]:
    """Turn what libraries raise about files and values into the sentence for the user.

    Parameters
    ----------
    folder : str
        Where the program is writing, for errors that name no file.

    Raises
    ------
    Sorry
        In the place of an OSError or a ValueError.
    """
    try:
        yield
    except OSError as error:
        raise Sorry(explain(error, folder)) from None
    except ValueError as error:
        raise Sorry(str(error)) from None


def plain_values(scope: Any) -> Any:
    """Turn extracted phil into what JSON can hold."""
    if hasattr(scope, "__dict__") and not isinstance(scope, type):
        return {
            key: plain_values(item)
            for key, item in vars(scope).items()
            if not key.startswith("_") and key != "input"
        }
    if isinstance(scope, (list, tuple)):
        return [plain_values(item) for item in scope]
    if scope is None or isinstance(scope, (bool, int, float, str)):
        return scope
    return str(scope)
