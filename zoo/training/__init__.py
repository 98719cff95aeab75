"""Training of one cell, and of a grid of them."""
