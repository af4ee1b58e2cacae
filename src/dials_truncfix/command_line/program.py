"""What every command does before and after its work."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from dials.util import Sorry, log
from dials.util.options import ArgumentParser, flatten_experiments
from dials.util.version import dials_version

from dials_truncfix import __version__, compat
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
