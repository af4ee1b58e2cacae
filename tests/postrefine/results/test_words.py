from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.results.profiles import PARTIALITY_EDGES, Profile
from dials_truncfix.postrefine.results.words import recorded_in_words


def profile(partialities):
    n, edges = np.histogram(partialities, PARTIALITY_EDGES)
    unknown = np.full(len(n), np.nan)
    return Profile(edges, n, unknown, unknown, unknown, n, unknown)


@pytest.mark.parametrize(
    ("partialities", "most"), [(np.linspace(0, 0.34, 500), "35 %"), ([0.02], "5 %")]
)
def test_rotations_narrower_than_rocking_curves_are_warned_of(partialities, most):
    (sentence,) = recorded_in_words(profile(partialities))
    assert most in sentence
    assert "wider rotations" in sentence


@pytest.mark.parametrize(
    "partialities", [np.linspace(0, 1, 500), [*np.zeros(50), 0.8], []]
)
def test_reflections_recorded_to_a_large_part_are_no_reason_to_warn(partialities):
    assert recorded_in_words(profile(partialities)) == []
