"""Parameters of dials.truncfix_calibrate."""

from __future__ import annotations

import libtbx.phil

phil_scope = libtbx.phil.parse(
    """
mode = *rings spots pixel_size pair disc distortion table gain dose
  .type = choice
  .help = "rings: camera length, beam centre and ellipticity from the rings of a"
          "polycrystalline standard. spots: anisotropic magnification from the indexed"
          "reflections of one or many crystals. pixel_size: size of a pixel on the"
          "specimen, from an image of a grating, of catalase or of grid bars. pair:"
          "magnification and rotation between two images of one specimen, or the"
          "displacement of a series of images by image shift or stage. disc: place, size and"
          "uniformity of the beam. distortion: field of distortion from overlapping images."
          "table: pixel sizes and rotations of all magnifications,"
          "listed and changed. gain: gain, pedestal and read noise from evenly lit images"
          "or a sweep. dose: rates and doses of electrons from images or metadata of"
          "SerialEM."

rings
  .help = "For mode=rings. Give images of one recording, or experiments that refer to"
          "them; they are averaged."
{
  standard = None
    .type = str
    .help = "What was recorded: aluminium, gold, graphite or silicon, or, where pyFAI is"
            "installed, one of its calibrants."
  d_spacings = None
    .type = floats(size_min=2, value_min=1e-3)
    .help = "Spacings of the rings instead of the name of a standard, Å."
  d_min = 0.5
    .type = float(value_min=1e-3)
    .help = "Rings of smaller spacings are left out, Å."
  d_max = None
    .type = float(value_min=1e-3)
    .help = "Rings of larger spacings are left out, Å."
  images = None
    .type = ints(size=2, value_min=1)
    .help = "First and last image to average, counted from 1. None: all."
  distance_range = 0.2
    .type = float(value_min=0.001, value_max=2)
    .help = "How far the camera length of the experiments may be wrong, as a fraction."
  largest_ellipticity = 0.06
    .type = float(value_min=0.001, value_max=0.3)
    .help = "Largest ellipticity in the search for a start."
    .expert_level = 1
  search_centre = True
    .type = bool
    .help = "Look for the centre of symmetry of the image. Otherwise the beam centre of"
            "the experiments must be right within about the width of a ring."
    .expert_level = 1
}

spots
  .help = "For mode=spots. Give indexed, refined or integrated reflections of crystals of"
          "one substance, with their experiments."
{
  group_by = *all file experiment
    .type = choice
    .help = "Which crystals share a distortion: all, those of one file, or none."
  unit_cell = None
    .type = floats(size=6, value_min=0)
    .help = "True cell of the crystals, Å and degrees, where it is known: then the camera"
            "lengths are measured too. None: the cell is refined, and the camera length"
            "of the first group kept."
}

pixel_size
  .help = "For mode=pixel_size. Give one image: MRC, TIFF or what dials.import reads."
{
  specimen = *cross_grating catalase grid_bars
    .type = choice
    .help = "What was imaged: a replica of crossed lines; a catalase crystal, whose repeats"
            "are 6.85 nm and twice 8.75 nm; or the bars of a grid."
  lines_per_mm = 2160
    .type = float(value_min=1e-3)
    .help = "Lines of the cross grating, 1/mm."
  mesh = 400
    .type = float(value_min=1)
    .help = "Openings of the grid per inch."
  repeats = None
    .type = floats(size=2, value_min=1e-6)
    .help = "Repeats along two axes at right angles, instead of the specimen's, nm."
  start_peak = None
    .type = floats(size=2)
    .help = "About where the peak of the first axis is in the autocorrelation, from its"
            "middle along fast and slow, pixels. None: the nearest of the high peaks."
  image = 1
    .type = int(value_min=1)
    .help = "Which image of the file, from 1."
}

pair
  .help = "For mode=pair. Give images of one size that show the same piece of the"
          "specimen: MRC, TIFF or what dials.import reads."
{
  measure = *magnification image_shift stage
    .type = choice
    .help = "magnification: of the second of two images against the first, and rotation."
            "image_shift, stage: displacement of the image by a recorded shift, from three"
            "images or more. Instead of images the .mdoc file of an aligned montage will"
            "do."
  mdoc = None
    .type = path
    .help = "SerialEM's file with the shifts of the series. None: the one beside the"
            "first image."
  shifts = None
    .type = path
    .help = "Instead, a table of the shifts with columns x and y in µm, and minutes where"
            "times are known; one row for each image."
  shift = None
    .type = floats(size_min=2)
    .help = "Instead, x and y of the shift of each image in turn, µm."
  compare_with = *first previous
    .type = choice
    .help = "Whether images of a series overlap with the first, or with the one before."
  pixel_size = None
    .type = float(value_min=1e-6)
    .help = "On the specimen, nm, instead of that of the .mdoc file: then displacements"
            "are compared with the shifts."
  largest_shift = 0.85
    .type = float(value_min=0.01, value_max=0.85)
    .help = "Largest shift between two images, as a part of their sides. Where a specimen"
            "repeats itself, less than a repeat."
  magnification = 1
    .type = float(value_min=0.05, value_max=20)
    .help = "About the magnification of the second image over that of the first."
  magnification_range = 0.25
    .type = float(value_min=0, value_max=1)
    .help = "By which part this may be wrong."
  rotation = 0
    .type = float(value_min=-360, value_max=360)
    .help = "About the rotation of the second image from fast towards slow, degrees."
  rotation_range = 15
    .type = float(value_min=0, value_max=180)
    .help = "By how much this may be wrong, degrees."
}

disc
  .help = "For mode=disc. Give images of the beam without a specimen: MRC, TIFF or what"
          "dials.import reads."
{
  pixel_size = None
    .type = float(value_min=1e-6)
    .help = "On the specimen, nm: then the diameter is given in µm, too."
}

distortion
  .help = "For mode=distortion. Give three or more images of one specimen with details all"
          "over, shifted by a third to a half of the image along both sides, such as pairs"
          "of SerialEM: MRC, TIFF or what dials.import reads."
{
  model = lens quadratic *cubic quartic
    .type = choice
    .help = "lens: radial and spiral distortion of third order about the middle of the image."
            "The others: all terms from the second to that order."
}

table
  .help = "For mode=table, which lists or changes a table of magnifications: the file, and"
          "the same with all chains as .json beside it. Other rows and columns stay."
{
  file = magnifications.csv
    .type = path
    .help = "The table."
  action = *list add remove turn
    .type = choice
    .help = "list: show it, and change nothing. add: put a measurement into the row of its"
            "magnification, from the result (.json) of mode=pixel_size or mode=pair given as"
            "file, or from the numbers below. remove: remove a row. turn: add quarter turns"
            "to a rotation found by axes."
  camera = 0
    .type = str
    .help = "Name or number of the camera; each has rows of its own."
  magnification = None
    .type = float(value_min=1e-3)
    .help = "Which row, by the magnification that the microscope states."
  reference = None
    .type = float(value_min=1e-3)
    .help = "Magnification of the image with which another one was compared."
  quarter_turns = 1
    .type = int
    .help = "How many times 90° to add, fast towards slow; may be negative."
  pixel_size = None
    .type = float(value_min=1e-9)
    .help = "Measured size of a pixel on the specimen, nm."
  pixel_size_error = None
    .type = float(value_min=1e-12)
    .help = "Its standard uncertainty, nm. None: 1 % is taken."
  axis = None
    .type = float
    .help = "Direction of an axis of the grating, fast towards slow, degrees."
  axis_error = None
    .type = float(value_min=1e-9)
    .help = "Its standard uncertainty, degrees. None: 0.5° is taken."
  ratio = None
    .type = float(value_min=1e-6)
    .help = "How many times larger than at the reference the image is."
  ratio_error = None
    .type = float(value_min=1e-9)
    .help = "Its standard uncertainty. None: 1 % is taken."
  turn = None
    .type = float
    .help = "By how much the image is turned against that at the reference, fast towards"
            "slow, degrees."
  turn_error = None
    .type = float(value_min=1e-9)
    .help = "Its standard uncertainty, degrees. None: 0.5° is taken."
}

gain
  .help = "For mode=gain. Give two or more evenly lit images of one dose or of each of"
          "several doses, in the order of recording, or a sweep of diffraction patterns:"
          "MRC, TIFF or what dials.import reads. Images whose noise was cut off at zero"
          "are welcome."
{
  images = *auto flat sweep
    .type = choice
    .help = "flat: evenly lit, such as by the beam alone. sweep: diffraction patterns, whose"
            "background between the spots is used. auto: sweep where the specimen turns."
  dark = None
    .type = path
    .multiple = True
    .help = "Images without light, at least two; may be given several times."
  dark_level = None
    .type = float
    .help = "Mean of images without light, where none are given, ADU. None: not known; the"
            "read noise is then that of a camera which subtracts a dark image."
  zeros = *auto truncated counts
    .type = choice
    .help = "What zeros are: values that were cut off at zero, or counts of a camera that"
            "counts or stores negative values too. auto: judge by the counts."
  electrons = None
    .type = floats(value_min=0)
    .help = "Incident electrons per pixel of each image, in the order of the images, or one"
            "number for all, where they were measured: with a Faraday cup, or another camera."
  electrons_error = 0.02
    .type = float(value_min=0, value_max=1)
    .help = "Standard uncertainty of the electrons, as a part of them."
  rounding = *round floor
    .type = choice
    .help = "How the camera makes integers."
    .expert_level = 1
}

dose
  .help = "For mode=dose. Give images (MRC, TIFF or what dials.import reads), .mdoc files of"
          "SerialEM, or both."
{
  camera = *integrating K2 K3
    .type = choice
    .help = "A camera that integrates charge, or one that counts electrons."
  loss = none manual *serialem
    .type = choice
    .help = "For cameras that count: how many electrons are lost because they arrive too"
            "densely, by the manual of SerialEM or by the tables in its program."
  high_tension = 200
    .type = float(value_min=1, value_max=3000)
    .help = "Acceleration voltage, which the tables of SerialEM depend on, kV."
  counts_per_electron = None
    .type = float(value_min=1e-6)
    .help = "For cameras that count: stored counts of an electron that was counted, 1 for raw"
            "counts."
  calibration = None
    .type = path
    .help = "For cameras that integrate: output.json of mode=gain, with the ADU of an electron"
            "and the dark level."
  adu_per_electron = None
    .type = float(value_min=1e-6)
    .help = "Mean signal of an electron instead, ADU. It is smaller than the effective gain."
  adu_per_electron_error = None
    .type = float(value_min=0)
    .help = "Its standard uncertainty, ADU."
  dark_level = None
    .type = float
    .help = "Mean of images without electrons, ADU. None: that of the calibration, or 0."
  exposure = None
    .type = float(value_min=1e-9)
    .help = "Time of each image, s. None: that of the images."
  binning = 1
    .type = float(value_min=0.1)
    .help = "Edge of a recorded pixel in physical ones; 0.5 for super-resolution."
  pixel_spacing = None
    .type = float(value_min=1e-6)
    .help = "For images of the specimen: edge of a physical pixel on it, Å."
  magnification = None
    .type = float(value_min=1e-3)
    .help = "The same by the magnification at the camera, with pixel_size."
  pixel_size = None
    .type = float(value_min=1e-6)
    .help = "Edge of a physical pixel of the camera, µm."
  beam_diameter = None
    .type = float(value_min=1e-9)
    .help = "For diffraction patterns: diameter of the lit area of the specimen, µm. All"
            "electrons have to fall on the camera."
  length_error = 0.01
    .type = float(value_min=0, value_max=1)
    .help = "Standard uncertainty of the length given, as a part of it."
}

output {
  experiments = calibrated.expt
    .type = path
    .help = "Experiments with the camera length and beam centre that were found. They"
            "refer to the distortion maps. None: not written."
  reflections = undistorted.refl
    .type = path
    .help = "For mode=spots: all reflections at the positions that a camera without"
            "distortion would give. None: not written."
  x_map = dx.pickle
    .type = path
    .help = "Distortion map for lookup.dx of dials.import, where a distortion was found."
            "None: no maps."
  y_map = dy.pickle
    .type = path
    .help = "Distortion map for lookup.dy of dials.import. None: no maps."
  phil = distortion.phil
    .type = path
    .help = "The distortion as parameters of dials.generate_distortion_maps of this"
            "version of DIALS. None: not written."
  gain = gain.phil
    .type = path
    .help = "For mode=gain: gain and pedestal as parameters of dials.import. None: not"
            "written."
  json = dials.truncfix_calibrate.json
    .type = path
    .help = "All figures. None: not written."
  html = dials.truncfix_calibrate.html
    .type = path
    .help = "A page with plots, which works offline. None: not written."
  log = dials.truncfix_calibrate.log
    .type = path
    .help = "None: not written."
}
"""
)
