"""The record of a run of dials.truncfix as arrays: one value per image and annulus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.plain import from_plain
from dials_truncfix.io.source_files import printable
from dials_truncfix.report.records import damage_of, read_record_of
from dials_truncfix.report.resolution import inverse_square, middle_of
from dials_truncfix.sweep.illustrations import Illustrations
from dials_truncfix.sweep.record import SCHEMA
from dials_truncfix.sweep.record_layout import spread_out

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RingSeries:
    """Fits of all images, annulus by annulus; regions of one annulus are averaged.

    Arrays have the shape (n_images, n_rings), and NaN where an image has no such
    annulus or no fit of it.

    Attributes
    ----------
    d_limits : ndarray, shape (n_rings, 2), float64
        Resolution limits, Å, from the centre outwards.
    n_pixels, n_zero : ndarray, float64
        Pixels, and those recorded as zero; 0 where there are none.
    p_nonpositive : ndarray, float64
        Fitted probability of being recorded as zero.
    mean, sd : ndarray, float64
        Of the fitted distribution, ADU.
    mean_nonpositive : ndarray, float64
        Mean of what the zeros had been, ADU.
    rmsd : ndarray, float64
        Observed from fitted counts, pixels per grey level.
    chi_square : ndarray, float64
        Per degree of freedom.
    models : tuple of Counter
        Names of the families in each annulus, and how many regions have each.
    family_means : tuple of dict
        Mean of what the zeros had been by each family, ADU, in each annulus.
    n_unconverged : int
        Fits that did not meet their tolerance.
    """

    d_limits: Array
    n_pixels: Array
    n_zero: Array
    p_nonpositive: Array
    mean: Array
    sd: Array
    mean_nonpositive: Array
    rmsd: Array
    chi_square: Array
    models: tuple[Counter[str], ...]
    family_means: tuple[dict[str, float], ...]
    n_unconverged: int

    @property
    def n_rings(self) -> int:
        """Number of annuli."""
        return len(self.d_limits)

    @property
    def zero_fraction(self) -> Array:
        """Fraction of the pixels recorded as zero; NaN without pixels."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.n_zero / self.n_pixels)

    @property
    def lift(self) -> Array:
        """How far truncation raised the mean of the pixels, ADU."""
        return -self.p_nonpositive * self.mean_nonpositive

    def average(self, name: str) -> Array:
        """Average one of the arrays over the images, (n_rings,)."""
        values = getattr(self, name)
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=0)
        count = known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class SweepResults:
    """What the report is made from.

    Attributes
    ----------
    record : Mapping
        The record as it was read.
    numbers : ndarray, shape (n_images,), int64
        Numbers of the images; none where nothing was corrected.
    rings : RingSeries or None
        None where nothing was corrected.
    unfitted : tuple of (int, str)
        Number of each image of which nothing could be fitted, and why.
    illustrations : Illustrations or None
        None where nothing was corrected.
    """

    record: Mapping[str, Any]
    numbers: npt.NDArray[np.int64]
    rings: RingSeries | None
    unfitted: tuple[tuple[int, str], ...]
    illustrations: Illustrations | None


def read_record(path: str) -> dict[str, Any]:
    """Read the record of a run.

    Parameters
    ----------
    path : str
        ``dials.truncfix.json``.

    Returns
    -------
    dict
        With what it says of each annulus of each image, see `record_layout.spread_out`.

    Raises
    ------
    ValueError
        When the file is no such record, damaged, or of another version.
    OSError
        When it cannot be read.
    """
    content = read_record_of("dials.truncfix", SCHEMA, path)
    with damage_of(printable(path)):
        record = spread_out(content)
    if record.get("images") and "illustrations" not in record:
        raise ValueError(
            f"{printable(path)} holds no histograms and no pictures, as it was written by an "
            "earlier version of the program: run dials.truncfix again"
        )
    return record


def sweep_results(record: Mapping[str, Any]) -> SweepResults:
    """Prepare a record for the report.

    Parameters
    ----------
    record : Mapping
        From `read_record`, or of a run that just ended. Damage shows as errors of
        many kinds: see `records.damage_of`.

    Returns
    -------
    SweepResults
    """
    images = record.get("images") or []
    if not images:
        return SweepResults(record, np.zeros(0, np.int64), None, (), None)
    return SweepResults(
        record=record,
        numbers=np.array([image["image"] for image in images], dtype=np.int64),
        rings=_ring_series(images, _limits(record, images)),
        unfitted=tuple(
            (int(image["image"]), _status(image["annuli"]))
            for image in images
            if all(ring["status"] != "fitted" for ring in image["annuli"])
        ),
        illustrations=from_plain(Illustrations, record["illustrations"]),
    )


def _status(regions: Sequence[Mapping[str, Any]]) -> str:
    words = (str(region["status"]).replace("_", " ") for region in regions)
    return " and ".join(dict.fromkeys(words))


def _limits(record: Mapping[str, Any], images: Sequence[Mapping[str, Any]]) -> Array:
    """Resolution limits of the annuli, (n_rings, 2), Å."""
    if record.get("regions"):
        edges = _numbers(record["regions"]["d_limits"])
        return np.stack([edges[:-1], edges[1:]], axis=1)
    divisions = Counter(
        tuple((ring["d_max"], ring["d_min"]) for ring in image["annuli"])
        for image in images
    )
    return np.array([_numbers(limits) for limits in divisions.most_common(1)[0][0]])


def _numbers(values: Sequence[Any]) -> Array:
    """JSON has no NaN or infinity; null stands for both."""
    return np.array([np.nan if x is None else x for x in values], dtype=np.float64)


def _ring_series(images: Sequence[Mapping[str, Any]], d_limits: Array) -> RingSeries:
    regions = [region for image in images for region in image["annuli"]]
    image = np.repeat(np.arange(len(images)), [len(i["annuli"]) for i in images])

    def column(key: str) -> Array:
        return _numbers([region[key] for region in regions])

    outer = inverse_square(d_limits[:, 1])
    middle = middle_of(np.stack([column("d_max"), column("d_min")], axis=1))
    ring = np.minimum(np.searchsorted(outer, middle), len(outer) - 1)
    place = (image, ring)
    shape = (len(images), len(d_limits))
    n_pixels, n_zero = column("n_pixels"), column("n_zero")
    fitted = np.array([region["status"] == "fitted" for region in regions], dtype=bool)

    def total(values: Array) -> Array:
        result = np.zeros(shape)
        np.add.at(result, place, values)
        return result

    def average(values: Array, weight: Array) -> Array:
        weight = np.where(fitted & np.isfinite(values), weight, 0.0)
        summed = total(np.where(weight > 0, values, 0.0) * weight)
        weights = total(weight)
        return np.where(weights > 0, summed / np.where(weights > 0, weights, 1), np.nan)

    variance, of_zeros = column("variance"), column("mean_nonpositive")
    families = np.array([str(region["model"]) for region in regions])
    names = [sorted(set(families[fitted & (ring == k)])) for k in range(shape[1])]
    return RingSeries(
        d_limits=d_limits,
        n_pixels=total(n_pixels),
        n_zero=total(n_zero),
        p_nonpositive=average(column("p_nonpositive"), n_pixels),
        mean=average(column("mean"), n_pixels),
        sd=np.sqrt(average(variance, n_pixels)),
        mean_nonpositive=average(of_zeros, n_zero),
        rmsd=average(column("rmsd"), np.ones(len(regions))),
        chi_square=average(column("chi_square"), np.ones(len(regions))),
        models=tuple(
            Counter(families[fitted & (ring == k)].tolist()) for k in range(shape[1])
        ),
        family_means=tuple(
            {
                name: float(
                    np.nanmean(of_zeros[fitted & (ring == k) & (families == name)])
                )
                for name in names[k]
            }
            for k in range(shape[1])
        ),
        n_unconverged=int(
            sum(1 for r in regions if r["status"] == "fitted" and not r["converged"])
        ),
    )
