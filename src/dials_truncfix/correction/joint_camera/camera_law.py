"""Distributions of the readings of a camera, from their characteristic functions.

The probability of each cell of a regular grid is a discrete Fourier transform, exact
but for what lies beyond the ends of the grid and beyond its finest wavelength. Grids
are chosen such that both are below the rounding errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_model import CameraModel

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: The normal tail below this many standard deviations is below the rounding errors.
SD_BELOW = 9.0

# exp(-(π σ / step)² / 2) is 1e-16 here.
_STEPS_PER_SD = 2.75
_SD_ABOVE = 8.5
_PULSES_ABOVE = 8.0
_PULSE_TAIL = 36.0
_MOST_CELLS = 1 << 20
_CELLS_AT_ONCE = 1 << 18
_SERIES_BELOW = 0.02
_SERIES_TERMS = 9
# Below this variance pulses are as good as equal; the formulas divide by it.
_EQUAL_PULSES = 1e-9


@dataclass(frozen=True)
class Grid:
    """Cells of equal width, of which the threshold and all whole steps are edges.

    Attributes
    ----------
    low : float
        Lower edge of the first cell, ADU.
    step : float
        Width of a cell: 1 over a power of two, ADU.
    n_cells : int
        Number of cells, a power of two.
    """

    low: float
    step: float
    n_cells: int

    def index(self, edge: Array) -> NDArray[np.intp]:
        """Return how many cells lie below each edge."""
        return np.asarray(np.rint((edge - self.low) / self.step), dtype=np.intp)


@dataclass(frozen=True)
class LawSlopes:
    """Derivatives of the probabilities of cells, each of shape (n, n_cells).

    Attributes
    ----------
    rate : NDArray[np.float64]
        With respect to the rate, per e⁻.
    log_gain, pulse_variance, log_read_noise : NDArray[np.float64]
        With respect to log G, c and log σ.
    dark : NDArray[np.float64]
        With respect to d, per ADU.
    """

    rate: Array
    log_gain: Array
    pulse_variance: Array
    log_read_noise: Array
    dark: Array


def coarsest_step(read_noise: float, steps_per_sd: float = _STEPS_PER_SD) -> float:
    """Return the width of cells, at most 1 ADU, that resolves the read noise."""
    return float(2.0 ** -np.ceil(np.log2(max(steps_per_sd / read_noise, 1.0))))


def highest_reading(model: CameraModel, rate: Array) -> Array:
    """Return readings beyond which the law of each rate is below rounding errors."""
    return _upper_end(
        model.mean(rate), model.variance(rate), model.gain, model.pulse_variance
    )


def _upper_end(
    mean: Array, variance: Array, gain: float | Array, pulse_variance: float
) -> Array:
    """Return where normal, Poisson and gamma tails have all ended, ADU."""
    pulses = _PULSES_ABOVE + _PULSE_TAIL * pulse_variance
    return np.asarray(mean + _SD_ABOVE * np.sqrt(variance) + gain * pulses)


def grid_to(model: CameraModel, high: float, step: float | None = None) -> Grid:
    """Return a grid from the deepest readings up to a given one.

    Parameters
    ----------
    model : CameraModel
        The camera.
    high : float
        The grid reaches at least as far up, ADU. What lies above, the transform
        wraps around to the lower end.
    step : float, optional
        Width of a cell, 1 over a power of two; by default as wide as the read noise
        allows, ADU.

    Raises
    ------
    ValueError
        When it would have more than a million cells.
    """
    step = coarsest_step(model.read_noise) if step is None else step
    depth = SD_BELOW * model.read_noise + max(model.threshold - model.dark, 0.0)
    low = model.threshold - float(np.ceil(depth))
    width = (max(high, model.threshold) - low) / step
    if not width <= _MOST_CELLS:
        raise ValueError(f"readings up to {high:.3g} ADU are too many for {model}")
    return Grid(low, step, 1 << int(np.ceil(np.log2(width))))


def chunks(n_rows: int, n_cells: int) -> Iterator[slice]:
    """Cut rows into pieces whose transforms take some megabytes."""
    size = max(_CELLS_AT_ONCE // n_cells, 1)
    for start in range(0, n_rows, size):
        yield slice(start, start + size)


def masses(model: CameraModel, rate: Array, grid: Grid) -> Array:
    """Return the probabilities of the cells of a grid, (n, n_cells), for n rates.

    Rounding errors are 1e-16, so that cells without probability can be negative.
    """
    omega = _frequencies(grid)
    pulse = _pulse(omega * model.gain, model.pulse_variance)
    noise = _noise(omega, model.dark, model.read_noise)
    spectrum = np.exp(np.asarray(rate)[:, None] * (pulse - 1.0) + noise)
    return _transform(spectrum * _window(omega, grid.step, 0.0), omega, grid)


def masses_and_rate_slopes(
    model: CameraModel, rate: Array, grid: Grid
) -> tuple[Array, Array]:
    """Return the probabilities of cells and their derivatives by the rate, per e⁻.

    Parameters
    ----------
    model, rate, grid
        As for `masses`.

    Returns
    -------
    tuple of NDArray[np.float64]
        (n, n_cells) each.
    """
    omega = _frequencies(grid)
    pulse = _pulse(omega * model.gain, model.pulse_variance)
    noise = _noise(omega, model.dark, model.read_noise)
    spectrum = np.exp(np.asarray(rate)[:, None] * (pulse - 1.0) + noise)
    spectrum *= _window(omega, grid.step, 0.0)
    return (
        _transform(spectrum, omega, grid),
        _transform(spectrum * (pulse - 1.0), omega, grid),
    )


def masses_and_slopes(
    model: CameraModel, rate: Array, grid: Grid, shift: Array | None = None
) -> tuple[Array, LawSlopes]:
    """Return the probabilities of cells and their derivatives.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n,) rates, e⁻.
    grid : Grid
        That holds the law of the largest rate.
    shift : NDArray[np.float64], optional
        (n,) what each row's dark level has more than the camera's, ADU.

    Returns
    -------
    tuple of NDArray[np.float64] and LawSlopes
        n rows of n_cells.
    """
    rates = np.asarray(rate, dtype=np.float64)[:, None]
    omega = _frequencies(grid)
    pulse = _pulse(omega * model.gain, model.pulse_variance)
    by_log_gain, by_variance = _pulse_slopes(omega * model.gain, model.pulse_variance)
    dark = model.dark if shift is None else model.dark + shift[:, None]
    noise = _noise(omega, dark, model.read_noise)
    spectrum = np.exp(rates * (pulse - 1.0) + noise)
    spectrum *= _window(omega, grid.step, 0.0)
    by_log_noise = -((omega * model.read_noise) ** 2)

    def transformed(factor: ComplexArray) -> Array:
        return _transform(spectrum * factor, omega, grid)

    return _transform(spectrum, omega, grid), LawSlopes(
        rate=transformed(pulse - 1.0),
        log_gain=transformed(by_log_gain) * rates,
        pulse_variance=transformed(by_variance) * rates,
        log_read_noise=transformed(by_log_noise.astype(np.complex128)),
        dark=transformed(-1j * omega),
    )


def tilted_masses(model: CameraModel, rate: Array, tilt: Array, grid: Grid) -> Array:
    """Return the probabilities of cells times exp(K(tilt)), exact deep in the tail.

    The law of density f(x) exp(-tilt x) has electrons of smaller pulses, fewer of
    them, and a lower dark level, and is else of the same kind. Where its bulk lies,
    the transform knows it to all digits, however rare such readings are.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate, tilt : NDArray[np.float64]
        (n,) rates, e⁻, and tilts, ADU⁻¹.
    grid : Grid
        That holds the tilted law of all rows.

    Returns
    -------
    NDArray[np.float64]
        (n, n_cells) probabilities, divided by those at the threshold: each row times
        exp(log E[exp(-tilt (x - threshold))]).
    """
    s = np.asarray(tilt, dtype=np.float64)[:, None]
    tilted = tilted_model(model, rate, tilt)
    omega = _frequencies(grid)
    c = model.pulse_variance
    pulse = _pulse(omega * tilted.gain[:, None], c)
    noise = _noise(omega, tilted.dark[:, None], model.read_noise)
    spectrum = np.exp(tilted.rate[:, None] * (pulse - 1.0) + noise)
    spectrum *= _window(omega, grid.step, s)
    middle = grid.low + (np.arange(grid.n_cells) + 0.5) * grid.step
    # above the threshold the weight would raise rounding errors
    weight = np.exp(s * np.minimum(middle - model.threshold, 0.0))
    return np.asarray(_transform(spectrum, omega, grid) * weight)


@dataclass(frozen=True)
class TiltedModel:
    """Parameters of tilted laws, each of shape (n,).

    Attributes
    ----------
    rate, gain, dark : NDArray[np.float64]
        Of laws of the same kind, e⁻, ADU/e⁻ and ADU.
    mean, variance : NDArray[np.float64]
        ADU and ADU².
    highest : NDArray[np.float64]
        Readings beyond which the laws are below rounding errors, ADU.
    log_factor : NDArray[np.float64]
        log E[exp(-tilt (x - threshold))].
    """

    rate: Array
    gain: Array
    dark: Array
    mean: Array
    variance: Array
    highest: Array
    log_factor: Array


def tilted_model(model: CameraModel, rate: Array, tilt: Array) -> TiltedModel:
    """Return the parameters of the laws of density f(x) exp(-tilt x), normalised."""
    rate, s = np.asarray(rate, dtype=np.float64), np.asarray(tilt, dtype=np.float64)
    c = max(model.pulse_variance, _EQUAL_PULSES)
    rarer = np.expm1(-np.log1p(s * model.gain * c) / c)
    shift = s * model.read_noise**2
    gain = model.gain / (1.0 + s * model.gain * c)
    dark = model.dark - shift
    signal = rate * (1.0 + rarer) * gain
    mean = dark + signal
    variance = model.read_noise**2 + gain * (1.0 + c) * signal
    return TiltedModel(
        rate=rate * (1.0 + rarer),
        gain=gain,
        dark=dark,
        mean=mean,
        variance=variance,
        highest=_upper_end(mean, variance, gain, c),
        log_factor=rate * rarer + s * (0.5 * shift + model.threshold - model.dark),
    )


def _frequencies(grid: Grid) -> Array:
    """Return the angular frequencies of a real transform, ADU⁻¹."""
    return np.asarray(2.0 * np.pi * np.fft.rfftfreq(grid.n_cells, grid.step))


def _transform(spectrum: ComplexArray, omega: Array, grid: Grid) -> Array:
    """Return the cells whose complex conjugate spectrum is given."""
    middle = grid.low + 0.5 * grid.step
    return np.asarray(np.fft.irfft(spectrum * np.exp(1j * omega * middle)))


def _noise(omega: Array, dark: float | Array, read_noise: float) -> ComplexArray:
    """Return the logarithm of the conjugate characteristic function without signal."""
    return np.asarray(-1j * omega * dark - 0.5 * (omega * read_noise) ** 2)


def _window(omega: Array, step: float, tilt: float | Array) -> ComplexArray:
    """Return the transform of a cell weighted by exp(tilt u), u from its middle."""
    half = 0.5 * step * (tilt + 1j * omega)
    small = np.abs(half) < 1e-4
    safe = np.where(small, 1.0, half)
    ratio = np.where(small, 1.0 + half * half / 6.0, np.sinh(safe) / safe)
    return np.asarray(ratio)


def _pulse(z: Array, pulse_variance: float) -> ComplexArray:
    """Return (1 + i z c)^(-1/c): a gamma pulse of mean 1, exp(-iz) for c = 0."""
    c = max(pulse_variance, _EQUAL_PULSES)
    y = z * c
    return np.asarray(np.exp(-(0.5 * np.log1p(y * y) + 1j * np.arctan(y)) / c))


def _pulse_slopes(z: Array, pulse_variance: float) -> tuple[ComplexArray, ComplexArray]:
    """Return the derivatives of the pulse with respect to log z and to c."""
    c = max(pulse_variance, _EQUAL_PULSES)
    pulse = _pulse(z, c)
    w = 1j * z * c
    small = np.abs(w) < _SERIES_BELOW
    safe = np.where(small, 1.0, w)
    # (log(1 + w) - w / (1 + w)) / w², whose terms cancel near zero
    direct = (np.log1p(safe) - safe / (1.0 + safe)) / (safe * safe)
    v = np.where(small, w, 0.0)
    series = np.zeros_like(v)
    for n in range(_SERIES_TERMS, -1, -1):
        series = series * -v + (n + 1) / (n + 2)
    by_variance = -z * z * np.where(small, series, direct)
    return np.asarray(-1j * z / (1.0 + w) * pulse), np.asarray(by_variance * pulse)
