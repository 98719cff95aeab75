"""Backward stage: what stands between the gradient and the optimizer (Eq. 7-9)."""
