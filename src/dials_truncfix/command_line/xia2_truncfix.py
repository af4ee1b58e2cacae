"""
Correct a truncated recording and process it with xia2.

The recording is imported by dials.import, judged and corrected by dials.truncfix, which
writes SMV images that xia2 reads, and processed by xia2 pipeline=dials. xia2 is also told
to use another background than it would, as its own is made for counting detectors.

Arguments that begin with geometry are for dials.import, those that begin with truncfix for
dials.truncfix, and all others for xia2. What dials.truncfix found is in
dials.truncfix.html, what xia2 found in xia2.html. Where there is no xia2, the program
corrects the images and ends with the xia2 command to run.

Examples::

  # the distance by calibration, as the recording does not know it
  xia2.truncfix image=movie_000.tvips geometry.detector.distance=2200

  # without the programs of CCP4
  xia2.truncfix image=movie_000.tvips truncfix.assign=local small_molecule=true

  # corrected images in a folder of their own; a resolution limit for xia2
  xia2.truncfix image=movie_000.tvips truncfix.output.directory=corrected d_min=0.9
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import libtbx.phil
from dials.util import Sorry, show_mail_handle_errors
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line import truncfix, truncfix_phil
from dials_truncfix.xia2_step import FEWEST_IMAGES, xia2_arguments

logger = logging.getLogger("dials.truncfix.xia2")

phil_scope = libtbx.phil.parse(
    """
image = None
  .type = path
  .multiple = True
  .help = "File of the recording, as for dials.import."

truncfix
  .help = "Parameters of dials.truncfix."
{
  include scope dials_truncfix.command_line.truncfix.phil_scope
}
""",
    process_includes=True,
)

_IMPORTED = "imported.expt"
#: Of the corrected images, if no other is given.
_DIRECTORY = "corrected"
_CCP4 = ("CCP4", "CCP4_SCR")


@dataclass(frozen=True)
class Arguments:
    """Arguments by the program that they are for."""

    images: list[str]
    geometry: list[str]
    truncfix: list[str]
    xia2: list[str]


def sort_arguments(args: Sequence[str]) -> Arguments:
    """Tell for which program each argument is.

    Raises
    ------
    Sorry
        About the first file that does not exist.
    """
    found = Arguments([], [], [], [])
    for argument in args:
        name, equals, value = argument.partition("=")
        scope = name.partition(".")[0]
        if not equals and argument.endswith(".phil"):
            found.xia2.append(argument)
        elif not equals or name == "image":
            found.images.append(value if equals else argument)
        elif scope == "geometry":
            found.geometry.append(argument)
        elif scope == "truncfix":
            found.truncfix.append(argument)
        else:
            found.xia2.append(argument)
    for path in (*found.images, *(a for a in found.xia2 if "=" not in a)):
        if not os.path.exists(path):
            raise Sorry(f"{path or 'a file without a name'}: there is no such file")
    return found


def correction_parameters(arguments: Sequence[str]) -> Any:
    """Extract the parameters of dials.truncfix, and refuse what xia2 could not use.

    Raises
    ------
    Sorry
        About the first parameter that is not known, or stands in the way.
    """
    interpreter = phil_scope.command_line_argument_interpreter()
    try:
        given = [interpreter.process(arg=argument) for argument in arguments]
        params = phil_scope.fetch(sources=given).extract().truncfix
    except (RuntimeError, ValueError) as error:
        raise Sorry(str(error)) from None
    reasons = {
        "mode": params.mode != "correct",
        "replicates": params.replicates != 1,
        "output.format": params.output.format not in ("smv", _default_format()),
        "output.experiments": params.output.experiments is None,
    }
    for name, wrong in reasons.items():
        if wrong:
            raise Sorry(
                f"truncfix.{name} has to stay as it is: xia2 needs one set of corrected "
                "SMV images"
            )
    return params


def _default_format() -> str:
    return str(truncfix_phil.phil_scope.extract().output.format)


def import_images(images: Sequence[str], geometry: Sequence[str]) -> None:
    """Run dials.import.

    Raises
    ------
    Sorry
        When it fails, or there are too few images for xia2.
    """
    command = [sys.executable, "-m", "dials.command_line.dials_import", *images]
    command += [*geometry, f"output.experiments={_IMPORTED}"]
    if subprocess.run(command).returncode:
        raise Sorry("dials.import failed: see above, and dials.import.log")
    experiments = ExperimentList.from_file(_IMPORTED, check_format=False)
    if len(experiments.imagesets()) > 1:
        raise Sorry(
            f"{len(experiments.imagesets())} sweeps were given: give them one by one, each "
            "in a folder of its own"
        )
    n_images = min(len(imageset) for imageset in experiments.imagesets())
    if n_images < FEWEST_IMAGES:
        raise Sorry(
            f"{images[0]} holds {n_images} images, and xia2 wants at least "
            f"{FEWEST_IMAGES}: process them with dials.truncfix and the commands of DIALS"
        )


def xia2_command(experiments: str, arguments: Sequence[str]) -> list[str]:
    """Make the command that processes corrected images.

    Parameters
    ----------
    experiments : str
        What dials.truncfix wrote.
    arguments : sequence of str
        Further arguments for xia2; they win.
    """
    imageset = ExperimentList.from_file(experiments, check_format=False).imagesets()[0]
    first, last = imageset.get_scan().get_image_range()
    names = {argument.partition("=")[0] for argument in arguments}
    ours = xia2_arguments(imageset.get_path(0), first, last)
    kept = [argument for argument in ours if argument.partition("=")[0] not in names]
    return ["xia2", *kept, *arguments]


def _check_xia2() -> bool:
    """Tell whether xia2 can be run.

    Raises
    ------
    Sorry
        When it is installed, but will not start.
    """
    if shutil.which("xia2") is None:
        return False
    for name in _CCP4:
        if not os.environ.get(name):
            raise Sorry(
                f"xia2 needs the environment variable {name}: set up CCP4; for "
                "small_molecule=true, which uses no program of CCP4, any folder will do "
                f"for {' and '.join(_CCP4)}"
            )
    return True


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None) -> None:
    """Run xia2.truncfix as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    """
    given = list(sys.argv[1:] if args is None else args)
    if not given or {"-h", "--help"} & set(given):
        sys.stdout.write(
            "usage: xia2.truncfix image=movie_000.tvips [geometry...] [truncfix...] "
            f"[arguments of xia2]\n{(__doc__ or '').replace('::', ':')}"
        )
        return
    arguments = sort_arguments(given)
    if not arguments.images:
        raise Sorry("no images were given: name the recording, image=movie_000.tvips")
    params = correction_parameters(arguments.truncfix)
    has_xia2 = _check_xia2()
    import_images(arguments.images, arguments.geometry)
    truncfix.run(
        [
            _IMPORTED,
            f"output.directory={_DIRECTORY}",
            *(argument.partition(".")[2] for argument in arguments.truncfix),
            "output.format=smv",
        ]
    )
    command = xia2_command(params.output.experiments, arguments.xia2)
    logger.info("\n%s", shlex.join(command))
    if not has_xia2:
        logger.info("There is no xia2 on the PATH: run this where there is one.")
        return
    sys.stdout.flush()
    if code := subprocess.run(command).returncode:
        raise Sorry(f"xia2 ended with exit code {code}: see xia2.txt")
    logger.info("The correction is described in %s", params.output.html)


if __name__ == "__main__":
    run()
