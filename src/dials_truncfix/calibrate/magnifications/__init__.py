"""Pixel sizes and rotations of all magnifications, relative to each other."""
