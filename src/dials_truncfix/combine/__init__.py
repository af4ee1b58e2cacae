"""Intensities integrated from independent draws of one sweep, pooled."""
