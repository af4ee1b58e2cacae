"""Geometry of the camera from the rings of polycrystalline standards."""
