"""Anisotropic magnification from the indexed reflections of many crystals."""
