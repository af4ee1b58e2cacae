r"""
Pool the integrated intensities of replicates, independent draws of one sweep.

dials.truncfix replicates=5 replaces the zeros of a truncated sweep five times, by
different random draws. Process every replicate in the same way, up to
dials.integrate, and give the tables to this program. It writes one table with the
mean of each intensity, in which the noise of the draws is mostly averaged out, and with
its variance, made from those within and between the replicates. dials.scale,
dials.merge and dials.export read it like one that dials.integrate wrote.

The experiments are those of the same names beside the reflections, or those given.
They tell whether the replicates belong together: the same images, crystals that agree,
different draws. Reflections are matched by index, passage through the Ewald sphere and
rotation angle.

It writes combined.refl and combined.expt.

All parameters with their help: dials.truncfix_combine -c -e2 -a2

Examples::

  # tables of five replicates, each in a folder with its integrated.expt
  dials.truncfix_combine replicate_*/integrated.refl

  # experiments that lie elsewhere, in the same order
  dials.truncfix_combine integrated_1.refl integrated_2.refl integrated_3.refl \
      integrated_1.expt integrated_2.expt integrated_3.expt

  # the larger variances of Rubin's rule
  dials.truncfix_combine replicate_*/integrated.refl variance=rubin

  # and on
  dials.scale combined.expt combined.refl
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import libtbx.phil
from dials.util import Sorry, show_mail_handle_errors
from dials.util.options import ArgumentParser

from dials_truncfix.combine.files import CombineOptions, combine_files
from dials_truncfix.combine.models import Tolerances
from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.program import in_one_sentence, keep_files, start
from dials_truncfix.compare.files import EXPERIMENTS, REFLECTIONS

phil_scope = libtbx.phil.parse(
    """
variance = *reduced rubin
  .type = choice
  .help = "Variance of the mean over m replicates, from the mean of their variances"
          "(within) and the variance of their values (between). reduced: within -"
          "(1 - 1/m) between, for zeros drawn from distributions that were fitted to"
          "many pixels. rubin: within + (1 + 1/m) between, which takes what was lost"
          "for unknown (Rubin, 1987); it overestimates the variance of weak"
          "intensities where the distributions are known."

min_replicates = 2
  .type = int(value_min=2)
  .help = "Reflections that fewer replicates integrated are left out."
  .expert_level = 1

tolerance {
  rotation = 0.2
    .type = float(value_min=0)
    .help = "Largest angle between the crystals of two replicates, degrees."
  cell = 1
    .type = float(value_min=0)
    .help = "Largest difference between the axes of their cells, percent."
}

shells = 10
  .type = int(value_min=1, value_max=1000)
  .help = "Number of resolution shells in the log, even in 1/d^2."

output {
  reflections = combined.refl
    .type = path
    .help = "The pooled reflections. None: not written."
  experiments = combined.expt
    .type = path
    .help = "The experiments of the first replicate. None: not written."
  log = dials.truncfix_combine.log
    .type = path
    .help = "None: not written."
}
"""
)


def sort_files(files: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Tell reflections and experiments apart by their names.

    Raises
    ------
    Sorry
        About a file of another kind, one given twice, or a single table.
    """
    paths = [Path(file) for file in files]
    kinds: dict[str, list[Path]] = {REFLECTIONS: [], EXPERIMENTS: []}
    for path in paths:
        if path.suffix.lower() not in kinds:
            raise Sorry(f"{path}: expected reflections (.refl) or experiments (.expt)")
        mine = kinds[path.suffix.lower()]
        if path.resolve() in [known.resolve() for known in mine]:
            raise Sorry(f"{path} was given twice: give each replicate once")
        mine.append(path)
    return kinds[REFLECTIONS], kinds[EXPERIMENTS]


def combine_options(params: Any) -> CombineOptions:
    """Translate the phil parameters."""
    return CombineOptions(
        rule=params.variance,
        min_replicates=params.min_replicates,
        tolerances=Tolerances(params.tolerance.rotation, params.tolerance.cell),
        n_shells=params.shells,
        reflections=params.output.reflections,
        experiments=params.output.experiments,
    )


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_combine as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_combine [options] integrated_1.refl integrated_2.refl ...",
        phil=phil,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options, files = parse_with_files(parser, given, phil)
    if not files:
        parser.print_help()
        sys.exit(0)
    reflections, experiments = sort_files(files)
    beside = [path.with_suffix(EXPERIMENTS) for path in reflections]
    output = params.output
    keep_files(
        map(str, (*reflections, *experiments, *beside)),
        [output.reflections, output.experiments, output.log],
    )
    start(parser, options, output.log)
    with in_one_sentence():
        combine_files(reflections, experiments, combine_options(params))


if __name__ == "__main__":
    run()
