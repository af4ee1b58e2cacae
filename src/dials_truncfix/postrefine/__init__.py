"""Partial reflections of many lattices on one scale."""
