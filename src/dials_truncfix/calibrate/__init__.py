"""Measurements of camera and microscope from recorded images and reflections."""
