"""Laws of the readings of a camera at the rates of a logarithmic grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.draws.camera_tables import camera_tables, zero_law
from dials_truncfix.correction.draws.mixture import NodeMixture
from dials_truncfix.correction.draws.quantiles import QuantileTables
from dials_truncfix.correction.joint_camera.camera_law import (
    coarsest_step,
    grid_to,
    masses,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel

Array = NDArray[np.float64]

# Rates 4 % apart; a node is one byte.
N_RATES = 256
# Mean signal of the lowest and the highest rate, over the noise of one electron.
_LOWEST_SIGNAL = 0.004
_HIGHEST_SIGNAL = 60.0
_N_CELLS = 2048
# Readings up to this many times the read noise are as likely to be of the background
# around a zero as of anything brighter.
_LOW_DEVIATIONS = 2.0
_FEWEST_LOW_VALUES = 3
# Far above the rounding errors of probabilities.
_RAREST_LOW = 1e-9
_RAREST_VALUE = 1e-14
# Above this many times the noise of one electron values count by their logarithm.
_LINEAR_DEVIATIONS = 3.0
_CAPPED = 0.9


@dataclass(frozen=True)
class RateLaws:
    """
    What a camera records at the rates of a grid.

    Attributes
    ----------
    rate : ndarray, shape (256,), float64
        Rates in equal logarithmic steps, e⁻.
    log_low : ndarray, shape (256, n_low), float64
        Logarithm of the probability of each recorded value from 0 on, given that it
        is below n_low.
    compressed : ndarray, shape (65536,), float32
        What each recorded value counts in a mean over neighbours: linear in faint
        pixels, logarithmic in bright ones.
    expected : ndarray, shape (256,), float32
        Mean of `compressed`.
    cap : ndarray, shape (256,), float32
        What a tenth of the pixels exceed in `compressed`.
    expected_capped : ndarray, shape (256,), float32
        Mean of what is left of `compressed` below the cap.
    tables : QuantileTables
        Quantiles of the readings that were recorded as zero, a row for each rate, ADU.
    """

    rate: Array
    log_low: Array
    compressed: NDArray[np.float32]
    expected: NDArray[np.float32]
    cap: NDArray[np.float32]
    expected_capped: NDArray[np.float32]
    tables: QuantileTables

    @property
    def mixture(self) -> NodeMixture:
        """Each rate as a node with its own row of the tables."""
        return NodeMixture(np.arange(N_RATES)[:, None], np.ones((N_RATES, 1)))

    def nearest(self, rate: Array) -> NDArray[np.uint8]:
        """Return the indices of the nearest rates of the grid, in the same shape."""
        step = np.log(self.rate[1] / self.rate[0])
        with np.errstate(divide="ignore"):
            place = np.log(np.maximum(rate, 0.0) / self.rate[0]) / step
        return np.asarray(np.rint(np.clip(place, 0, N_RATES - 1)), dtype=np.uint8)


@lru_cache(maxsize=2)
def rate_laws(model: CameraModel) -> RateLaws:
    """
    Tabulate the laws of a camera.

    Parameters
    ----------
    model : CameraModel
        The camera.

    Returns
    -------
    RateLaws
        The last ones are kept: a sweep has one camera.
    """
    noise = float(np.hypot(model.read_noise, model.effective_gain))
    signal = noise * np.geomspace(_LOWEST_SIGNAL, _HIGHEST_SIGNAL, N_RATES)
    rate = signal / model.gain
    probability = _recorded(model, rate)
    n_low = max(round(_LOW_DEVIATIONS * model.read_noise), _FEWEST_LOW_VALUES) + 1
    low = probability[:, :n_low]
    # rates that hardly ever give low values are taken to give them like the last that does
    known = np.flatnonzero(low.sum(axis=1) > _RAREST_LOW)
    low = np.maximum(low[np.minimum(np.arange(N_RATES), known[-1])], _RAREST_VALUE)
    value = np.arange(1 << 16)
    compressed = np.arcsinh(value / (_LINEAR_DEVIATIONS * noise))
    occurring = compressed[: probability.shape[1]]
    exceeded = (np.cumsum(probability, axis=1) < _CAPPED).sum(axis=1)
    cap = occurring[np.minimum(exceeded, len(occurring) - 1)]
    capped = np.minimum(occurring, cap[:, None])
    return RateLaws(
        rate=rate,
        log_low=np.log(low / low.sum(axis=1, keepdims=True)),
        compressed=compressed.astype(np.float32),
        expected=(probability * occurring).sum(axis=1).astype(np.float32),
        cap=cap.astype(np.float32),
        expected_capped=(probability * capped).sum(axis=1).astype(np.float32),
        tables=camera_tables(model, rate, _N_CELLS),
    )


def _recorded(model: CameraModel, rate: Array) -> Array:
    """Probabilities of the recorded values from 0 on, (n_rates, n_values)."""
    step = min(coarsest_step(model.read_noise), 1.0)
    per_value = round(1.0 / step)
    highest = model.mean(rate[-1]) + 9.0 * np.sqrt(model.variance(rate[-1]))
    highest += 30.0 * model.effective_gain
    grid = grid_to(model, float(highest), step)
    above = masses(model, rate, grid)[:, round((model.threshold - grid.low) / step) :]
    whole = above[:, : above.shape[1] // per_value * per_value]
    positive = whole.reshape(len(rate), -1, per_value).sum(axis=2)
    zero = np.exp(zero_law(model, rate).log_p)
    recorded = np.concatenate([zero[:, None], positive], axis=1)
    return np.asarray(np.maximum(recorded, 0.0))
