"""From files to the observations of a run."""
