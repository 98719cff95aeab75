"""UEGR in NumPy alone."""
