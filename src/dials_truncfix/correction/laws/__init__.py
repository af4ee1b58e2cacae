"""Distributions of pixel values, and their fit to truncated histograms."""
