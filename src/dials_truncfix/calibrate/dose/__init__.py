"""Rates and doses of electrons from recorded images and metadata."""
