from __future__ import annotations

import pytest

from simulated_sweeps import make_small_sweep


@pytest.fixture(scope="session")
def small_sweep():
    return make_small_sweep()
