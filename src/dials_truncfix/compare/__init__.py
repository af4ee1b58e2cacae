"""Integrated reflections before and after the correction, and against the truth."""
