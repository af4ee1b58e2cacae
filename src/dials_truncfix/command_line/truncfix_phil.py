"""The parameters of dials.truncfix."""

from __future__ import annotations

import libtbx.phil

phil_scope = libtbx.phil.parse(
    """
mode = *correct check verify report
  .type = choice
  .help = "correct: judge, then write corrected images and experiments. check: judge"
          "only, and write no image. verify: given corrected images, make some of them"
          "again from their source and compare; exit status 1 when they differ."
          "report: given the record of a run, dials.truncfix.json, make its report"
          "again."

force = False
  .type = bool
  .help = "Correct even if the images are judged not to be truncated."
  .expert_level = 1

resume = False
  .type = bool
  .help = "Go on where an earlier run of the same command was killed. What it made is"
          "kept where it is whole and of the same options, input and version of the"
          "program; everything else is made anew. The output is the same as without."

seed = 0
  .type = int(value_min=0)
  .help = "Seed of the random draws. The same seed gives the same images, whatever"
          "the number of processes and whichever part of the sweep is corrected."

assign = *random expected local
  .type = choice
  .help = "random: each zero becomes a draw from the part of the distribution of its"
          "annulus that was cut off. local: a draw as well, from the distribution at"
          "the brightness that the pixels around it have, by the camera model: under"
          "and beside spots random draws are too low. expected: the mean in place of"
          "draws, rounded at random; this lowers the noise but makes weak intensities"
          "look better than they are."
  .expert_level = 1

noise = *independent correlated
  .type = choice
  .help = "independent: no draw depends on others. correlated: the correlation of"
          "neighbouring pixels is measured in each image, and the draws are given it,"
          "so that sums over pixels scatter as they should. Where the noise is not"
          "correlated the draws are independent."
  .expert_level = 1

rounding = *round floor
  .type = choice
  .help = "How the camera made integers of its readings: to the nearest, or down."
  .expert_level = 2

annuli {
  count = 10
    .type = int(value_min=1, value_max=1000)
    .help = "Number of concentric annuli of equal area. A distribution is fitted in"
            "each, and varies smoothly from one to the next."
  minimum_pixels = 10000
    .type = int(value_min=1)
    .help = "Regions with fewer pixels than this are merged with their neighbours."
    .expert_level = 2
}

regions {
  shape = *annuli sectors tiles
    .type = choice
    .help = "annuli: one distribution for all azimuths. sectors, tiles: annuli are cut"
            "into sectors around the beam or by square tiles, for a background that is"
            "not the same all around the beam, and distributions vary smoothly from"
            "one to the next. The log says whether sectors are worth their noise."
  sectors {
    count = 8
      .type = int(value_min=2, value_max=360)
      .help = "Number of sectors."
      .expert_level = 1
  }
  tiles {
    size = Auto
      .type = int(value_min=32)
      .help = "Edge of a tile, pixels. Auto: a quarter of the image's longer edge."
      .expert_level = 1
  }
  labels = None
    .type = path
    .help = "Image of integers that tells apart what has distributions of its own, with"
            "sharp borders: the quadrants a sensor is read out in, for instance."
            "Pixels labelled 0 are neither fitted nor changed. A file of NumPy"
            "(.npy), a TIFF, an image that dxtbx reads, or a mask of"
            "dials.generate_mask, of which False is 0 and True is 1. With"
            "annuli.count=1, the labels alone are the regions."
}

fit {
  model = *auto lognormal emg camera paper
    .type = choice
    .help = "Distribution of the low counts. lognormal: three-parameter lognormal of"
            "either skew. emg: normal plus exponential. camera: electrons with the gain,"
            "pulse heights and read noise of one camera, fitted to a sample of the sweep;"
            "an annulus has its mean only. auto: whichever of lognormal and emg is more"
            "likely in an image; the camera where it is given, where assign=local needs"
            "it, and, if it describes the images, with histograms of several images."
            "paper: the lognormal by the likelihood as printed in Hattne"
            "et al. (2016), for comparison; it overestimates how far below zero the"
            "pixels were."
  histograms = *image block sweep
    .type = choice
    .help = "Fit to the histograms of each image alone, of a block of neighbouring"
            "images around it, or of the whole sweep. With block and sweep an image"
            "no longer depends on itself alone."
    .expert_level = 1
  block_size = 5
    .type = int(value_min=1)
    .help = "Number of images in a block."
    .expert_level = 1
  camera
    .help = "The camera, if it is known: a part of a sweep is then corrected exactly as"
            "the whole, whose log tells these numbers."
    .expert_level = 1
  {
    record = None
      .type = path
      .help = "Record of a former run, dials.truncfix.json: its camera is taken."
    gain = None
      .type = float(value_min=0)
      .help = "Mean signal of an electron, ADU. Needs pulse_variance and read_noise."
    pulse_variance = None
      .type = float(value_min=0)
      .help = "Variance of the signal of an electron over its squared mean, 1/k for"
              "gamma distributed pulse heights of shape k."
    read_noise = None
      .type = float(value_min=0)
      .help = "Standard deviation of a pixel without electrons, ADU."
    dark = 0
      .type = float
      .help = "Mean of a pixel without electrons, at image number 0 if it drifts, ADU."
    dark_drift = 0
      .type = float
      .help = "Change of the dark level per image, ADU."
  }
}

mask {
  beam_stop = True
    .type = bool
    .help = "Find the shadow of the beam stop in each image as a region far darker"
            "than the rest of its annulus. Its pixels are neither fitted nor changed."
}

gain = Auto
  .type = float(value_min=0)
  .help = "Gain written to the experiments: slope of the variance of pixels on their"
          "mean, ADU. Auto: estimated from the fits."
  .expert_level = 1

pedestal = Auto
  .type = float
  .help = "Pedestal written to the experiments, ADU: the mean at which the variance"
          "would be zero. It is negative where the camera has read noise, so that"
          "DIALS sees the right variance. Auto: estimated from the fits."
  .expert_level = 1

replicates = 1
  .type = int(value_min=1, value_max=1000)
  .help = "Number of independent draws of the sweep, for multiple imputation. With"
          "more than one, each gets a folder of its own (replicate_1, ...) below"
          "output.directory, and experiments of its own (truncfix_1.expt, ...)."
          "Process them all in the same way, and pool the integrated intensities with"
          "dials.truncfix_combine."
  .expert_level = 1

verify {
  json = dials.truncfix.json
    .type = path
    .help = "Record of the run that wrote the images. Of several sweeps, and where there"
            "is none here, the file of this name beside the images."
  images = 10
    .type = int(value_min=1)
    .help = "Number of images to compare, spread over those given; all, if there are"
            "no more."
}

include scope dials_truncfix.command_line.mp_phil.phil_scope

output {
  directory = None
    .type = path
    .help = "Folder for the corrected images, made if it does not exist; the working"
            "folder if not given. It must not hold the images to be corrected. Of"
            "several sweeps each has a folder below it, sweep_1, sweep_2, ..., with its"
            "images, experiments, record and report."
  template = truncfix_#####
    .type = str
    .help = "Name of the corrected images; the # become the image number."
  format = *cbf smv nexus sidecar
    .type = choice
    .help = "cbf: signed pixels, least work, for DIALS with this plugin. smv: unsigned"
            "pixels with one offset for the whole sweep, for DIALS, XDS, MOSFLM and"
            "xia2. nexus: signed pixels in a few HDF5 files behind a master file that"
            "follows NXmx. sidecar: no pixels, but one small file by which DIALS with"
            "this plugin corrects the images as it reads them."
  compression = *gzip bitshuffle uncompressed
    .type = choice
    .help = "Of NeXus images. gzip: can be read everywhere. bitshuffle: smallest and"
            "fast, with LZ4 as detectors write it; needs the Python package hdf5plugin"
            "for writing and for reading. uncompressed: fast, four times the size."
    .expert_level = 1
  offset = Auto
    .type = int(value_min=0, value_max=60000)
    .help = "Offset added to every pixel of SMV images, ADU. Auto: as much as makes"
            "the smallest pixel of the sweep 1."
    .expert_level = 1
  experiments = truncfix.expt
    .type = path
    .help = "Experiments with the corrected images, gain and pedestal; of all sweeps."
  json = dials.truncfix.json
    .type = path
    .help = "Verdict, parameters and fits of all images. None: not written."
  html = dials.truncfix.html
    .type = path
    .help = "Report: verdict, warnings and figures in one page, which needs no"
            "network. None: not written."
  log = dials.truncfix.log
    .type = path
    .help = "None: not written."
}
""",
    process_includes=True,
)
