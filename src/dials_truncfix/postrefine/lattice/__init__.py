"""Models and refinement of single lattices, many side by side."""
