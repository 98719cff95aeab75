"""Whether texts of another corpus are told from those of the network's own, by what it says of them.

Index letters: n texts, C classes. Scores are higher for texts that look familiar.
"""

from __future__ import annotations

import numpy as np

from zoo.robustness.calibration import softmax

__all__ = ["auroc", "confidence", "energy"]


def confidence(logits: np.ndarray) -> np.ndarray:
    """(n,) the largest probability (Hendrycks & Gimpel 2017, arXiv 1610.02136)."""
    found: np.ndarray = softmax(logits).max(1)
    return found


def energy(logits: np.ndarray) -> np.ndarray:
    """(n,) log sum exp of the logits: the negative energy at temperature 1 (Liu et al. 2020, 2010.03759)."""
    top = logits.max(1)
    found: np.ndarray = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return found


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The chance that a text of `inside` (n,) scores higher than one of `outside` (m,), ties counted half.

    By ranks: (sum of inside's ranks - n (n + 1) / 2) / (n m), which is Mann and Whitney's U over n m.
    """
    from scipy.stats import rankdata

    n, m = len(inside), len(outside)
    if not n or not m:
        raise ValueError("inside or outside is empty, expected at least one text of each")
    ranks = rankdata(np.concatenate([inside, outside]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
