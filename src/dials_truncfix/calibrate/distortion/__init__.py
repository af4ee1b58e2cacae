"""How an image is distorted, from images of one specimen that overlap."""
