"""Studies: which cells a question needs, as data."""
