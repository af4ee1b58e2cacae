"""Parameters of dials.truncfix_simulate."""

from __future__ import annotations

import libtbx.phil

phil_scope = libtbx.phil.parse(
    """
source = *crystal images stills
  .type = choice
  .help = "crystal: a simulated crystal that turns. images: the counts of given images."
          "stills: many crystals that do not turn, for dials.truncfix_postrefine."

seed = 0
  .type = int(value_min=0)
  .help = "Seed of all draws. The same seed gives the same images."

crystal {
  unit_cell = Auto
    .type = floats(size=6)
    .help = "Cell, Å and degrees. Auto: of the structure factor file, else that of"
            "proteinase K, 67.3, 67.3, 101, 90, 90, 90."
  space_group = Auto
    .type = str
    .help = "Auto: of the structure factor file, else P 43 21 2."
  orientation = Auto
    .type = floats(size=9)
    .help = "Rotation matrix U at rotation angle 0, row by row. Auto: drawn at random."
  mosaicity = 0.04
    .type = float(value_min=0)
    .help = "Standard deviation of the rocking curve of a reflection that passes the"
            "Ewald sphere at right angles to the rotation axis, degrees."
}

structure_factors {
  file = None
    .type = path
    .help = "MTZ file with amplitudes or intensities, or coordinates (PDB, mmCIF; atoms"
            "only, no bulk solvent). None: random intensities by Wilson statistics."
  label = None
    .type = str
    .help = "Column of the MTZ file. None: the first that will do."
  wilson_b = 16
    .type = float(value_min=-500, value_max=500)
    .help = "Temperature factor of the random intensities, Å²."
  extra_b = 0
    .type = float(value_min=-500, value_max=500)
    .help = "Further temperature factor for intensities from a file, Å²."
    .expert_level = 1
}

d_min = Auto
  .type = float(value_min=0)
  .help = "Resolution limit, Å. Auto: that of the corners of the camera, and 2 Å for"
          "stills."

dose {
  mean_intensity = 150
    .type = float(value_min=0)
    .help = "Mean intensity of all reflections within the sweep and the resolution"
            "limit, electrons."
}

spot {
  core_sigma = 0.6
    .type = float(value_min=0, value_max=20)
    .help = "Standard deviation of the spots, recorded pixels."
  tail_sigma = 1.0
    .type = float(value_min=0, value_max=20)
    .help = "Standard deviation of their tails, recorded pixels."
  tail_fraction = 0.2
    .type = float(value_min=0, value_max=1)
    .help = "Part of the intensity in the tails."
}

background {
  inner = 20
    .type = float(value_min=0)
    .help = "Height of the steep exponential around the beam, electrons per recorded"
            "pixel and image."
  inner_decay = 0.03
    .type = float(value_min=0)
    .help = "Its decay in 1/d, 1/Å."
  outer = 3
    .type = float(value_min=0)
    .help = "Height of the flat exponential, electrons per recorded pixel and image."
  outer_decay = 0.16
    .type = float(value_min=0)
    .help = "Its decay in 1/d, 1/Å."
  ring = 0.5
    .type = float(value_min=0)
    .help = "Height of the water ring, electrons per recorded pixel and image."
  ring_d = 3.4
    .type = float(value_min=0)
    .help = "Resolution of the water ring, Å."
  ring_width = 0.035
    .type = float(value_min=0)
    .help = "Standard deviation of the water ring in 1/d, 1/Å."
  uniform = 0
    .type = float(value_min=0)
    .help = "Constant background, electrons per recorded pixel and image."
}

beam {
  high_tension = 200
    .type = float(value_min=1, value_max=3000)
    .help = "Acceleration voltage, kV."
}

geometry {
  distance = Auto
    .type = float(value_min=0)
    .help = "Virtual distance between crystal and camera, mm. Auto: 2200 for an F416,"
            "and what lets others see as far."
  beam_centre = None
    .type = floats(size=2)
    .help = "Where the beam meets the camera, recorded pixels (fast, slow). None: the"
            "middle."
  rotation_axis = 1 0 0
    .type = floats(size=3)
    .help = "Rotation axis in the frame of dxtbx: the beam travels along -z, x is the"
            "fast axis of the camera and -y the slow one. The crystal turns"
            "right-handed about it."
  image_size = None
    .type = ints(size=2, value_min=16)
    .help = "Recorded pixels (fast, slow), if the camera is to be cut to a part around"
            "the beam. None: the whole camera at its binning."
    .expert_level = 1
}

scan {
  start = 0
    .type = float
    .help = "Rotation angle at the start of the first image, degrees."
  width = 0.2
    .type = float(value_min=0)
    .help = "Rotation in an image, degrees."
  n_images = 40
    .type = int(value_min=1)
    .help = "Number of images."
  exposure = 4
    .type = float(value_min=0)
    .help = "Time for an image, s. It enters the time stamps, and for a K2 or K3 the"
            "losses of counts and, in linear mode, the noise. A K2 does multiples of"
            "2.5 ms, a K3 of 1/1500 s; what they cannot do is refused."
}

beam_stop {
  radius = Auto
    .type = float(value_min=0)
    .help = "Radius of the shadow of the beam stop on the camera, mm; 0 for none. Auto:"
            "1.4 on an F416, and in proportion on others."
  arm_width = Auto
    .type = float(value_min=0)
    .help = "Width of the shadow of its arm, mm; 0 for none. Auto: 0.7 on an F416, and in"
            "proportion on others."
}

include scope dials_truncfix.command_line.simulate_camera_phil.phil_scope

images
  .help = "For source=images. The images are masked where any of them is."
{
  multiply = 1
    .type = int(value_min=1)
    .help = "Factor of all counts."
  keep = 1
    .type = float(value_min=0, value_max=1)
    .help = "Probability that a count is kept, to make data weaker."
  uniform = 0.2
    .type = float(value_min=0)
    .help = "Constant background to add, electrons per pixel and image. Counting"
            "detectors have little background, and truncation matters where there is"
            "some."
  radial = 2
    .type = float(value_min=0)
    .help = "Height of an exponential background to add, electrons per pixel and image."
  radial_decay = 0.3
    .type = float(value_min=0)
    .help = "Its decay in 1/d, 1/Å."
}

stills
  .help = "For source=stills: crystal, structure_factors, d_min and the first group of"
          "output count too, and for images what describes beam and camera."
{
  output = *reflections images
    .type = choice
    .help = "reflections: as integration would leave them, without images. images: one"
            "crystal to an image, through the camera."
  n_lattices = 400
    .type = int(value_min=1)
    .help = "Number of crystals."
  batch = None
    .type = int(value_min=1)
    .help = "Write so many crystals to each of numbered pairs of files, as"
            "dials.ssx_integrate does; only those of one pair are in memory at a time."
            "None: all in one pair."
  wavelength = Auto
    .type = float(value_min=1e-4)
    .help = "Å; 0.0251 for electrons of 200 kV. Auto: 1.3 for reflections, and what"
            "beam.high_tension says for images."
  model = sphere lorentzian *gaussian
    .type = choice
    .help = "Radial profile of the reciprocal lattice points."
  rs = 0.001
    .type = float(value_min=1e-7)
    .help = "Median radius of the points, 1/Å."
  rs_spread = 0.1
    .type = float(value_min=0)
    .help = "Standard deviation of the logarithm of the radius."
  mosaicity = 0
    .type = float(value_min=0, value_max=5)
    .help = "Standard deviation of the orientations of mosaic blocks, degrees. It widens"
            "points in proportion to their distance from the origin."
  orientation_error = 0.05
    .type = float(value_min=0, value_max=5)
    .help = "Standard deviation of the errors of the orientations reported, about either"
            "axis at right angles to the beam, degrees."
  cell_error = 0
    .type = float(value_min=0, value_max=0.1)
    .help = "Relative standard deviation of the size of the cells reported."
  axis_error = 0
    .type = float(value_min=0, value_max=0.1)
    .help = "Relative standard deviation of each axis of the cells reported that the space"
            "group leaves free (and of angles that it leaves free, in radians)."
  g_spread = 0.3
    .type = float(value_min=0)
    .help = "Standard deviation of the logarithm of the scales of the crystals."
  b_spread = 3
    .type = float(value_min=0)
    .help = "Standard deviation of the temperature factors of the crystals, Å²."
  mean_intensity = 1000
    .type = float(value_min=0)
    .help = "Mean intensity of full reflections of a crystal of scale 1, counts."
  background = 50
    .type = float(value_min=0)
    .help = "Background under a reflection, counts."
  reach = 1.5
    .type = float(value_min=0.01)
    .help = "Reflections are integrated where the orientation reported brings them nearer"
            "to the Ewald sphere than so many radii."
}

include scope dials_truncfix.command_line.mp_phil.phil_scope

output {
  directory = simulated
    .type = path
    .help = "Folder for all files, made if it does not exist."
  prefix = simulated
    .type = str
    .help = "Start of the names of the images."
  format = *auto tvips smv mrc tiff
    .type = choice
    .help = "Format of the images: tvips or smv, and mrc or tiff for frames of a K2 or K3."
            "auto: tvips or mrc."
  packing = *none mode101 squeezed
    .type = choice
    .help = "Store raw counts of a K2 or K3 in four bits, which end at 15: in mode 101 of"
            "MRC, or in bytes of images of half the width."
  compression = none zip *lzw
    .type = choice
    .help = "Of TIFF files."
    .expert_level = 1
  frames_per_part = None
    .type = int(value_min=1)
    .help = "Frames in a part of a .tvips series. None: all in one file."
  unclipped = Auto
    .type = bool
    .help = "Also write the images before truncation, as CBF, with gain and pedestal of"
            "the camera in their headers. Auto: with source=images. There are none of a"
            "camera that counts, or of fractionated images."
  log = dials.truncfix_simulate.log
    .type = path
    .help = "None: not written."
}
""",
    process_includes=True,
)
