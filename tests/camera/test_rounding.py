from __future__ import annotations

import pytest

from dials_truncfix.camera.rounding import (
    MANUAL_TABLE,
    rounding_loss,
    rounding_loss_by_draws,
)

# Sums of the manual's own model in units of 1e-4, absolute and relative.
SUMS = {0.1: (2.61, 3.05), 0.5: (1.95, 2.40), 1.0: (1.39, 1.81), 2.0: (0.76, 1.11)}


@pytest.mark.parametrize("electrons, printed", MANUAL_TABLE)
def test_the_model_gives_half_of_what_the_manual_prints(electrons, printed):
    loss = rounding_loss(electrons)
    absolute, relative = SUMS[electrons]
    assert 1e4 * loss.absolute == pytest.approx(absolute, rel=0.01)
    assert 1e4 * loss.relative == pytest.approx(relative, rel=0.01)
    # one digit is printed
    assert 1.7 < printed / loss.absolute < 2.8


def test_draws_agree_with_the_sums():
    drawn, summed = rounding_loss_by_draws(0.5, 4_000_000, 1), rounding_loss(0.5)
    assert drawn.floating == pytest.approx(summed.floating, rel=2e-3)
    assert drawn.absolute == pytest.approx(summed.absolute, rel=0.1)


def test_finer_scales_lose_less():
    assert rounding_loss(1.0, 32).absolute < 0.5 * rounding_loss(1.0, 16).absolute
    with pytest.raises(ValueError, match="0 electrons"):
        rounding_loss(0)
