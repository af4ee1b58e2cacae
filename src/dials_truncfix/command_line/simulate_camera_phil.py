"""Parameters of the camera that dials.truncfix_simulate records with."""

from __future__ import annotations

import libtbx.phil

phil_scope = libtbx.phil.parse(
    """
camera {
  model = *f416 k2 k3 ccd
    .type = choice
    .help = "f416: TVIPS TemCam-F416, 4096 x 4096 pixels of 15.6 micrometres, rolling"
            "shutter. k2, k3: Gatan's direct detectors, whose frames come as SerialEM"
            "saves them. ccd: 4096 x 4096 pixels of 15 micrometres, binned on the chip."
  mode = linear *counting super_resolution
    .type = choice
    .help = "Of a K2 or K3. A K3 always counts in super-resolution; its counting mode is"
            "that with hardware binning by 2."
  binning = Auto
    .type = int(value_min=1)
    .help = "Of an F416 or CCD. Auto: 4."
  gain = Auto
    .type = float(value_min=0)
    .help = "Mean signal of an electron, ADU; for a camera that counts, what normalized"
            "frames hold for one. Auto: 6 for F416 and CCD; 16 for a K2, 32 for a K3."
  pulse_variance = Auto
    .type = float(value_min=0)
    .help = "Variance of the signal of an electron over its squared mean. Auto: 0.5, and"
            "0.25 in linear mode of a K2 or K3; there is none in counts."
  read_noise = Auto
    .type = float(value_min=0)
    .help = "Standard deviation of the read noise, ADU: of a recorded pixel, and in"
            "linear mode of a K2 or K3 of one of many read-outs. Auto: 1.5 times the"
            "binning of an F416, as every pixel of its sensor is read by itself; 3 for a"
            "CCD at any binning; 0.16 electrons in linear mode."
  flat_sd = Auto
    .type = float(value_min=0, value_max=0.2)
    .help = "Standard deviation of the flat field or gain reference. Auto: 0.03, and"
            "0.05 for a camera that counts."
  psf_sigma = 0
    .type = float(value_min=0)
    .help = "Spread of light in the scintillator, or of the places where electrons are"
            "counted, recorded pixels."
    .expert_level = 1
  dark_images = 0
    .type = int(value_min=0)
    .help = "Images averaged for the dark reference; 0 for one without noise."
    .expert_level = 1
  dark_drift = 0
    .type = float
    .help = "Drift of the dark level, ADU per image."
    .expert_level = 1
  pedestal = 0
    .type = int(value_min=0, value_max=60000)
    .help = "Constant added before storing, ADU. The rolling-shutter mode adds none."
    .expert_level = 1
  frames_per_image = 1
    .type = int(value_min=1)
    .help = "Frames of a K2 or K3 into which an image is fractionated."
  normalized = True
    .type = bool
    .help = "Multiply counts by the gain reference, and fill bad pixels, before frames"
            "are stored. False: raw counts, with reference and defects beside them."
  floating = False
    .type = bool
    .help = "Store normalized counts as floating-point numbers, not rounded."
    .expert_level = 1
  coincidence = none *manual serialem
    .type = choice
    .help = "Whose figures for electrons that meet in a pixel and are not counted: those"
            "of SerialEM's manual, or of its program."
  conversion = 0.87
    .type = float(value_min=0.01, value_max=1)
    .help = "Counts of an electron where few arrive, with coincidence=manual; the"
            "program's figures contain it."
    .expert_level = 1
  bad_pixels = 0
    .type = int(value_min=0)
    .help = "Pixels of a K2 or K3 that count nothing."
  bad_columns = 0
    .type = int(value_min=0)
    .help = "Columns of a K2 or K3 that count nothing."
  unsigned = False
    .type = bool
    .help = "Store frames of linear mode as unsigned integers, so that negative pixels"
            "are cut off."
  rotation_flip = 0
    .type = int(value_min=0, value_max=7)
    .help = "Operation (r/f of SerialEM) between frames as the camera reads and as they"
            "are shown. The geometry is that of frames as shown."
    .expert_level = 1
  turned = True
    .type = bool
    .help = "Whether it is applied before frames are saved; if not, their title says that"
            "it is needed."
    .expert_level = 1
  ports = 1 *4
    .type = choice
    .help = "Ports through which a CCD is read: they set the time it takes to clear it."
    .expert_level = 1
  beam_while_clearing = False
    .type = bool
    .help = "Leave the beam on a CCD while it is cleared, which leaves a ramp of smeared"
            "image."
}
"""
)
