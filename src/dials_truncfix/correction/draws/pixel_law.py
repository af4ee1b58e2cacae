"""From the fits of an image to the law of each of its zeros, and to draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.correlation.correlated_draws import correlated_uniforms
from dials_truncfix.correction.correlation.latent_scores import Scores, normal_scores
from dials_truncfix.correction.correlation.noise_correlation import (
    NoiseCorrelation,
    measure_correlation,
)
from dials_truncfix.correction.draws.draw import drawn_runs
from dials_truncfix.correction.draws.local_mean import local_rates
from dials_truncfix.correction.draws.mixture import NodeMixture
from dials_truncfix.correction.draws.pixel_runs import joined
from dials_truncfix.correction.draws.quantiles import QuantileTables
from dials_truncfix.correction.draws.rate_laws import rate_laws
from dials_truncfix.correction.draws.region_law import law_of_zeros
from dials_truncfix.correction.draws.zeros import find_zeros
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.annuli import OUTSIDE
from dials_truncfix.correction.regions.nodes import Nodes
from dials_truncfix.correction.regions.regions import Regions
from dials_truncfix.correction.regions.scattering import Radii

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PixelLaw:
    """
    Law of each zero of an image.

    Attributes
    ----------
    labels : ndarray, shape (ny, nx), signed integer
        Negative for the pixels whose zeros are not replaced.
    node : ndarray, shape (ny, nx), unsigned integer
        Node of each pixel.
    tables : QuantileTables
        Rows of quantiles, ADU.
    mixture : NodeMixture
        What the rows contribute to each node.
    expected : ndarray, shape (n_nodes,), float64
        What orders the nodes by brightness.
    scores : Scores or None
        Where draws are correlated, the normal scores of the pixels.
    correlation : NoiseCorrelation or None
        And their correlation.
    """

    labels: npt.NDArray[np.signedinteger[Any]]
    node: npt.NDArray[np.unsignedinteger[Any]]
    tables: QuantileTables
    mixture: NodeMixture
    expected: npt.NDArray[np.float64]
    scores: Scores | None = None
    correlation: NoiseCorrelation | None = None


def regional_law(
    image: IntArray,
    regions: Regions,
    radius: Radii,
    nodes: Nodes,
    fits: RingFits,
) -> PixelLaw:
    """
    Interpolate the laws of the regions of an image.

    Parameters
    ----------
    image, regions, radius, nodes, fits
        As for `region_law.law_of_zeros`.

    Returns
    -------
    PixelLaw
    """
    tables, mixture = law_of_zeros(image, regions, radius, nodes, fits)
    expected = at_nodes(fits.mean[fits.fitted], mixture)
    return PixelLaw(regions.labels, nodes.node, tables, mixture, expected)


def at_nodes(
    values: npt.NDArray[np.float64], mixture: NodeMixture
) -> npt.NDArray[np.float64]:
    """Interpolate a value of each row at the nodes, shape (n_nodes,)."""
    return np.asarray((mixture.weights * values[mixture.rows]).sum(axis=1))


def with_local_rates(
    image: IntArray, law: PixelLaw, fits: RingFits, spots_only: bool
) -> PixelLaw:
    """
    Take the law of each pixel at the rate that the pixels around it tell.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    law : PixelLaw
        From `regional_law`.
    fits : RingFits
        Fits of the regions with one camera.
    spots_only : bool
        As for `local_mean.local_rates`.

    Returns
    -------
    PixelLaw
        Its nodes are rates.

    Raises
    ------
    ValueError
        If the fits have no camera.
    """
    if fits.camera is None or (fits.family[fits.fitted] != "camera").any():
        raise ValueError("local rates need fits with a camera model")
    laws = rate_laws(fits.camera)
    start = laws.nearest(at_nodes(fits.theta[fits.fitted, 0], law.mixture))[law.node]
    # near no region that was fitted there is nothing to start from
    known = law.mixture.weights.sum(axis=1) > 0.5
    labels = law.labels
    if not known.all():
        labels = np.where(known[law.node], labels, labels.dtype.type(OUTSIDE))
    rates = local_rates(image, labels >= 0, start, laws, spots_only)
    return PixelLaw(labels, rates, laws.tables, laws.mixture, laws.rate)


def with_correlation(image: IntArray, law: PixelLaw) -> PixelLaw:
    """
    Give the law the correlation of neighbouring pixels, if they have any.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    law : PixelLaw
        Law of its zeros.

    Returns
    -------
    PixelLaw
        The one given where the correlation is a matter of chance.
    """
    scores, correlation = noise_correlation(image, law)
    if correlation is None or not correlation.significant:
        return law
    return replace(law, scores=scores, correlation=correlation)


def noise_correlation(
    image: IntArray, law: PixelLaw
) -> tuple[Scores, NoiseCorrelation | None]:
    """
    Measure the correlation of neighbouring pixels, significant or not.

    Parameters
    ----------
    image, law
        As for `with_correlation`.

    Returns
    -------
    scores : Scores
        Normal scores of the pixels.
    correlation : NoiseCorrelation or None
        None where the image is too small.
    """
    scores = normal_scores(image, law.labels >= 0, law.node, law.expected)
    return scores, measure_correlation(image, scores)


def draw_pixels(
    image: IntArray,
    law: PixelLaw,
    *,
    seed: int,
    image_number: int,
    assign: str,
    rounding: str,
) -> npt.NDArray[np.int32]:
    """
    Replace the zeros of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    law : PixelLaw
        Law of its zeros.
    seed, image_number, assign, rounding
        As for `draw.draw_zeros`.

    Returns
    -------
    ndarray, shape (ny, nx), int32
        ADU.
    """
    runs = draw_runs(
        image,
        law,
        seed=seed,
        image_number=image_number,
        assign=assign,
        rounding=rounding,
    )
    return joined(runs, image.shape)


def draw_runs(
    image: IntArray,
    law: PixelLaw,
    *,
    seed: int,
    image_number: int,
    assign: str,
    rounding: str,
) -> Iterator[npt.NDArray[np.signedinteger[Any]]]:
    """
    Replace the zeros of an image in runs of consecutive pixels.

    Parameters
    ----------
    image, law, seed, image_number, assign, rounding
        As for `draw_pixels`.

    Yields
    ------
    ndarray, shape (n,), int32 or int16
        See `draw.drawn_runs`.
    """
    uniforms = None
    if law.scores is not None and law.correlation is not None:
        uniforms = correlated_uniforms(
            law.scores,
            find_zeros(image, law.labels),
            law.correlation,
            seed=seed,
            image_number=image_number,
        )
    yield from drawn_runs(
        image,
        law.labels,
        law.node,
        law.tables,
        law.mixture,
        seed=seed,
        image_number=image_number,
        assign=assign,
        rounding=rounding,
        uniforms=uniforms,
    )
