"""Rates and doses in tables, sentences and plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dials_truncfix import __version__
from dials_truncfix.calibrate.dose.image_dose import (
    ImageDose,
    Scale,
    accumulated,
    highest_rate,
)
from dials_truncfix.calibrate.dose.mdoc_dose import MdocDose
from dials_truncfix.calibrate.gain.camera_numbers import Measured
from dials_truncfix.calibrate.gain.gain_words import with_error
from dials_truncfix.camera.coincidence import LossCurve
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.dose/1"
_MOST_ROWS = 40
_NOTICEABLE_LOSS = 0.005
_ALL_SEEN = 0.99


def dose_table(images: Sequence[ImageDose], scale: Scale) -> Table:
    """List rates and doses, or some of many."""
    dose, dose_sd = accumulated(images, scale)
    rows = []
    for i in range(0, len(images), -(-len(images) // _MOST_ROWS)):
        image = images[i]
        rows.append(
            [
                image.name.rsplit("/", 1)[-1],
                f"{image.exposure:.4g}",
                f"{image.mean:.5g}",
                with_error(Measured(image.electrons, image.electrons_sd)),
                with_error(Measured(image.rate, image.rate_sd)),
                f"{100 * image.loss:.1f}" if scale.loss else "-",
                _number(image.dose),
                with_error(Measured(float(dose[i]), float(dose_sd[i]))),
            ]
        )
    header = [
        "image",
        "exposure (s)",
        "mean (ADU)",
        "electrons\n(e⁻/px)",
        "rate\n(e⁻/px/s)",
        "not counted\n(%)",
        "dose\n(e⁻/Å²)",
        "dose so far\n(e⁻/Å²)",
    ]
    return Table(
        "Electrons of the images (± of the image alone; of the dose so far with the scale)",
        header,
        rows,
    )


def mdoc_table(doses: Sequence[MdocDose]) -> Table:
    """List what metadata state, or some of it."""
    rows = [
        [
            dose.name,
            _number(dose.exposure),
            _number(dose.pixel_spacing),
            _number(dose.mean),
            _number(dose.rate),
            _number(dose.stated_rate),
            _number(dose.camera_dose),
            _number(dose.stated_dose),
            _number(dose.frames_dose),
        ]
        for dose in doses[:: -(-len(doses) // _MOST_ROWS)]
    ]
    header = [
        "section",
        "exposure\n(s)",
        "pixel\n(Å)",
        "mean\n(counts)",
        "rate by\ncounts",
        "rate as\nstated",
        "dose at the\ncamera (e⁻/Å²)",
        "dose as\nstated",
        "of its\nframes",
    ]
    return Table("Doses by the metadata", header, rows)


def findings(
    images: Sequence[ImageDose], scale: Scale, other: LossCurve | None
) -> list[str]:
    """Say what was measured, in sentences."""
    rates = np.array([image.rate for image in images])
    common = scale.counts_per_electron_sd / scale.counts_per_electron
    own = math.sqrt(sum(i.rate_sd**2 for i in images)) / len(images)
    mean = Measured(float(rates.mean()), math.hypot(own, common * float(rates.mean())))
    sentences = [
        f"{_images(len(images))} received {with_error(mean)} e⁻ per physical pixel and "
        f"second on average, from {rates.min():.4g} to {rates.max():.4g}."
    ]
    dose, dose_sd = accumulated(images, scale)
    if math.isfinite(float(dose[-1])):
        where = (
            "by the size of its pixels" if scale.pixel_spacing else "by its lit area"
        )
        sentences.append(
            f"The specimen received {with_error(Measured(float(dose[-1]), float(dose_sd[-1])))} "
            f"e⁻/Å² in them, {where}. What it received between the images is not in it."
        )
    else:
        sentences.append(
            "For a dose on the specimen, give dose.pixel_spacing or dose.magnification, or "
            "for diffraction patterns dose.beam_diameter."
        )
    if scale.loss is not None:
        limit = highest_rate(scale.loss)
        sentences.append(
            f"Up to {100 * max(i.loss for i in images):.1f} % of the electrons of an image "
            f"were not counted, by {scale.loss.name}, which holds up to {limit:.4g} e⁻ per "
            "physical pixel and second."
        )
        if other is not None:
            sentences.append(_other_curve(float(rates.mean()), scale, other))
    else:
        sentences.append(
            "Valid for cameras that integrate, wherever they are linear, and as right as the "
            "ADU of an electron."
        )
    return sentences


def _other_curve(rate: float, scale: Scale, other: LossCurve) -> str:
    if scale.loss is None:
        raise ValueError("no curve was given")
    try:
        by_other = float(other.true_rate(scale.loss.counted(rate)))
    except ValueError:
        return f"By {other.name} no rate gives so many counts."
    return (
        f"The same counts are {by_other:.4g} e⁻ by {other.name}, {100 * (by_other / rate - 1):+.1f}"
        " %: published curves differ by as much, and the uncertainties do not contain it."
        if rate
        else f"Without light, {other.name} says the same."
    )


def warnings(images: Sequence[ImageDose], scale: Scale) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    sentences = []
    cut = [image for image in images if image.cut_off > 0]
    if cut:
        most = max(image.cut_off for image in cut)
        sentences.append(
            f"In {_images(len(cut))} values below zero had been cut off, which raised the "
            f"mean by up to {most:.3g} ADU; laws fitted to the counts took the place of the "
            "zeros."
        )
    if scale.beam_area and any(image.seen < _ALL_SEEN for image in images):
        sentences.append(
            f"{100 * (1 - min(i.seen for i in images)):.1f} % of the pixels did not measure: "
            "the dose of a lit area needs all electrons, so that it is a lower limit."
        )
    if scale.loss is None and not scale.counts_per_electron_sd:
        sentences.append(
            "The ADU of an electron were given without an uncertainty "
            "(dose.adu_per_electron_error): that of the doses is too small."
        )
    uneven = [i for i in images if i.amplification > 2.0]
    if uneven:
        sentences.append(
            f"In {_images(len(uneven))} an error of the counts is more than doubled in the "
            "rate: record with less beam."
        )
    return sentences


def mdoc_findings(doses: Sequence[MdocDose]) -> list[str]:
    """Say what metadata state, in sentences."""
    sentences = []
    stated = [d.stated_dose for d in doses if math.isfinite(d.stated_dose)]
    if stated:
        sentences.append(
            f"The calibration of the beam states {_from_to(stated)} e⁻/Å² "
            f"for {len(stated)} section(s) (ExposureDose)."
        )
    frames = [d for d in doses if math.isfinite(d.frames_dose + d.stated_dose)]
    for d in frames:
        if not math.isclose(d.frames_dose, d.stated_dose, rel_tol=0.01):
            # sections of a tilt series hold their own share of the frames
            sentences.append(
                f"{d.name}: its frames have {d.frames_dose:.4g} e⁻/Å², its ExposureDose is "
                f"{d.stated_dose:.4g}: frames were left out, or the beam was off."
            )
    both = [d.camera_dose / d.stated_dose for d in doses
            if math.isfinite(d.camera_dose + d.stated_dose)]  # fmt: skip
    if both:
        sentences.append(
            f"{_from_to([100 * x for x in both])} % of that reached the camera: the "
            "specimen, apertures and an energy filter keep the rest, so the specimen received "
            "ExposureDose, not what the camera saw."
        )
    rates = [d for d in doses if math.isfinite(d.rate + d.stated_rate)]
    if rates:
        ratio = np.array([d.rate / d.stated_rate for d in rates])
        sentences.append(
            f"In {len(rates)} section(s) the mean counts give {np.median(ratio):.3f} times the "
            f"rate that SerialEM states (median; {ratio.min():.3f} to {ratio.max():.3f})."
        )
    elif by_counts := [d.rate for d in doses if math.isfinite(d.rate)]:
        sentences.append(
            f"The mean counts give {_from_to(by_counts)} e⁻ per physical pixel and second."
        )
    return sentences


def _from_to(values: Sequence[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def dose_record(
    images: Sequence[ImageDose],
    scale: Scale | None,
    doses: Sequence[MdocDose],
    words: Sequence[str],
    warned: Sequence[str],
) -> dict[str, Any]:
    """Describe doses by plain values; what is not finite becomes None."""
    record: dict[str, Any] = {"schema": SCHEMA, "version": __version__}
    if scale is not None and images:
        dose, dose_sd = accumulated(images, scale)
        plain = {k: v for k, v in asdict(scale).items() if k != "loss"}
        record["scale"] = {
            **plain,
            "loss": None if scale.loss is None else scale.loss.name,
            "relative_uncertainty_in_common": scale.common_error,
            "highest_rate": None if scale.loss is None else highest_rate(scale.loss),
        }
        record["images"] = [asdict(image) for image in images]
        record["accumulated_dose_e_per_A2"] = dose.tolist()
        record["accumulated_dose_sd_e_per_A2"] = dose_sd.tolist()
    if doses:
        record["metadata"] = [asdict(dose) for dose in doses]
    record["findings"], record["warnings"] = list(words), list(warned)
    return dict(finite_values(record))


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n} images"
