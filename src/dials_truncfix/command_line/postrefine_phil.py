"""Parameters of dials.truncfix_postrefine."""

from __future__ import annotations

import libtbx.phil

phil_scope = libtbx.phil.parse(
    """
mode = *refine report
  .type = choice
  .help = "refine: put lattices on one scale. report: given the record of a run,"
          "dials.truncfix_postrefine.json, make its report again."

intensity = *sum profile
  .type = choice
  .help = "Integrated intensities: by summation, or by profile fitting."

model = *auto sphere lorentzian gaussian
  .type = choice
  .help = "Radial profile of the reciprocal lattice points, of one width at half"
          "maximum: a sphere (model A), a Lorentzian (B), a Gaussian (G). auto: the one"
          "that best predicts observations held out."

protocol = rs rs_hybrid *all
  .type = choice
  .help = "rs: scale, B and two rotations of each lattice; the radius of its points is"
          "the root mean square of the excitation errors. rs_hybrid: then the radius with"
          "them. all: all five together."

weights = *variance unit
  .type = choice
  .help = "Of the observations: their inverse variances, or all alike."
  .expert_level = 1

robust_limit = 2
  .type = float(value_min=0.1)
  .help = "Observations that deviate by more standard deviations count less. None: plain"
          "least squares."
  .expert_level = 1

min_partiality = 0.2
  .type = float(value_min=0.001, value_max=0.999)
  .help = "Observations of a smaller partiality are not merged. They are refined against"
          "all the same, as they tell where the lattice is not."

max_deviation = 6
  .type = float(value_min=1)
  .help = "Observations that deviate from the mean of the other lattices by more standard"
          "deviations are not merged."
  .expert_level = 1

error_model = True
  .type = bool
  .help = "Make variances of full intensities a^2 (variance + (b I)^2), with a and b such"
          "that observations deviate from the mean of the other lattices as they should."

d_max = None
  .type = float(value_min=0)
  .help = "Low resolution limit, Å."

d_min = None
  .type = float(value_min=0)
  .help = "High resolution limit, Å."

stream
  .help = "What CrystFEL streams (.stream) do not say."
{
  space_group = None
    .type = str
    .help = "Space group of the crystals, symbol or number. A stream states the lattice"
            "only, with which the group has to agree."
  polarisation_fraction = None
    .type = float(value_min=0, value_max=1)
    .help = "Part of the beam whose electric field is horizontal: 1 for most XFELs and"
            "synchrotrons, 0.5 for an unpolarised beam. None: intensities are not"
            "corrected for polarisation."
}

refine_cell = False
  .type = bool
  .help = "Also refine the cell of each lattice, as far as the space group leaves it free,"
          "restrained to the median cell (priors.cell). Worth it where cells are uncertain"
          "by 0.05 % or more, and for X-rays: with electrons a strain of the cell hardly"
          "differs from a rotation, and is then held."

reference {
  file = None
    .type = path
    .help = "Intensities to refine against: MTZ or mmCIF file with intensities or"
            "amplitudes, on any scale, or coordinates (PDB, mmCIF). None: the mean of the"
            "other lattices, in cycles."
  label = None
    .type = str
    .help = "Column of reflections; the first with intensities or amplitudes if not"
            "given."
  reindex = False
    .type = bool
    .help = "Where the lattice is more symmetric than the space group, give each lattice"
            "the indices under which it agrees best with the reference."
  scattering = *auto electron xray
    .type = choice
    .help = "Scattering factors of the atoms of coordinates. auto: those of the beam."
    .expert_level = 1
  solvent = False
    .type = bool
    .help = "Surround the atoms of coordinates with a bulk solvent of usual density."
    .expert_level = 1
}

ambiguity {
  check = True
    .type = bool
    .help = "Refuse lattices that are not indexed alike, where the lattice is more"
            "symmetric than the space group, or that do not tell. False: the indices are"
            "known to be right."
  tolerance = 2
    .type = float(value_min=0, value_max=20)
    .help = "Angle by which axes of symmetry of the lattice may be off, degrees."
    .expert_level = 1
}

cycles {
  maximum = 8
    .type = int(value_min=1, value_max=1000)
    .help = "Most cycles without a reference file."
  tolerance = 0.002
    .type = float(value_min=1e-8)
    .help = "The cycles end when the mean intensities change by a smaller part."
    .expert_level = 1
}

corrections {
  polarisation = Auto
    .type = bool
    .help = "Multiply by column lp, in which DIALS keeps the correction of stills for"
            "polarisation. Auto: where there is such a column, but not for electrons."
    .expert_level = 1
  efficiency = True
    .type = bool
    .help = "Divide by column qe, the detector's efficiency, where there is one."
    .expert_level = 1
}

priors
  .help = "Normal distributions, so wide that they do not matter for good data. None: none."
  .expert_level = 2
{
  b = 20
    .type = float(value_min=1e-6)
    .help = "Standard deviation of B around 0, Å²."
  theta = 0.2
    .type = float(value_min=1e-6)
    .help = "Standard deviation of the rotations around 0, degrees."
  log_rs = 0.7
    .type = float(value_min=1e-6)
    .help = "Standard deviation of the logarithm of the radius around its start."
  cell = 0.001
    .type = float(value_min=1e-9)
    .help = "With refine_cell, standard deviation of the relative change of the cell from"
            "the median of all, along each direction that is free."
}

rejection {
  cell_tolerance = 0.05
    .type = float(value_min=0)
    .help = "Lattices whose cell axes differ from the median by a larger part, or angles"
            "by a larger part of 90 degrees, are left out."
  min_observations = 10
    .type = int(value_min=1)
    .help = "Fewest observations with a reference intensity."
  max_theta = 0.5
    .type = float(value_min=1e-6)
    .help = "Largest rotation about either axis, degrees."
  max_b = 60
    .type = float(value_min=1e-6)
    .help = "Largest absolute B, Å²."
  max_rs_factor = 10
    .type = float(value_min=1.000001)
    .help = "Largest factor between the radius and its start."
    .expert_level = 1
  min_cc = 0.1
    .type = float(value_min=-1, value_max=1)
    .help = "Least correlation of observed and calculated intensities."
  delta_cc_half = 6
    .type = float(value_min=1)
    .help = "Lattices are left out when CC½ rises without them by more than so many"
            "standard deviations of this rise among all lattices. None: not calculated."
}

shells = 10
  .type = int(value_min=1, value_max=1000)
  .help = "Number of resolution shells of the tables, even in 1/d^2."

seed = 0
  .type = int(value_min=0)
  .help = "Seed of the half sets and of the observations held out."
  .expert_level = 1

include scope dials_truncfix.command_line.mp_phil.phil_scope

output {
  experiments = postrefined.expt
    .type = path
    .help = "Experiments of the accepted lattices, turned. None: not written."
  reflections = postrefined.refl
    .type = path
    .help = "Their reflections with intensities of full reflections, scaled, for"
            "dials.merge, dials.export and dials.estimate_resolution. None: not written."
  lattices_per_file = 1000
    .type = int(value_min=1)
    .help = "Where there are more, experiments and reflections are written in numbered"
            "parts, postrefined_000.expt and so on, which dials.combine_experiments"
            "joins for dials.merge. Lattices of one input file stay together."
    .expert_level = 1
  mtz = merged.mtz
    .type = path
    .help = "Merged intensities, and those of two half sets of lattices. None: not"
            "written."
  json = dials.truncfix_postrefine.json
    .type = path
    .help = "Parameters of every lattice with their uncertainties, and all figures. None:"
            "not written."
  html = dials.truncfix_postrefine.html
    .type = path
    .help = "Report: verdict, warnings and figures in one page, which needs no"
            "network. None: not written."
  log = dials.truncfix_postrefine.log
    .type = path
    .help = "None: not written."
}
""",
    process_includes=True,
)
