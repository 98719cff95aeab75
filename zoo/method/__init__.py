"""UEGR's parts in PyTorch: attack, adaptive dropout, divergence, selective update, and the step."""
