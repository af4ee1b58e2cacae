"""What headers of electron microscopes leave out or state unreliably.

Each function returns a value together with a sentence that says what was
assumed, or None where the header could be trusted.
"""

from __future__ import annotations

import math

# CODATA 2018.
_PLANCK = 6.62607015e-34  # J s
_ELECTRON_MASS = 9.1093837015e-31  # kg
_ELEMENTARY_CHARGE = 1.602176634e-19  # C
_LIGHT_SPEED = 299792458.0  # m/s

#: Pixel pitches of TVIPS cameras (mm): F416, XF416, F216/F114, F224/F415.
TVIPS_PITCHES_MM = (0.0156, 0.0155, 0.014, 0.024, 0.015)
F416_PITCH_MM = 0.0156
F416_SIDE = 4096

_DEFAULT_HIGH_TENSION_KV = 200.0
_DEFAULT_CAMERA_LENGTH_MM = 2000.0


def electron_wavelength(high_tension_kv: float) -> float:
    """Relativistic wavelength of electrons.

    lambda = h / sqrt(2 m e U (1 + e U / (2 m c^2)))

    Parameters
    ----------
    high_tension_kv : float
        Acceleration voltage (kV).

    Returns
    -------
    float
        Wavelength (Å); 0.025079 at 200 kV.

    Raises
    ------
    ValueError
        If the voltage is not positive.

    References
    ----------
    Reimer & Kohl, Transmission Electron Microscopy, 5th ed. (2008), eq. 2.12.
    doi:10.1007/978-0-387-40093-8
    """
    if not high_tension_kv > 0:
        raise ValueError(f"high tension must be positive, got {high_tension_kv} kV")
    energy = _ELEMENTARY_CHARGE * high_tension_kv * 1e3
    rest = _ELECTRON_MASS * _LIGHT_SPEED**2
    momentum = math.sqrt(2 * _ELECTRON_MASS * energy * (1 + energy / (2 * rest)))
    return _PLANCK / momentum * 1e10


def high_tension(stated_kv: float) -> tuple[float, str | None]:
    """Acceleration voltage in kV from what a header states."""
    if 10 <= stated_kv <= 3000:
        return float(stated_kv), None
    if 10e3 <= stated_kv <= 3000e3:
        return stated_kv * 1e-3, None
    wavelength = electron_wavelength(_DEFAULT_HIGH_TENSION_KV)
    return _DEFAULT_HIGH_TENSION_KV, (
        f"the header has no high tension; {_DEFAULT_HIGH_TENSION_KV:g} kV assumed "
        f"({wavelength:.5f} A; geometry.beam.wavelength overrides)"
    )


def tvips_pixel_size(
    nx: int, binning: int, stated_mm: float
) -> tuple[float, str | None]:
    """Size of a recorded pixel of a TVIPS camera.

    The header field often holds a calibrated or wrongly scaled value, so it is
    believed only where it equals the pitch of a camera that was built.

    Parameters
    ----------
    nx : int
        Fast size of the frame in pixels.
    binning : int
        Binning the header states; 0 when unknown.
    stated_mm : float
        Pixel size the header states (mm).

    Returns
    -------
    float
        Pixel size (mm).
    str or None
        What was assumed.
    """
    factor = binning if 1 <= binning <= 64 else max(1, F416_SIDE // nx)
    for pitch in TVIPS_PITCHES_MM:
        for candidate in (pitch * factor, pitch):
            if math.isclose(stated_mm, candidate, rel_tol=2e-3):
                return round(pitch * factor, 7), None
    size = round(F416_PITCH_MM * factor, 7)
    return size, (
        f"pixel size {size:g} mm assumed (TemCam-F416, binning {factor}), the header "
        f"states {stated_mm:g} mm (geometry.detector.panel.pixel_size overrides)"
    )


def camera_length(stated_mm: float | None) -> tuple[float, str]:
    """Distance of the detector from what a header states as camera length."""
    advice = "calibrate it and give geometry.detector.distance"
    if stated_mm is not None and 100 <= stated_mm <= 20000:
        return float(stated_mm), (
            f"detector distance {stated_mm:g} mm taken from the camera length of the "
            f"header, which is nominal at best; {advice}"
        )
    return _DEFAULT_CAMERA_LENGTH_MM, (
        f"the header has no usable camera length; detector distance "
        f"{_DEFAULT_CAMERA_LENGTH_MM:g} mm assumed; {advice}"
    )
