r"""
Normalize frames of K2 and K3 cameras that were saved without gain correction.

Counts are multiplied by the gain reference, bad pixels are filled from their neighbours,
and the frames are turned to the orientation of SerialEM's other images: the work of
"clip norm" of IMOD. The gain reference and the defects file are those that the title of
the frames names, beside them or one folder above, or those given. dials.import does the
same to raw frames as it reads them; this program is for those who want files.

All parameters with their help: dials.truncfix_normalize -c -e2 -a2

Examples::

  # with the files that the title names
  dials.truncfix_normalize frames.tif

  # with others, at the scale of a K3
  dials.truncfix_normalize frames.mrc gain_reference=CountRef.dm4 defects=defects.txt \
      scale=32 output.frames=normalized.tif

  # several files, electrons as floating point numbers
  dials.truncfix_normalize frames_*.tif type=float scale=1
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import libtbx.phil
from dials.util import Sorry, show_mail_handle_errors
from dials.util.options import ArgumentParser
from libtbx import Auto

from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.program import in_one_sentence, keep_files, start
from dials_truncfix.io.calibration import (
    Calibration,
    CalibrationFiles,
    find_companions,
    load_calibration,
)
from dials_truncfix.io.normalization import (
    Normalization,
    default_scale,
    normalize,
    normalized_title,
    raw_frames,
)
from dials_truncfix.io.serialem import FrameStack, open_frames, write_frames

logger = logging.getLogger("dials.truncfix.normalize")

phil_scope = libtbx.phil.parse(
    """
gain_reference = None
  .type = path
  .help = "Gain factors as the camera reads: MRC, TIFF or DigitalMicrograph. None: the file"
          "that the title of the frames names."

defects = None
  .type = path
  .help = "Defects file of SerialEM. None: the one that the title names, if it names one."

correct_defects = True
  .type = bool
  .help = "Fill bad pixels with the mean of their neighbours."

scale = Auto
  .type = float(value_min=1e-3, value_max=1e6)
  .help = "Counts of an electron in the result. Auto: 32 for frames of the size of a K3,"
          "else 16."

type = byte *integer float
  .type = choice
  .help = "Type of the result: unsigned bytes, signed 16-bit integers, or floating point,"
          "which is not rounded."

limits {
  low = None
    .type = float
    .help = "Normalized pixels below this, in electrons, are set to it."
  high = None
    .type = float
    .help = "Normalized pixels above this, in electrons, are set to it."
}

output {
  frames = normalized.mrc
    .type = path
    .help = "A TIFF file if it is named .tif or .tiff, else MRC."
  compression = lzw *zip none
    .type = choice
    .help = "Of a TIFF file. lzw needs the Python package imagecodecs for other than bytes."
  log = dials.truncfix_normalize.log
    .type = path
    .help = "None: not written."
}
"""
)


def calibration_files(stack: FrameStack, params: Any) -> CalibrationFiles:
    """Find gain reference and defects, given or named.

    Raises
    ------
    ValueError
        If there is no gain reference, or a file that the title names is missing.
    """
    reference, defects = params.gain_reference, params.defects
    named = find_companions(
        stack,
        gain_reference=reference is None,
        defects=defects is None and params.correct_defects,
    )
    if reference is None and named.gain_reference is None:
        raise ValueError(
            f"{stack.path} names no gain reference, so that its frames may be normalized "
            "already: if they are raw, give gain_reference="
        )
    return CalibrationFiles(
        named.gain_reference if reference is None else Path(reference),
        Path(defects) if defects and params.correct_defects else named.defects,
    )


def normalization(stack: FrameStack, params: Any) -> Normalization:
    """Translate the parameters."""
    limits = params.limits
    return Normalization(
        scale=default_scale(stack.shape) if params.scale is Auto else params.scale,
        dtype=params.type,
        low=-math.inf if limits.low is None else limits.low,
        high=math.inf if limits.high is None else limits.high,
    )


def normalize_files(files: Sequence[str], params: Any) -> None:
    """Normalize frames and say what was done.

    Raises
    ------
    ValueError
        When the files do not belong together, or cannot be read.
    OSError
        When a file cannot be read or written.
    """
    stacks = [open_frames(path) for path in files]
    first = stacks[0]
    companions = calibration_files(first, params)
    calibration = load_calibration(
        companions,
        first.title.rotation_flip,
        first.title.needed_rotation_flip,
        first.stored_shape,
    )
    how = normalization(first, params)
    n_limited = 0

    def normalized() -> Iterator[Any]:
        nonlocal n_limited
        for raw in raw_frames(stacks):
            frame, limited = normalize(raw, calibration, how)
            n_limited += limited
            yield frame

    output = params.output
    n_frames = write_frames(
        output.frames,
        normalized(),
        normalized_title(first.title, how),
        compression=output.compression,
        pixel_spacing=first.pixel_spacing,
    )
    _log_done(companions, calibration, n_limited, n_frames * math.prod(first.shape))
    logger.info(
        "Saving %d frames, %g counts an electron, to %s",
        n_frames,
        how.scale,
        output.frames,
    )


def _log_done(
    companions: CalibrationFiles, calibration: Calibration, n_limited: int, n: int
) -> None:
    logger.info("Gain reference: %s", companions.gain_reference)
    if calibration.correction is not None:
        n_bad = calibration.correction.n_bad
        logger.info("Defects: %s, %d pixels", companions.defects, n_bad)
    if n_limited:
        logger.info(
            "%d pixels (%.2g %%) were cut off by the limits or the type",
            n_limited,
            100 * n_limited / n,
        )


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_normalize as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_normalize [options] frames.tif",
        phil=phil,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options, files = parse_with_files(parser, given, phil)
    if not files:
        parser.print_help()
        sys.exit(0)
    output = params.output
    if output.frames is None:
        raise Sorry("output.frames is what this program is for: name a file")
    also_read = filter(None, (params.gain_reference, params.defects))
    keep_files([*files, *also_read], [output.frames, output.log])
    start(parser, options, output.log)
    with in_one_sentence():
        normalize_files(files, params)


if __name__ == "__main__":
    run()
