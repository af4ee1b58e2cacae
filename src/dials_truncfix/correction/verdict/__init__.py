"""Whether the zeros of a sweep are values that were cut off."""
