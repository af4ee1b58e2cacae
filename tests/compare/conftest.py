from __future__ import annotations

import pytest

from integrated_tables import truth_of
from simulated_sweeps import make_small_sweep


@pytest.fixture(scope="session")
def small_sweep():
    return make_small_sweep()


@pytest.fixture(scope="session")
def truth(small_sweep):
    return truth_of(small_sweep)
