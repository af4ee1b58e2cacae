from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from dials_truncfix.calibrate.rings.standards import (
    BUILT_IN,
    custom_standard,
    named_standard,
)


def test_cubic_rings_are_those_of_the_lattice():
    gold = named_standard("Au", 0.9)
    hkl = [3, 4, 8, 11, 12, 16, 19, 20]
    assert gold.d == pytest.approx(4.0786 / np.sqrt(hkl), rel=1e-6)
    # 111 is the strongest ring of every face-centred metal
    assert gold.strength[0] == 1.0


def test_silicon_has_no_200_and_no_222_and_graphite_its_layers():
    silicon = named_standard("silicon", 1.0)
    assert not np.any(np.isclose(silicon.d, 5.4310 / 2, rtol=1e-3))
    assert not np.any(np.isclose(silicon.d, 5.4310 / np.sqrt(12), rtol=1e-3))
    graphite = named_standard("graphitised carbon", 1.0)
    assert graphite.d[0] == pytest.approx(6.7079 / 2)


@pytest.mark.skipif(
    importlib.util.find_spec("pyFAI") is None, reason="pyFAI is not installed"
)
def test_calibrants_of_pyfai_agree_with_our_own():
    ours, theirs = named_standard("silicon", 1.0), named_standard("Si_SRM640", 1.0)
    assert ours.d[:5] == pytest.approx(theirs.d[:5], rel=2e-4)
    assert theirs.source == "pyFAI"


def test_unknown_names_and_spacings_are_refused():
    with pytest.raises(ValueError, match="kryptonite") as error:
        named_standard("kryptonite", 1.0)
    assert all(name in str(error.value) for name in BUILT_IN)
    with pytest.raises(ValueError, match="positive"):
        custom_standard([2.0, -1.0])
    assert custom_standard([1.0, 3.0, 2.0]).d.tolist() == [3.0, 2.0, 1.0]
