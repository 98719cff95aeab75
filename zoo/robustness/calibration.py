"""Whether probabilities mean what they say: calibration error, likelihood, Brier's score, temperature.

Index letters: n texts, C classes. Confidence is the probability of the answer, right is whether it is true.
The temperature divides logits, is fitted on validation texts alone, and changes no answer (Guo et al. 2017,
arXiv 1706.04599).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.core.classes import encode_scores

__all__ = [
    "BINS", "adaptive_error", "brier", "by_chance", "calibrated", "error_of", "expected_error",
    "likelihood", "temperature",
]  # fmt: skip

BINS = 15
_BOUNDS = (-4.0, 4.0)  # of log T: no network needs more


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(n, C) logits -> (n, C) probabilities."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    found: np.ndarray = powers / powers.sum(1, keepdims=True)
    return found


def likelihood(logits: np.ndarray, truth: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the true classes (n,), nats."""
    scaled = logits / temperature
    top = scaled.max(1)
    logs = top + np.log(np.exp(scaled - top[:, None]).sum(1))
    return float((logs - scaled[np.arange(len(truth)), truth]).mean())


def brier(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over texts of the sum over classes of (p - [true])^2, in [0, 2] (Brier 1950)."""
    wanted = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - wanted) ** 2).sum(1).mean())


def expected_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """ECE over bins of equal width (Naeini et al. 2015): sum_b n_b / n |right in b - confidence in b|.

    Bin b holds confidences in (b / bins, (b + 1) / bins].
    """
    return error_of(*_answers(probabilities, truth), bins)


def error_of(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The same from what it needs: the confidence of each answer (n,), and whether it is true (n,)."""
    return _error(confidence, right, _bin_of(confidence, bins))


def by_chance(confidence: np.ndarray, bins: int = BINS) -> float:
    """The ECE that answers of these confidences (n,) show on average where every confidence is right.

    The gap of a bin is then sum (right - p), of variance V_b = sum p (1 - p), and nearly normal, so that its
    mean size is sqrt(2 V_b / pi). No classifier can be expected below it on n texts.
    """
    variance = np.bincount(_bin_of(confidence, bins), confidence * (1 - confidence))
    return float(np.sqrt(2 * variance / np.pi).sum() / len(confidence))


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """(n,) the bin of equal width that each confidence is in."""
    found: np.ndarray = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return found


def adaptive_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """ECE over bins of equally many texts, by confidence, ties in their order (Nguyen & O'Connor 2015)."""
    confidence, right = _answers(probabilities, truth)
    order = np.argsort(confidence, kind="stable")
    bin_of = np.empty(len(order), int)
    for number, own in enumerate(np.array_split(order, min(bins, len(order)))):
        bin_of[own] = number
    return _error(confidence, right, bin_of)


def _answers(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return probabilities.max(1), probabilities.argmax(1) == truth


def _error(confidence: np.ndarray, right: np.ndarray, bin_of: np.ndarray) -> float:
    gaps = np.bincount(bin_of, right.astype(float) - confidence)  # n_b times the gap of bin b
    return float(np.abs(gaps).sum() / len(confidence))


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The T > 0 with the largest likelihood of these (validation) texts, between e^-4 and e^4.

    The logarithm of the likelihood is concave in 1 / T, so there is one.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: likelihood(logits, truth, float(np.exp(log))), bounds=_BOUNDS, method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    return float(np.exp(found.x))


def calibrated(logits: np.ndarray, truth: np.ndarray, by: float) -> dict[str, Any]:
    """All measures of texts whose logits are divided by a temperature."""
    probabilities = softmax(logits, by)
    confidence, right = _answers(probabilities, truth)
    return {
        "temperature": by,
        "confidence": encode_scores(confidence),
        "ece": error_of(confidence, right),
        "adaptive_ece": adaptive_error(probabilities, truth),
        "nll": likelihood(logits, truth, by),
        "brier": brier(probabilities, truth),
    }
