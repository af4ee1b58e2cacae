"""Detector physics shared by simulation and dose work."""
