"""What cameras that count lose, and what antialiased reduction gains: computed and printed.

Each figure of the manual of SerialEM ("Image Acquisition from CCD Cameras and Direct
Electron Detectors") stands beside what its own model, or a simulation, gives.

Usage: python benchmarks/counting_cameras.py
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from dials.util import tabulate

from dials_truncfix.camera.coincidence import (
    K3_SPEED,
    MANUAL_K2,
    SERIALEM_K2_200_KV,
    SERIALEM_K2_300_KV,
    SERIALEM_K3_200_KV,
)
from dials_truncfix.camera.coincidence import MANUAL_TABLE as COINCIDENCE_TABLE
from dials_truncfix.camera.rounding import MANUAL_TABLE as ROUNDING_TABLE
from dials_truncfix.camera.rounding import rounding_loss, rounding_loss_by_draws
from dials_truncfix.io.reduction import reduce_antialiased

FloatArray = npt.NDArray[np.float64]

#: Gain of Fourier ring correlation past half Nyquist that the manual states, by factor.
STATED_GAINS = {2: 1.35, 4: 1.50}
#: Electrons in a super-resolution pixel, edge of an image, and number of images.
ELECTRONS, EDGE, N_IMAGES = 1.0, 1024, 8
N_DRAWS = 40_000_000


def rounding_rows() -> list[list[str]]:
    """Loss of DQE by rounding to integers."""
    rows = []
    for electrons, printed in ROUNDING_TABLE:
        summed = rounding_loss(electrons)
        drawn = rounding_loss_by_draws(electrons, N_DRAWS, seed=1)
        rows.append(
            [
                f"{electrons:g}",
                f"{1e4 * printed:.0f}",
                f"{1e4 * summed.absolute:.2f}",
                f"{1e4 * drawn.absolute:.2f}",
                f"{100 * (drawn.absolute / summed.absolute - 1):+.1f} %",
                f"{1e4 * summed.relative:.2f}",
                f"{printed / summed.absolute:.2f}",
            ]
        )
    return rows


def coincidence_rows() -> list[list[str]]:
    """Compare counts per electron of a K2, and of a K3 at 3.75 times the rates."""
    rows = []
    for rate, printed in COINCIDENCE_TABLE:
        manual = float(MANUAL_K2.factor(rate))
        rows.append(
            [
                f"{rate:g}",
                f"{printed:.2f}",
                f"{manual:.3f}",
                f"{manual - printed:+.3f}",
                f"{float(SERIALEM_K2_200_KV.factor(rate)):.3f}",
                f"{float(SERIALEM_K2_300_KV.factor(rate)):.3f}",
                f"{float(SERIALEM_K3_200_KV.factor(K3_SPEED * rate)):.3f}",
            ]
        )
    return rows


def power_law_image(rng: np.random.Generator, exponent: float) -> FloatArray:
    """Draw an image of mean 0 and variance 1 whose power falls as 1/f^exponent."""
    frequency = _frequency(EDGE)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((EDGE, EDGE)))
    image = np.fft.irfft2(spectrum * frequency ** (-exponent / 2), s=(EDGE, EDGE))
    return np.asarray(image / image.std())


def binned(image: FloatArray, factor: int) -> FloatArray:
    """Add up blocks."""
    edge = len(image) // factor
    return np.asarray(image.reshape(edge, factor, edge, factor).sum(axis=(1, 3)))


def low_signal_gain(factor: int, exponent: float, aliased: bool = False) -> float:
    """Ratio of mean correlations by both reductions where the signal is weak.

    Two images share a signal and have Poisson noise of their own; where that is much
    stronger, the correlation of a ring is the signal's power over that of the noise.

    Parameters
    ----------
    factor : int
        Of the reduction.
    exponent : float
        The signal's power falls as 1/f^exponent.
    aliased : bool
        Whether the signal goes on beyond what the reduced image can show.

    Returns
    -------
    float
        Mean over the rings from half Nyquist on, antialiased over binned.
    """
    frequency = _frequency(EDGE)
    powers = np.zeros((4, EDGE // factor // 4))
    for k in range(N_IMAGES):
        rng = np.random.default_rng([factor, k])
        spectrum = np.fft.rfft2(power_law_image(rng, exponent))
        if not aliased:
            spectrum[frequency > 0.5 / factor] = 0
        signal = np.fft.irfft2(spectrum, s=(EDGE, EDGE))
        noise = rng.poisson(ELECTRONS, signal.shape) - ELECTRONS
        powers += np.array(
            [
                ring_powers(reduce(image, factor))
                for reduce in (reduce_antialiased, binned)
                for image in (signal, noise)
            ]
        )
    signal_a, noise_a, signal_b, noise_b = powers
    return float(np.mean(signal_a / noise_a) / np.mean(signal_b / noise_b))


def ring_powers(image: npt.NDArray[np.floating]) -> FloatArray:
    """Power in rings one wide between half Nyquist and Nyquist."""
    edge = len(image)
    ring = np.rint(_frequency(edge) * edge).astype(int)
    power = abs(np.fft.rfft2(image)) ** 2
    return np.bincount(ring.ravel(), power.ravel())[edge // 4 : edge // 2]


def _frequency(edge: int) -> FloatArray:
    return np.hypot(np.fft.fftfreq(edge)[:, None], np.fft.rfftfreq(edge))


def reduction_rows() -> list[list[str]]:
    """Gain of correlation past half Nyquist by antialiased reduction over binning."""
    return [
        [
            f"{factor}",
            f"{stated:.2f}",
            f"{low_signal_gain(factor, 2.0):.2f}",
            f"{low_signal_gain(factor, 0.0):.2f}",
            f"{low_signal_gain(factor, 2.0, aliased=True):.2f}",
        ]
        for factor, stated in STATED_GAINS.items()
    ]


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("Loss of DQE by rounding normalized counts to integers, 1e-4")
    header = [
        "e⁻/pixel",
        "printed",
        "summed",
        "drawn",
        "",
        "relative",
        "printed/summed",
    ]
    print(tabulate(rounding_rows(), header), flush=True)
    print("The manual's table is not reproduced: its own model gives half of it.\n")
    print("Counts per electron; those of SerialEM's tables contain the conversion")
    header = ["e⁻/px/s of a K2", "printed", "exp(-(r/28)²)", ""]
    header += ["K2, 200 kV", "K2, 300 kV", "K3, 200 kV at 3.75 r"]
    print(tabulate(coincidence_rows(), header), flush=True)
    print("\nMean Fourier ring correlation past half Nyquist, reduction over binning,")
    print("in the limit of a weak signal whose power has the spectrum named")
    header = ["factor", "stated", "1/f²", "flat", "1/f², aliased signal too"]
    print(tabulate(reduction_rows(), header))


if __name__ == "__main__":
    main()
