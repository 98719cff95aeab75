"""UEGR in PyTorch: real models and corpora, every recipe of Table IV, and the runner that compares them."""

__version__ = "0.1.0"
