"""What the log says of a correction."""

from __future__ import annotations

import logging
import os

import numpy as np

from dials.util import tabulate

from dials_truncfix.correction.correlation.correlation_summary import (
    BOX,
    SweepCorrelation,
)
from dials_truncfix.correction.gain import GainEstimate
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.sweep.measure import ImageFits
from dials_truncfix.sweep.options import OutputOptions, numbered
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.region_summary import log_anisotropy, region_table
from dials_truncfix.sweep.replicates import Replicate
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.uniformity import ring_anisotropy
from dials_truncfix.xia2_step import xia2_arguments

logger = logging.getLogger("dials.truncfix.summary")

_NOTABLE_BOX_VARIANCE = 1.2

#: What the user can do about images that are not corrected.
REMEDIES = {
    VerdictClass.COUNTING: "Integrate the images as they are; force=True corrects "
    "them all the same.",
    VerdictClass.SIGNED: "Integrate the images as they are; force=True replaces their "
    "zeros all the same.",
    VerdictClass.OFFSET: "Integrate the images as they are, with this pedestal; "
    "force=True replaces their zeros all the same.",
    VerdictClass.NO_ZEROS: "There is nothing to correct.",
    VerdictClass.FEW_LEVELS: "Export the images from the camera's program in their "
    "full depth; force=True corrects them all the same.",
    VerdictClass.ONE_LEVEL: "Check that the recording worked and that the right files "
    "were imported.",
    VerdictClass.ALL_ZEROS: "Check that the recording worked and that the right files "
    "were imported.",
    VerdictClass.ZEROS_MASKED: "If the zeros are measured values, import the images "
    "again with geometry.detector.panel.trusted_range=-0.5,65534.5.",
    VerdictClass.CANNOT_TELL: "Check the beam centre and the mask; force=True corrects "
    "the images all the same.",
}


def annulus_table(fits: list[ImageFits]) -> str:
    """Tabulate the fits of each annulus, averaged over the images.

    Images that lack an annulus, because the beam stop covers it, are left out.
    """
    if fits[0].regions.table.n_cells > 1:
        return region_table(fits)
    n_annuli = max(len(image.regions.n_pixels) for image in fits)
    whole = [image for image in fits if len(image.regions.n_pixels) == n_annuli]
    d_limits = whole[0].regions.d_limits
    rows = []
    for ring in range(n_annuli):
        fitted = [image.fits for image in whole if image.fits.fitted[ring]]
        n_pixels = sum(int(image.regions.n_pixels[ring]) for image in whole)
        n_zero = sum(int(image.regions.n_zero[ring]) for image in whole)
        families = [str(fit.family[ring]) for fit in fitted]
        names = ", ".join(
            f"{families.count(name)} {name}" for name in sorted(set(families))
        )
        row = [
            ring + 1,
            "-".join(map(_resolution, d_limits[ring])),
            n_pixels // len(whole),
            f"{100 * n_zero / max(n_pixels, 1):.2f}",
            names or str(whole[0].fits.status[ring]).replace("_", " "),
        ]
        for name, digits in (
            ("p_nonpositive", 4),
            ("mean", 2),
            ("mean_nonpositive", 2),
            ("rmsd", 1),
        ):
            values = [getattr(fit, name)[ring] for fit in fitted]
            row.append(f"{np.mean(values):.{digits}f}" if values else "-")
        rows.append(row)
    header = [
        "Annulus",
        "d (Å)",
        "Pixels",
        "Zeros (%)",
        "Model (images)",
        "P(zero)",
        "Mean\n(ADU)",
        "Mean of\nzeros (ADU)",
        "RMSD\n(pixels)",
    ]
    return (
        "Fits, averaged over the images; the mean of zeros is what the pixels recorded "
        "as zero\nwould have been on average:\n" + str(tabulate(rows, header))
    )


def log_fits(fits: list[ImageFits], source: SweepSource) -> None:
    """Tabulate the fits, and name the images that could not be fitted at all."""
    logger.info("\n%s", annulus_table(fits))
    log_anisotropy(ring_anisotropy(fits), fits[0].regions.table.n_cells > 1)
    unfitted = [
        f"{source.numbers[image.regions.index]} ({_status(image)})"
        for image in fits
        if not image.fits.fitted.any()
    ]
    if unfitted:
        logger.warning(
            "No distribution could be fitted to image %s; its pixels stay as they are."
            if len(unfitted) == 1
            else "No distribution could be fitted to images %s; their pixels stay as "
            "they are.",
            ", ".join(unfitted),
        )


def _status(image: ImageFits) -> str:
    words = (str(status).replace("_", " ") for status in image.fits.status)
    return " and ".join(dict.fromkeys(words))


def _resolution(d: float) -> str:
    """Print a resolution; so close to the beam that its number says nothing, "beam"."""
    return f"{d:.2f}" if d < 100 else "beam"


def log_correlation(correlation: SweepCorrelation | None, noise: str) -> None:
    """Say how the noise of neighbouring pixels is correlated, and what comes of it."""
    if correlation is None:
        if noise == "correlated":
            logger.warning(
                "The images are too small to measure the correlation of their noise: "
                "draws are independent."
            )
        return
    measured = (
        f"The noise of neighbouring pixels is correlated by {correlation.neighbour:.3f} "
        f"± {correlation.neighbour_sd:.3f}"
    )
    if not correlation.significant:
        logger.info("%s, which is a matter of chance.", measured)
        return
    logger.info(
        "%s: sums over %d × %d pixels vary %.2f times as much as those of independent "
        "pixels.",
        measured,
        BOX,
        BOX,
        correlation.box_variance,
    )
    if noise != "correlated" and correlation.box_variance > _NOTABLE_BOX_VARIANCE:
        logger.info("noise=correlated draws the lost values alike.")


def log_gain(estimate: GainEstimate | None, camera: GainEstimate | None) -> None:
    """Say what gain and pedestal were found to be, and why they matter.

    Parameters
    ----------
    estimate : GainEstimate or None
        From the scatter of the corrected pixels.
    camera : GainEstimate or None
        Of the camera by which they were corrected, which then counts.
    """
    if camera is not None:
        scatter = ""
        if estimate is not None and estimate.reliable:
            scatter = (
                f"; the scatter of the corrected pixels says {estimate.gain:.2f} and "
                f"{estimate.pedestal:.2f} ADU"
            )
        logger.info(
            "Gain %.2f ADU and pedestal %.2f ADU of the camera count%s.",
            camera.gain,
            camera.pedestal,
            scatter,
        )
    elif estimate is not None and estimate.reliable:
        logger.info(
            "Gain %.2f ± %.2f ADU, pedestal %.2f ± %.2f ADU, read noise %.2f ADU "
            "(variance = gain × (value - pedestal)).",
            estimate.gain,
            estimate.gain_sd,
            estimate.pedestal,
            estimate.pedestal_sd,
            estimate.read_noise,
        )
    elif estimate is not None:
        logger.warning(
            "Gain and pedestal could not be estimated: %s. If those written are wrong, "
            "DIALS finds false spots and I/sigma is off several-fold; give gain= and "
            "pedestal= if you know them.",
            estimate.reason,
        )


def log_gain_of_sums(of_pixels: GainEstimate, of_sums: GainEstimate) -> None:
    """Say how gain and pedestal change with the correlation of the noise."""
    if of_sums is not of_pixels:
        logger.info(
            "As neighbouring pixels are correlated, the variance of their sums asks for "
            "a gain of %.2f ± %.2f ADU and a pedestal of %.2f ± %.2f ADU.",
            of_sums.gain,
            of_sums.gain_sd,
            of_sums.pedestal,
            of_sums.pedestal_sd,
        )


def log_panel(panel: PanelValues) -> None:
    """Say which gain and pedestal the experiments will hold."""
    logger.info(
        "Written to the experiments: gain %.4g, pedestal %.4g ADU.",
        panel.gain,
        panel.pedestal,
    )


def log_saved(
    replicate: Replicate, names: list[str], source: SweepSource, panel: PanelValues
) -> None:
    """Say what was saved, and how other programs are told the offset."""
    output = replicate.output
    if output.replicates > 1:
        logger.info("Replicate %d, seed %d:", replicate.number, replicate.seed)
    if output.image_format == "nexus":
        path = os.path.join(output.directory, output.images_template)
        logger.info("Saving %d corrected images to %s", len(names), path)
    elif output.image_format == "sidecar":
        path = os.path.join(output.directory, output.images_template)
        logger.info("Saving how to correct %d images to %s", len(names), path)
    else:
        first = os.path.join(output.directory, names[0])
        last = os.path.join(output.directory, names[-1])
        logger.info("Saving %d corrected images to %s … %s", len(names), first, last)
    if output.experiments is not None:
        logger.info("Saving the experiments to %s", output.experiments)
    if output.image_format == "smv":
        logger.info("\n%s", offset_advice(output, source, panel))


def offset_advice(
    output: OutputOptions, source: SweepSource, panel: PanelValues
) -> str:
    """Tell in the words of each program that an offset was added to every pixel."""
    template = os.path.join(output.directory, output.file_template)
    marks = template.replace("#", "?")
    first, last = source.numbers[0], source.numbers[-1]
    image = numbered(template, first)
    return "\n".join(
        [
            f"Every pixel was raised by {panel.offset} ADU. To other programs, say",
            f"  MOSFLM:  ADCOFFSET {panel.offset}",
            "           NULLPIX 0",
            f"  XDS:     NAME_TEMPLATE_OF_DATA_FRAMES={marks}",
            f"           DATA_RANGE={first} {last}",
            "           DETECTOR=ADSC  MINIMUM_VALID_PIXEL_VALUE=1  "
            f"OVERLOAD={panel.highest + panel.offset}",
            f"  xia2:    {' '.join(['xia2', *xia2_arguments(image, first, last)])}",
            "  DIALS without this plugin: dials.import geometry.detector.panel."
            f"gain={panel.gain:.4g} geometry.detector.panel."
            f"pedestal={panel.pedestal + panel.offset:.4g}",
        ]
    )
