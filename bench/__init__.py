"""What a training step costs: measured cases, their parts, and how the cost grows."""
