"""Gain, pedestal, read noise and electrons per ADU of a camera."""
