"""Full intensities, their means and errors, references made of them, and lattices that harm."""
