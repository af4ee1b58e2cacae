r"""
Calibrate camera and microscope from recorded images and reflections.

mode=rings measures camera length, beam centre and ellipticity, with standard
uncertainties, from the rings of a polycrystalline standard. The images of the recording
are averaged; spots, texture and a beam stop do no harm. It writes experiments with what
was found, and distortion maps: give them to dials.import for the images of crystals::

  dials.import images/*.img reference_geometry=calibrated.expt \
      lookup.dx=dx.pickle lookup.dy=dy.pickle

mode=spots measures the anisotropic magnification of a camera, one matrix for each exposure
group, from the indexed reflections of many crystals of one substance, together with their
cell and orientations: a rotating lattice and its symmetry tell the distortion of the
image from that of the cell. Index and refine with detector.fix=distance detector.fix_list=Tau
before: a tilted detector hides a part of the distortion. It writes the experiments with what was found, distortion
maps, and the reflections at positions without distortion for dials.refine.

mode=pixel_size measures the size of a pixel on the specimen along two axes, and their
angle, from an image of a cross grating, a catalase crystal or grid bars.

mode=pair compares images of one specimen: magnification and rotation of one against the
other, as between two magnifications or at high defocus; or, by pair.measure=image_shift or
pair.measure=stage, the displacement of a series of images by shifts that SerialEM recorded
in its .mdoc file, or that are given.

mode=disc measures centre, diameter and uniformity of the beam in images without a specimen,
also where a part of it is outside of the image.

mode=distortion measures how the image is distorted, beyond what is linear, from images of one
specimen that overlap, and writes distortion maps.

mode=table keeps pixel sizes and rotations of all magnifications in one file, adds what the
other modes measured, and links neighbouring magnifications to chains.

mode=gain measures gain, pedestal, read noise and, where possible, the ADU of an electron, by
the photon transfer of evenly lit images or of a sweep and by a model of the camera, side by
side. Images whose noise was cut off at zero can be used too. It writes what DIALS has to be
told::

  dials.import images/*.img gain.phil

mode=dose gives rates of electrons and doses on the specimen, of images and of what metadata
of SerialEM state, and undoes the losses of cameras that count.

Examples::

  dials.truncfix_calibrate mode=rings aluminium.img rings.standard=aluminium

  dials.truncfix_calibrate imported.expt rings.d_spacings=2.355,2.039,1.442,1.230

  dials.truncfix_calibrate imported.expt rings.standard=gold rings.distance_range=0.5

  dials.truncfix_calibrate mode=spots */indexed.refl

  dials.truncfix_calibrate mode=spots near/refined.refl far/refined.refl \
      spots.group_by=file spots.unit_cell=79.1,79.1,37.9,90,90,90

  dials.truncfix_calibrate mode=pixel_size grating.mrc pixel_size.lines_per_mm=2160

  dials.truncfix_calibrate mode=pair near_focus.mrc defocused.mrc

  dials.truncfix_calibrate mode=pair series.mrc pair.measure=image_shift

  dials.truncfix_calibrate mode=disc beam.mrc

  dials.truncfix_calibrate mode=distortion shifted_*.mrc

  dials.truncfix_calibrate mode=table table.action=add table.magnification=5000 \
      dials.truncfix_calibrate.json

  dials.truncfix_calibrate mode=table table.action=turn table.magnification=5000 \
      table.quarter_turns=-1

  dials.truncfix_calibrate mode=table

  dials.truncfix_calibrate mode=gain flat_*.tif gain.dark=dark.mrc

  dials.truncfix_calibrate mode=gain imported.expt

  dials.truncfix_calibrate mode=dose images/*.img dose.beam_diameter=2.0 \
      dose.calibration=gain.json

  dials.truncfix_calibrate mode=dose frames.mrc dose.camera=K3 dose.exposure=0.5 \
      dose.counts_per_electron=32 dose.pixel_spacing=1.05

  dials.truncfix_calibrate mode=dose tilt_series.mrc.mdoc
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
    read = [*files, *params.gain.dark, params.dose.calibration]
    keep_files(
        [file for file in read if file is not None],
        [
            out.experiments,
            out.reflections,
            out.x_map,
            out.y_map,
            out.phil,
            out.gain,
            # the table has a file of its own, and may be given this one to read
            None if is_table else out.json,
            out.html,
            out.log,
        ],
    )
    if (out.x_map is None) != (out.y_map is None):
        raise Sorry("output.x_map and output.y_map belong together: give both or none")
    start(parser, options, out.log)
    with in_one_sentence():
        _MODES[params.mode](params, files)


if __name__ == "__main__":
    run()
