"""Repair of truncated electron diffraction images, as a plugin for DIALS."""

from __future__ import annotations

__version__ = "0.1.0"
