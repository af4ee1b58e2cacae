from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.camera.coincidence import (
    CONVERSION,
    K3_SPEED,
    MANUAL_K2,
    MANUAL_K3,
    MANUAL_TABLE,
    NO_LOSS,
    SERIALEM_K2_200_KV,
    SERIALEM_K2_300_KV,
    SERIALEM_K3_200_KV,
    loss_curve,
)

CURVES = (
    MANUAL_K2,
    MANUAL_K3,
    SERIALEM_K2_200_KV,
    SERIALEM_K2_300_KV,
    SERIALEM_K3_200_KV,
    NO_LOSS,
)


@pytest.mark.parametrize("rate, printed", MANUAL_TABLE)
def test_the_manuals_table_within_a_hundredth(rate, printed):
    assert MANUAL_K2.factor(rate) == pytest.approx(printed, abs=0.01 + 1e-3)
    assert MANUAL_K3.factor(3.75 * rate) == pytest.approx(MANUAL_K2.factor(rate))
    assert MANUAL_K2.counted(rate) == pytest.approx(rate * 0.87 * printed, rel=0.012)


@pytest.mark.parametrize(
    "curve, factors",
    [
        (SERIALEM_K2_200_KV, (0.996, 0.950, 0.910, 0.777)),
        (SERIALEM_K2_300_KV, (0.846, 0.813, 0.785, 0.691)),
    ],
)
def test_the_tables_of_serialem_within_two_hundredths(curve, factors):
    assert curve.factor([5, 7.5, 10, 20]) == pytest.approx(factors, abs=0.02)


def test_the_k3_is_read_3_75_times_as_fast():
    assert K3_SPEED == 3.75


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_the_inverse_undoes_the_loss(curve):
    rates = np.array([0, 0.01, 0.5, 2, 5, 10, 19.5])
    assert curve.true_rate(curve.counted(rates)) == pytest.approx(rates, rel=1e-6)


def test_conversion_is_apart_from_coincidence():
    few = 1e-4
    assert MANUAL_K2.counted(few) / few == pytest.approx(CONVERSION)
    assert MANUAL_K2.factor(few) == pytest.approx(1)


def test_counts_stay_at_their_maximum_where_the_table_ends():
    highest = MANUAL_K2.highest_counted
    assert MANUAL_K2.counted([19.8, 25, 400]) == pytest.approx([highest] * 3, rel=1e-4)
    assert MANUAL_K2.true_rate(highest) == pytest.approx(28 / np.sqrt(2), rel=1e-6)
    with pytest.raises(ValueError, match=r"manual of SerialEM \(K2\).*more than 10.4"):
        MANUAL_K2.true_rate(11)
    with pytest.raises(ValueError, match="-1 counts"):
        MANUAL_K2.true_rate([3, -1])


def test_the_voltage_chooses_the_table_of_serialem():
    assert loss_curve("K2", "serialem", 200) is SERIALEM_K2_200_KV
    assert loss_curve("K2", "serialem", 300) is SERIALEM_K2_300_KV
    assert loss_curve("K3", "serialem", 300) is SERIALEM_K3_200_KV
    with pytest.raises(ValueError, match="no loss of counts of a F416 by manual"):
        loss_curve("F416", "manual", 200)
