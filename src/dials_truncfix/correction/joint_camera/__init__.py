"""One camera for all annuli of a sweep: its distribution and its fit."""
