r"""
Calibrate camera and microscope from recorded images and reflections.

  What is to be known                             mode        from
  camera length, beam centre, ellipse             rings       rings of a standard
  ellipse, camera length by a known cell          spots       indexed reflections
  gain, pedestal, read noise                      gain        evenly lit images, a sweep
  dose rate, dose on the specimen                 dose        images, .mdoc files
  size of a pixel on the specimen                 pixel_size  cross grating, catalase, grid
  magnification and rotation between two images   pair        two images
  image shift or stage against pixels             pair        series of shifted images
  place, diameter, evenness of the beam           disc        images without a specimen
  distortion beyond an ellipse                    distortion  overlapping images
  all magnifications in one table                 table       what the modes above wrote

Every mode logs tables and writes them to dials.truncfix_calibrate.json, and pictures to
dials.truncfix_calibrate.html. An image is an MRC, TIFF or SMV file, or whatever dials.import
reads; "dials.truncfix_calibrate -c -a 1" explains all parameters.

Examples::

  # Rings of aluminium on the camera. Images are averaged; spots, texture and a beam stop do
  # no harm. The camera length of the files may be wrong by 20 %, or by rings.distance_range
  dials.truncfix_calibrate mode=rings aluminium_0001.img rings.standard=aluminium

  # The same, of a standard whose spacings (Å) are given, and the camera length up to 50 %
  # off
  dials.truncfix_calibrate mode=rings imported.expt \
      rings.d_spacings=2.355,2.039,1.442,1.230 rings.distance_range=0.5

  # It writes calibrated.expt and, where there is an ellipse, distortion maps, with which
  # the images of crystals are imported
  dials.import images/*.img reference_geometry=calibrated.expt \
      lookup.dx=dx.pickle lookup.dy=dy.pickle

  # Indexed reflections of many crystals of one substance: one ellipse for all, or for those
  # of each file. Index and refine them with detector.fix=distance detector.fix_list=Tau
  # before: a tilted detector hides a part of the ellipse. With the true cell (Å, degrees)
  # camera lengths are measured too. undistorted.refl holds the positions without
  # distortion, for dials.refine
  dials.truncfix_calibrate mode=spots */indexed.refl
  dials.truncfix_calibrate mode=spots near/refined.refl far/refined.refl \
      spots.group_by=file spots.unit_cell=79.1,79.1,37.9,90,90,90

  # Gain from two or more evenly lit images of each dose, with images without light where
  # there are some, or from a sweep. Images whose noise was cut off at zero are welcome.
  # gain.phil tells DIALS
  dials.truncfix_calibrate mode=gain flat_*.tif gain.dark=dark.mrc
  dials.truncfix_calibrate mode=gain imported.expt
  dials.import images/*.img gain.phil

  # Doses of diffraction patterns, by the lit area (µm) and the gain measured before; of
  # images of the specimen by a camera that counts; and of what SerialEM wrote down
  dials.truncfix_calibrate mode=dose images/*.img dose.beam_diameter=2.0 \
      dose.calibration=dials.truncfix_calibrate.json output.json=dose.json
  dials.truncfix_calibrate mode=dose frames.mrc dose.camera=K3 dose.exposure=0.5 \
      dose.counts_per_electron=32 dose.pixel_spacing=1.05
  dials.truncfix_calibrate mode=dose tilt_series.mrc.mdoc

  # An image of a cross grating of 2160 lines/mm, or of a grid of 200 mesh
  dials.truncfix_calibrate mode=pixel_size grating.mrc pixel_size.lines_per_mm=2160
  dials.truncfix_calibrate mode=pixel_size grid.tif pixel_size.specimen=grid_bars \
      pixel_size.mesh=200

  # Two images of one place, in focus and far from it; a series with the shifts that
  # SerialEM recorded in series.mrc.mdoc
  dials.truncfix_calibrate mode=pair near_focus.mrc defocused.mrc
  dials.truncfix_calibrate mode=pair series.mrc pair.measure=image_shift

  # The beam without a specimen, with the size of a pixel (nm) its diameter in µm; three or
  # more images of one specimen, shifted by a third of their size along both sides
  dials.truncfix_calibrate mode=disc beam.mrc disc.pixel_size=0.8
  dials.truncfix_calibrate mode=distortion shifted_*.mrc

  # The table magnifications.csv: show it, add a result, turn an axis by -90 degrees
  dials.truncfix_calibrate mode=table
  dials.truncfix_calibrate mode=table table.action=add table.magnification=5000 \
      dials.truncfix_calibrate.json
  dials.truncfix_calibrate mode=table table.action=turn table.magnification=5000 \
      table.quarter_turns=-1
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from dials.util import Sorry, show_mail_handle_errors
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.calibrate_disc import disc
from dials_truncfix.command_line.calibrate_distortion import distortion
from dials_truncfix.command_line.calibrate_dose import dose
from dials_truncfix.command_line.calibrate_files import check_inputs, check_outputs
from dials_truncfix.command_line.calibrate_gain import gain
from dials_truncfix.command_line.calibrate_pair import pair
from dials_truncfix.command_line.calibrate_phil import phil_scope
from dials_truncfix.command_line.calibrate_pixel_size import pixel_size
from dials_truncfix.command_line.calibrate_rings import rings
from dials_truncfix.command_line.calibrate_spots import spots
from dials_truncfix.command_line.calibrate_table import table
from dials_truncfix.command_line.program import in_one_sentence, keep_files, start

_MODES = {
    "rings": rings,
    "spots": spots,
    "pixel_size": pixel_size,
    "pair": pair,
    "disc": disc,
    "distortion": distortion,
    "table": table,
    "gain": gain,
    "dose": dose,
}


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_calibrate as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_calibrate mode=... [options] files",
        phil=phil,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options, files = parse_with_files(parser, given, phil)
    is_table = params.mode == "table"
    if not files and not (is_table and given):
        parser.print_help()
        sys.exit(0)
    out = params.output
    named = _named_files(params)
    check_inputs(files, named)
    outputs = [
        out.experiments,
        out.reflections,
        out.x_map,
        out.y_map,
        out.phil,
        out.gain,
        # the table has a file of its own, and may be given this one to read
        params.table.file if is_table else out.json,
        out.html,
        out.log,
    ]
    check_outputs(outputs)
    keep_files([*files, *sum(named.values(), [])], outputs)
    if (out.x_map is None) != (out.y_map is None):
        raise Sorry("output.x_map and output.y_map belong together: give both or none")
    start(parser, options, out.log)
    with in_one_sentence():
        _MODES[params.mode](params, files)


def _named_files(params: Any) -> dict[str, list[str]]:
    """List the files that the parameters of the mode name."""
    named = {
        "gain.dark": params.gain.dark if params.mode == "gain" else [],
        "dose.calibration": [params.dose.calibration] if params.mode == "dose" else [],
        "pair.mdoc": [params.pair.mdoc] if params.mode == "pair" else [],
        "pair.shifts": [params.pair.shifts] if params.mode == "pair" else [],
    }
    return {
        name: [str(path) for path in paths if path is not None]
        for name, paths in named.items()
    }


if __name__ == "__main__":
    run()
