"""UEGR in PyTorch on real models and corpora."""
