"""Rows of class indices, or of scores, as text: as results keep predictions and truth."""

from __future__ import annotations

import base64
import zlib

import numpy as np

_LARGEST = 2**16 - 1


def encode_classes(classes: np.ndarray) -> str:
    """Class indices (n,) of 0..65535 as base64 of zlib of little-endian uint16."""
    array = np.asarray(classes)
    if array.ndim != 1 or (array.size and (array.min() < 0 or array.max() > _LARGEST)):
        raise ValueError(f"classes must be one row of integers in 0..{_LARGEST}, got shape {array.shape}")
    return base64.b64encode(zlib.compress(array.astype("<u2").tobytes(), 9)).decode("ascii")


def decode_classes(text: str) -> np.ndarray:
    """The inverse of `encode_classes`: int64 array (n,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), dtype="<u2").astype(np.int64)


def encode_scores(scores: np.ndarray) -> str:
    """Finite scores (n,) as base64 of zlib of little-endian float32."""
    array = np.asarray(scores, dtype="<f4")
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"scores must be one row of finite numbers, got shape {array.shape}")
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode("ascii")


def decode_scores(text: str) -> np.ndarray:
    """The inverse of `encode_scores`: float64 array (n,)."""
    found = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), "<f4").astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError("scores are not finite")
    return found
