"""What the log says of regions, and of how uniform the background is around the beam."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from dials.util import tabulate

from dials_truncfix.correction.regions.anisotropy import SMALLEST_CHANCE, Anisotropy
from dials_truncfix.correction.regions.areas import Areas
from dials_truncfix.sweep.measure import ImageFits
from dials_truncfix.sweep.work import SweepWork

logger = logging.getLogger("dials.truncfix.regions")


def log_regions(work: SweepWork) -> None:
    """Say what the images are divided into, if not just annuli.

    Raises
    ------
    ValueError
        When the labels do not fit the images.
    """
    options = work.options
    if work.areas is not None:
        logger.info("Labels: %s", _labels(work.areas))
        for first, *others in work.areas.labels:
            if others:
                logger.warning(
                    "Label %s, of fewer than %d pixels, is fitted together with label "
                    "%d, which is next to it.",
                    " and ".join(map(str, others)),
                    options.minimum_pixels,
                    first,
                )
    if options.shape == "sectors":
        logger.info("Annuli are divided into %d sectors.", options.n_sectors)
    elif work.division is not None and options.shape == "tiles":
        bounds = work.division.bounds
        slow, fast = (len(np.unique(bounds[:, axis])) for axis in (0, 2))
        logger.info("Annuli are divided by %d × %d tiles.", fast, slow)


def _labels(areas: Areas) -> str:
    """List the labels with their pixels."""
    n_pixels = np.bincount(areas.area.ravel() + 1, minlength=len(areas.labels) + 1)
    parts = [
        f"{' + '.join(map(str, labels))} ({count} pixels)"
        for labels, count in zip(areas.labels, n_pixels[1:])
    ]
    return f"{', '.join(parts)}; {n_pixels[0]} pixels are left as they are"


def region_table(fits: list[ImageFits]) -> str:
    """Tabulate the fits of regions, a row for each annulus.

    Parameters
    ----------
    fits : list of ImageFits
        All images; their annuli are divided into regions.

    Returns
    -------
    str
    """
    columns = {
        name: np.concatenate([getattr(image.fits, name) for image in fits])
        for name in ("p_nonpositive", "mean", "mean_nonpositive", "family", "fitted")
    }
    tables = [image.regions.table for image in fits]
    ring = np.concatenate([table.ring for table in tables])
    cell = np.concatenate([table.cell for table in tables])
    n_pixels = np.concatenate([table.n_pixels for table in tables])
    n_zero = np.concatenate([image.regions.n_zero for image in fits])
    d_limits = np.concatenate([image.regions.d_limits for image in fits])
    rows = []
    for number in np.unique(ring):
        mine = ring == number
        known = mine & columns["fitted"]
        row = [
            int(number) + 1,
            f"{_resolution(d_limits[mine, 0].max())}-"
            f"{_resolution(d_limits[mine, 1].min())}",
            len(np.unique(cell[mine])),
            int(n_pixels[mine].sum()) // len(fits),
            f"{100 * n_zero[mine].sum() / max(n_pixels[mine].sum(), 1):.2f}",
            _families(columns["family"][known]),
        ]
        if known.any():
            means = [
                columns["mean"][known & (cell == c)].mean()
                for c in np.unique(cell[known])
            ]
            weight = n_pixels[known]
            row += [
                f"{np.average(columns['p_nonpositive'][known], weights=weight):.4f}",
                f"{np.average(columns['mean'][known], weights=weight):.2f}",
                f"{min(means):.2f}, {max(means):.2f}",
                f"{np.average(columns['mean_nonpositive'][known], weights=weight):.2f}",
            ]
        else:
            row += ["-"] * 4
        rows.append(row)
    header = [
        "Annulus",
        "d (Å)",
        "Regions",
        "Pixels",
        "Zeros (%)",
        "Model (regions)",
        "P(zero)",
        "Mean\n(ADU)",
        "Lowest, highest\nmean (ADU)",
        "Mean of\nzeros (ADU)",
    ]
    return (
        "Fits of the regions of each annulus, averaged over the images; the mean of "
        "zeros is what\nthe pixels recorded as zero would have been on average:\n"
        + str(tabulate(rows, header))
    )


def _families(names: Sequence[str]) -> str:
    found, count = np.unique(names, return_counts=True)
    return ", ".join(f"{n} {name}" for name, n in zip(found, count)) or "-"


def _resolution(d: float) -> str:
    return f"{d:.2f}" if d < 100 else "beam"


def log_anisotropy(rings: Sequence[Anisotropy], divided: bool) -> None:
    """Say whether the background is uniform around the annuli.

    Parameters
    ----------
    rings : sequence of Anisotropy
        Of the annuli, from the centre outwards.
    divided : bool
        Whether they are divided into sectors or tiles already.
    """
    known = [(i + 1, ring) for i, ring in enumerate(rings) if np.isfinite(ring.error)]
    if not known:
        return
    uneven = [
        (number, ring)
        for number, ring in known
        if ring.chance < SMALLEST_CHANCE / len(rings)
    ]
    if not uneven:
        logger.info(
            "The background is uniform around the annuli (F is at most %.1f).",
            max(ring.statistic for _, ring in known),
        )
        return
    number, most = max(uneven, key=lambda item: item[1].error)
    logger.info(
        "The background varies around %s: most in effect around annulus %d, by "
        "± %.2f ADU (F = %.1f).",
        _listed([number for number, _ in uneven], len(rings)),
        number,
        most.amplitude,
        most.statistic,
    )
    if most.advised and not divided:
        logger.warning(
            "This puts the local background off by up to ± %.2f ADU: give "
            "regions.shape=sectors, and check the beam centre.",
            most.error,
        )


def _listed(numbers: Sequence[int], n_annuli: int) -> str:
    """Name some annuli."""
    if len(numbers) == n_annuli:
        return "all annuli"
    if len(numbers) == 1:
        return f"annulus {numbers[0]}"
    return f"annuli {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
