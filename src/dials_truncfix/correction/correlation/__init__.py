"""Noise that neighbouring pixels share: measured, drawn, and in sums of pixels."""
