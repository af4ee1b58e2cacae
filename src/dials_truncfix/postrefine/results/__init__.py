"""What a run writes, logs and draws."""
