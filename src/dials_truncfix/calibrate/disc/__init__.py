"""Place, size and uniformity of the beam, from images of it without a specimen."""
