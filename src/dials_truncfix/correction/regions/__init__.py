"""Parts of an image whose pixels share one distribution, and what is left out."""
