"""The truncation correction: arrays in, arrays out."""
