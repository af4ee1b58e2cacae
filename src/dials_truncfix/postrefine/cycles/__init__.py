"""Passes over all lattices, cycle by cycle, in blocks on any number of processes."""
