"""What SerialEM's metadata say of doses, and whether they say the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dials_truncfix.camera.coincidence import LossCurve
from dials_truncfix.camera.dose import dose_rate, specimen_dose
from dials_truncfix.io.mdoc import Mdoc, MdocSection


@dataclass(frozen=True)
class MdocDose:
    """One image or set of frames; what is not stated is NaN.

    Attributes
    ----------
    name : str
        Section of the file.
    exposure : float
        Time, s.
    binning : float
        Edge of a recorded pixel in physical ones.
    pixel_spacing : float
        Edge of a physical pixel on the specimen, Å.
    counts_per_electron : float
        Of the stored counts; where they were divided by two, it is as well.
    mean : float
        Mean of the image, counts.
    stated_rate : float
        ``DoseRate``: what SerialEM made of the counts, e⁻ per physical pixel and second.
    rate : float
        What is made of `mean` here, likewise.
    stated_dose : float
        ``ExposureDose``: from a calibration of the beam, e⁻/Å².
    frames_dose : float
        Sum of ``FrameDosesAndNumber``, e⁻/Å².
    camera_dose : float
        What reached the camera, by `stated_rate`, or by `rate` where it is not stated,
        e⁻/Å².
    prior_dose : float
        ``PriorRecordDose``: before this image, e⁻/Å².
    """

    name: str
    exposure: float
    binning: float
    pixel_spacing: float
    counts_per_electron: float
    mean: float
    stated_rate: float
    rate: float
    stated_dose: float
    frames_dose: float
    camera_dose: float
    prior_dose: float


def mdoc_doses(mdoc: Mdoc, loss: LossCurve | None) -> list[MdocDose]:
    """Collect doses from all sections.

    Parameters
    ----------
    mdoc : Mdoc
        The file.
    loss : LossCurve or None
        Of a camera that counts, for the mean counts.

    Returns
    -------
    list of MdocDose
        Of the sections that have any.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [_section(section, mdoc, loss) for section in mdoc.sections]
    doses = [dose for dose in found if dose is not None]
    if not doses:
        raise ValueError(
            "the file states no dose, no dose rate, and not the mean counts, counts per "
            "electron and exposure that a rate follows from: give the images instead"
        )
    return doses


def _section(
    section: MdocSection, mdoc: Mdoc, loss: LossCurve | None
) -> MdocDose | None:
    def number(key: str) -> float:
        value = section.number(key)
        return math.nan if value is None else value

    def positive(key: str) -> float:
        value = number(key)
        return value if value > 0 else math.nan

    exposure, binning = positive("ExposureTime"), positive("Binning")
    per_electron = positive("CountsPerElectron")
    # SerialEM gives the pixel of the recorded, binned image
    spacing = positive("PixelSpacing") / binning
    statistics = section.numbers("MinMaxMean")
    mean = statistics[2] if len(statistics) == 3 else math.nan
    stated_rate = positive("DoseRate")
    rate = math.nan
    if math.isfinite(mean + exposure + binning + per_electron) and mean >= 0:
        try:
            rate = float(dose_rate(mean, per_electron, exposure, binning, loss))
        except ValueError:
            rate = math.nan
    at_camera = stated_rate if math.isfinite(stated_rate) else rate
    camera_dose = math.nan
    if math.isfinite(at_camera + exposure + spacing):
        camera_dose = float(specimen_dose(at_camera, exposure, spacing))
    frames = section.frame_doses
    dose = MdocDose(
        name=f"{section.kind} {section.name}",
        exposure=exposure,
        binning=binning,
        pixel_spacing=spacing,
        counts_per_electron=per_electron,
        mean=mean,
        stated_rate=stated_rate,
        rate=rate,
        # 0 means that the beam was not calibrated
        stated_dose=positive("ExposureDose"),
        frames_dose=sum(d * n for d, n in frames) if frames else math.nan,
        camera_dose=camera_dose,
        prior_dose=number("PriorRecordDose"),
    )
    known = (dose.stated_rate, dose.rate, dose.stated_dose, dose.frames_dose)
    return dose if any(map(math.isfinite, known)) else None
