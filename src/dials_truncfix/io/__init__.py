"""Bytes of image files to numpy arrays and back."""
