"""Indexing ambiguities, and lattices brought into the indexing of a reference."""
