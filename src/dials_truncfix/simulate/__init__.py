"""Simulated sweeps whose truth is known."""
