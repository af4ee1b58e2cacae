r"""
Compare integrated intensities before and after the correction of truncated images.

Give the reflections that dials.integrate (or dials.scale) made of the images as
recorded, then those of the corrected images. The experiments are taken from the .expt
file of the same name beside each, or from those named. Reflections are matched by
index and rotation angle, and compared in shells of resolution: how intensities
changed, how many are negative, mean I/sigma, and after merging completeness,
multiplicity and CC1/2 (figures 4 and 5 of Hattne et al. (2016) J. Appl. Cryst. 49,
1029).

CC1/2 and I/sigma do not tell which of the two is right: truncation makes both look
better. With the truth.npz of dials.truncfix_simulate, or the structure (an MTZ file with
intensities or amplitudes, or coordinates in a PDB or mmCIF file), both are compared
with the true intensities.

Intensities are in ADU, whatever the gain that DIALS divided them by. Tables go to the
log; all figures to dials.truncfix_compare.json and, with plots, to
dials.truncfix_compare.html.

All parameters with their help: dials.truncfix_compare -c -e2 -a2

Examples::

  # before first, after second; integrated.expt lies beside each
  dials.truncfix_compare recorded/integrated.refl corrected/integrated.refl

  # a simulated sweep against its truth
  dials.truncfix_compare recorded/integrated.refl corrected/integrated.refl \
      simulated/truth.npz

  # profile-fitted intensities against those of a structure
  dials.truncfix_compare a.refl b.refl a.expt b.expt model.mtz intensity=profile

  # scaled intensities
  dials.truncfix_compare recorded/scaled.refl corrected/scaled.refl intensity=scale
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import libtbx.phil
from dials.util import Sorry, show_mail_handle_errors, tabulate
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.program import in_one_sentence, keep_files, start
from dials_truncfix.compare.comparison import CompareOptions, Side, compare
from dials_truncfix.compare.files import (
    EXPERIMENTS,
    REFLECTIONS,
    load_integrated,
)
from dials_truncfix.compare.pairs import resolution
from dials_truncfix.compare.record import as_json, comparison_record
from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.sides import make_side
from dials_truncfix.compare.tables import comparison_tables
from dials_truncfix.compare.words import findings, warnings
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.report.comparison import comparison_page
from dials_truncfix.report.plotly_js import missing_packages
from dials_truncfix.simulate.structure_factors import (
    COORDINATE_SUFFIXES,
    REFLECTION_SUFFIXES,
    read_intensities,
)
from dials_truncfix.simulate.truth import load_truth

logger = logging.getLogger("dials.truncfix.compare")

phil_scope = libtbx.phil.parse(
    """
intensity = *sum profile scale
  .type = choice
  .help = "sum: by summation. profile: by profile fitting. scale: as dials.scale"
          "scaled them; the scale of the second table is brought to that of the"
          "first by one factor."

shells = 12
  .type = int(value_min=1, value_max=1000)
  .help = "Number of resolution shells, even in 1/d^2."

d_max = None
  .type = float(value_min=0)
  .help = "Low resolution limit, Å; that of the reflections if not given."

d_min = None
  .type = float(value_min=0)
  .help = "High resolution limit, Å; that of the reflections if not given."

min_partiality = 0.99
  .type = float(value_min=0, value_max=1)
  .help = "Reflections of which a smaller part was recorded are left out."
  .expert_level = 1

merging {
  space_group = Auto
    .type = str
    .help = "Space group in which to merge. Auto: that of the crystals."
  half_sets = 20
    .type = int(value_min=1, value_max=1000)
    .help = "CC1/2 is the mean over this many random divisions into half sets."
    .expert_level = 1
  seed = 0
    .type = int(value_min=0)
    .help = "Seed of the divisions."
    .expert_level = 1
}

truth {
  label = None
    .type = str
    .help = "Column of the MTZ file; the first with intensities or amplitudes if not"
            "given."
  intensity_limits = Auto
    .type = floats(size_min=2)
    .help = "Rising limits of the bins of true intensity: e⁻ for a simulation, ADU"
            "with the Lorentz factor taken out for a structure. Auto: 50, 200, 1000,"
            "5000 e⁻, or fifths of the reflections."
    .expert_level = 1
}

output {
  json = dials.truncfix_compare.json
    .type = path
    .help = "All figures. None: not written."
  html = dials.truncfix_compare.html
    .type = path
    .help = "A page with plots, which works offline. None: not written."
  log = dials.truncfix_compare.log
    .type = path
    .help = "None: not written."
}
"""
)

_SIMULATED = ".npz"
_TRUTH = (_SIMULATED, *REFLECTION_SUFFIXES, *COORDINATE_SUFFIXES)


@dataclass(frozen=True)
class Inputs:
    """Files of one comparison."""

    reflections: list[Path]
    experiments: list[Path]
    truth: Path | None

    @property
    def files(self) -> list[str]:
        """All of them, the experiments that were not named too."""
        beside = [p.with_suffix(EXPERIMENTS) for p in self.reflections]
        truth = [] if self.truth is None else [self.truth]
        return [str(p) for p in (*self.reflections, *self.experiments, *beside, *truth)]


def sort_files(files: Sequence[str]) -> Inputs:
    """Tell the files apart by their names.

    Raises
    ------
    Sorry
        When there are too many or too few of a kind.
    """
    paths = [Path(file) for file in files]
    kinds = {
        suffix: [p for p in paths if p.suffix.lower() == suffix]
        for suffix in (REFLECTIONS, EXPERIMENTS, *_TRUTH)
    }
    known = [path for group in kinds.values() for path in group]
    for path in paths:
        if path not in known:
            raise Sorry(
                f"{path}: expected reflections (.refl), experiments (.expt) or the "
                f"truth ({', '.join(_TRUTH)})"
            )
    reflections = kinds[REFLECTIONS]
    if len(reflections) != 2:
        raise Sorry(
            f"{len(reflections)} reflection files were given, and two are compared: "
            "before.refl after.refl"
        )
    if reflections[0].resolve() == reflections[1].resolve():
        raise Sorry(f"{reflections[0]} is given both as before and as after")
    truth = [path for suffix in _TRUTH for path in kinds[suffix]]
    if len(truth) > 1:
        raise Sorry(f"{truth[0]} and {truth[1]}: give one truth")
    return Inputs(reflections, kinds[EXPERIMENTS], truth[0] if truth else None)


def compare_options(params: Any) -> CompareOptions:
    """Translate the phil parameters of the comparison.

    Raises
    ------
    Sorry
        When limits do not rise.
    """
    limits = params.truth.intensity_limits
    if limits is libtbx.Auto:
        limits = None
    elif any(high <= low for low, high in zip(limits, limits[1:])):
        raise Sorry(f"truth.intensity_limits={limits} must rise")
    return CompareOptions(
        n_shells=params.shells,
        d_max=params.d_max,
        d_min=params.d_min,
        n_divisions=params.merging.half_sets,
        seed=params.merging.seed,
        intensity_limits=None if limits is None else tuple(limits),
    )


def _truth(path: Path | None, label: str | None, sides: Sequence[Side]) -> Any:
    """Read the truth, as far as the reflections reach."""
    if path is None:
        return None
    if path.suffix.lower() == _SIMULATED:
        return load_truth(path)
    d_min = min(resolution(s.observations, s.axes).min() for s in sides)
    return read_intensities(path, float(d_min), label)


def _open(files: ExitStack, path: str | None) -> BinaryIO | None:
    return None if path is None else files.enter_context(atomic_write(path))


def compare_files(params: Any, inputs: Inputs) -> Compared:
    """Read the files and compare.

    Raises
    ------
    ValueError
        When the files cannot be compared.
    OSError
        When a file cannot be read.
    """
    options = compare_options(params)
    group = params.merging.space_group
    before, after = load_integrated(inputs.reflections, inputs.experiments)
    sides = [
        make_side(
            integrated,
            params.intensity,
            params.min_partiality,
            None if group is libtbx.Auto else group,
        )
        for integrated in (before, after)
    ]
    truth = _truth(inputs.truth, params.truth.label, sides)
    comparison = compare(sides[0], sides[1], options, truth)
    return Compared(before, after, inputs.truth, params.intensity, options, comparison)


def log_comparison(compared: Compared) -> None:
    """Log tables, findings and warnings."""
    for role, path in compared.files:
        logger.info("%s: %s", role.capitalize(), path)
    for table in comparison_tables(compared):
        text = tabulate(
            table.rows,
            table.header,
            disable_numparse=True,
            colalign=["left", *["right"] * (len(table.header) - 1)],
        )
        logger.info("\n%s\n%s", table.title, text)
    logger.info("\n%s", "\n".join(findings(compared)))
    for sentence in warnings(compared):
        logger.warning("%s", sentence)


def write_comparison(params: Any, inputs: Inputs) -> None:
    """Compare, and write record and page, both or none.

    Raises
    ------
    ValueError
        When the files cannot be compared.
    OSError
        When a file cannot be read or written.
    """
    json_path, html_path = params.output.json, params.output.html
    missing = missing_packages() if html_path is not None else ""
    with ExitStack() as outputs:
        # opened first: a folder that cannot be written is found out before the work
        json = _open(outputs, json_path)
        html = None if missing else _open(outputs, html_path)
        compared = compare_files(params, inputs)
        log_comparison(compared)
        if json is not None:
            json.write(as_json(comparison_record(compared)))
        if html is not None:
            html.write(comparison_page(compared).encode())
    if json is not None:
        logger.info("Saving the figures to %s", json_path)
    if html is not None:
        logger.info("Saving the page to %s", html_path)
    if missing:
        logger.warning("No page is written: %s", missing)


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_compare as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_compare [options] before.refl after.refl [truth]",
        phil=phil,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options, files = parse_with_files(parser, given, phil)
    if not files:
        parser.print_help()
        sys.exit(0)
    inputs = sort_files(files)
    keep_files(
        inputs.files, [params.output.json, params.output.html, params.output.log]
    )
    start(parser, options, params.output.log)
    with in_one_sentence():
        write_comparison(params, inputs)


if __name__ == "__main__":
    run()
