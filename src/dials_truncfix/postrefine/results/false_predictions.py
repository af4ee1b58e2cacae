"""Whether negative measurements are false predictions, the question that the note ends with.

A reflection that is predicted far from the Ewald sphere records either the tail of its
reciprocal lattice point, or nothing. Noise makes about half of those that record nothing
negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.cycles.held_out import HeldOut
from dials_truncfix.postrefine.lattice.partiality import Model, partiality
from dials_truncfix.postrefine.results.profiles import Profile

#: The models in sentences.
NAMES = {
    Model.SPHERE: "sphere",
    Model.LORENTZIAN: "Lorentzian",
    Model.GAUSSIAN: "Gaussian",
}
#: Excitation errors beyond so many rs are far: models A, B and G have 0, 18 and 4 % there.
FAR = 1.5
_FEWEST = 100
_LARGEST_SD = 0.03
#: Standard deviations that tell something from nothing.
_SIGNIFICANT = 3.0
#: A smaller part of negative measurements comes from choosing what is strong.
_FEW_NEGATIVE = 0.02
#: Differences of log likelihoods that tell models apart.
_DECISIVE = 5.0


@dataclass(frozen=True)
class FarPredictions:
    """What was recorded of reflections predicted far from the Ewald sphere.

    Attributes
    ----------
    n, n_negative : int
        Observations, and those below zero.
    recorded, recorded_sd : float
        Mean part of the full intensities that was recorded, and its standard deviation.
    expected : dict of str to float
        What each model of partiality expects for points of the refined radius.
    """

    n: int
    n_negative: int
    recorded: float
    recorded_sd: float
    expected: dict[str, float]

    @property
    def tells(self) -> bool:
        """Whether there are enough to tell anything."""
        return self.n >= _FEWEST and self.recorded_sd < _LARGEST_SD


def far_predictions(profile: Profile) -> FarPredictions:
    """Average what was recorded far from the sphere.

    Parameters
    ----------
    profile : Profile
        In bins of r_h/rs.

    Returns
    -------
    FarPredictions
        Bins are weighted by their uncertainties.
    """
    middle = (profile.edges[:-1] + profile.edges[1:]) / 2
    inner = np.minimum(np.abs(profile.edges[:-1]), np.abs(profile.edges[1:]))
    far = inner >= FAR - 1e-9
    known = far & np.isfinite(profile.observed) & (profile.observed_sd > 0)
    weight = np.zeros(len(middle))
    weight[known] = profile.observed_sd[known] ** -2.0
    total = weight.sum()
    nan = float("nan")
    observed = np.where(known, profile.observed, 0.0)
    return FarPredictions(
        n=int(profile.n[far].sum()),
        n_negative=int(profile.n_negative[far].sum()),
        recorded=float(weight @ observed / total) if total > 0 else nan,
        recorded_sd=float(total**-0.5) if total > 0 else nan,
        expected={
            model.value: float(
                weight @ partiality(model, middle, np.ones(len(middle))) / total
            )
            if total > 0
            else nan
            for model in Model
        },
    )


def choice_in_words(
    held_out: Sequence[HeldOut], model: Model, far: FarPredictions | None
) -> list[str]:
    """Say which model the data choose, and what follows for negative measurements.

    Parameters
    ----------
    held_out : sequence of HeldOut
        One for each model, or none.
    model : Model
        The one that was used.
    far : FarPredictions or None
        From the observations refined by it.
    """
    result = [_of_models(held_out, model)]
    if far is not None:
        result.append(_of_negatives(far))
    return result


def _of_models(held_out: Sequence[HeldOut], model: Model) -> str:
    if len(held_out) < 2:
        return "Too few observations were held out to compare the models of partiality."
    best, second, *_ = sorted(held_out, key=lambda h: h.score)
    lead = second.score - best.score
    if lead * best.n_free < _DECISIVE:
        text = (
            f"Observations held out do not tell the {NAMES[best.model]} and the "
            f"{NAMES[second.model]} apart"
        )
    else:
        text = (
            f"The {NAMES[best.model]} predicts observations held out best (R free "
            f"{best.r_free:.3f}, {second.r_free:.3f} of the {NAMES[second.model]}; "
            f"log likelihood higher by {lead:.2g} per observation)"
        )
    used = "" if best.model is model else f"; the {NAMES[model]} was asked for"
    return f"{text}{used}."


def _of_negatives(far: FarPredictions) -> str:
    if not far.tells:
        return (
            f"Too few observations lie beyond {FAR:g} rs from the Ewald sphere to tell "
            "whether negative ones are false predictions."
        )
    recorded, sd = 100 * far.recorded, 100 * far.recorded_sd
    digits = min(max(math.ceil(-math.log10(sd)), 1), 4)
    models = ", ".join(
        f"{100 * far.expected[model.value]:.1f} for the {NAMES[model]}"
        for model in Model
    )
    negative = far.n_negative / far.n
    found = (
        f"Beyond {FAR:g} rs from the Ewald sphere {recorded:.{digits}f} ± "
        f"{sd:.{digits}f} % of the full intensities were recorded (expected: {models}), "
        f"and {100 * negative:.0f} % of the measurements are negative."
    )
    if negative < _FEW_NEGATIVE:
        meaning = (
            "Such measurements are of spots that were found, and tell nothing about "
            "those that were predicted in vain."
        )
    elif far.recorded < _SIGNIFICANT * far.recorded_sd:
        meaning = "The negative ones are false predictions: nothing was recorded there."
    elif far.recorded < 0.5 * far.expected[Model.LORENTZIAN.value]:
        meaning = (
            "The negative ones are for the most part false predictions: little was "
            "recorded there."
        )
    else:
        meaning = (
            "The negative ones are partial reflections below their noise, and no false "
            "predictions."
        )
    return f"{found} {meaning}"
