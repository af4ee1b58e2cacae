"""Results to plot dictionaries, and these to self-contained HTML."""
