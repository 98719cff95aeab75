"""The grid of cells: planning, workers, the store of results, progress."""
