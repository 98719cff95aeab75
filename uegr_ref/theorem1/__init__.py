"""Theorem 1, Eq. 15-19: the masked, rescaled gradient is unbiased, its variance larger by a bounded amount.

    (15) gbar = (1/|B|) sum_j g_j,  g_j i.i.d. N(mu, sigma^2 I)        assumed; only two moments are used
    (16) E gbar = mu,  Cov gbar = sigma^2/|B| I
    (17) ghat = m/p gbar,  m_i ~ Bernoulli(p_i):   E ghat = mu,  so E dtheta = -eta mu
    (18) Cov ghat = sigma^2/|B| diag(1/p) + diag((1-p)/p mu^2),  Cov dtheta = eta^2 Cov ghat
    (19) Cov ghat <= sigma^2/(p_min |B|) I + (1-p_min)/p_min diag(mu^2)            (<= in the Loewner order)

    mu               mu           (n,)      mean gradient dL/dtheta
    sigma, |B|, eta  sigma, batch_size, learning_rate: numbers
    p                p            (n,)      keep probabilities in (0, 1]
    gbar             gradients    (M, n)    a finite list of batch gradients with `weights` (M,), of sum 1

What it does not say. The variance is *larger* than without a mask, by diag((1-p)/p (sigma^2/|B| + mu^2)):
the paper's words about reduced variance contradict its formula. In Algorithm 1 p depends on gbar: E ghat = mu
still holds, with Cov ghat = Cov gbar + diag(E[(1-p)/p gbar^2]) in place of (18).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Bools, Floats

LARGEST_ENUMERATION = 20


def update_mean(mu: ArrayLike, learning_rate: float = 1.0) -> Floats:
    """Eq. 17: E dtheta = -eta mu, whatever p. (n,) -> (n,)."""
    return -checks.number("learning_rate", learning_rate, 0) * checks.floats("mu", mu, ("n",))


def update_covariance(
    mu: ArrayLike, sigma: float, batch_size: int, p: ArrayLike, learning_rate: float = 1.0
) -> Floats:
    """Eq. 18: Cov dtheta = eta^2 diag((sigma^2/|B|) / p + (1-p)/p mu^2), p not from the batch. -> (n, n)."""
    mu = checks.floats("mu", mu, ("n",))
    p = checks.within("p", p, 0, 1, mu.shape, open_low=True)
    noise = checks.number("sigma", sigma, 0) ** 2 / checks.count("batch_size", batch_size)
    return checks.number("learning_rate", learning_rate, 0) ** 2 * np.diag(noise / p + (1 - p) / p * mu * mu)


def covariance_bound(
    mu: ArrayLike, sigma: float, batch_size: int, p_min: float, learning_rate: float = 1.0
) -> Floats:
    """Eq. 19: Eq. 18 with p_min everywhere; no covariance with all p_i >= p_min exceeds it. -> (n, n)."""
    p_min = checks.number("p_min", p_min, 0, 1, open_low=True)
    return update_covariance(mu, sigma, batch_size, np.full(np.shape(mu), p_min), learning_rate)


def data_dependent_covariance(
    gradients: ArrayLike, weights: ArrayLike, p: ArrayLike, learning_rate: float = 1.0
) -> Floats:
    """Cov dtheta where p depends on the batch: eta^2 (Cov gbar + diag E[(1-p)/p gbar^2]). -> (n, n).

    gradients (M, n): values of gbar; weights (M,): their probabilities; p (M, n): the p that each leads to.
    """
    g, w, p = _outcomes(gradients, weights, p)
    mean = w @ g
    spread = (g - mean).T @ (w[:, None] * (g - mean)) + np.diag(w @ ((1 - p) / p * g * g))
    return checks.number("learning_rate", learning_rate, 0) ** 2 * spread


def enumerate_masks(p: ArrayLike) -> tuple[Bools, Floats]:
    """All 2^n masks (2^n, n) and the probability of each (2^n,) under m_i ~ Bernoulli(p_i)."""
    p = checks.within("p", p, 0, 1, ("n",))
    n = checks.count("n, the length of p", p.size, 0, LARGEST_ENUMERATION)
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    return masks, np.prod(np.where(masks, p, 1 - p), axis=1)


def enumerated_moments(
    gradients: ArrayLike, weights: ArrayLike, p: ArrayLike, learning_rate: float = 1.0
) -> tuple[Floats, Floats]:
    """Mean (n,) and covariance (n, n) of dtheta = -eta m/p gbar, by summing over every gbar and every mask.

    No formula of the theorem is used: this is the definition of a mean and a covariance. Shapes as in
    `data_dependent_covariance`; for one fixed gradient give one row with weight 1.
    """
    g, w, p = _outcomes(gradients, weights, p)
    eta = checks.number("learning_rate", learning_rate, 0)
    updates, chances = [], []
    for g_j, w_j, p_j in zip(g, w, p, strict=True):
        masks, probability = enumerate_masks(p_j)
        updates.append(np.where(masks, -eta * g_j / p_j, 0))
        chances.append(w_j * probability)
    update, chance = np.concatenate(updates), np.concatenate(chances)
    mean = chance @ update
    return mean, (update - mean).T @ (chance[:, None] * (update - mean))


def _outcomes(gradients: ArrayLike, weights: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats, Floats]:
    g = checks.floats("gradients", gradients, ("M", "n"))
    w = checks.within("weights", weights, 0, 1, (len(g),))
    if abs(w.sum() - 1) > 1e-9:
        raise ValueError(f"weights: got the sum {w.sum():g}, wanted 1")
    return g, w, checks.within("p", p, 0, 1, g.shape, open_low=True)


def two_point_batches(mu: ArrayLike, sigma: float, batch_size: int) -> tuple[Floats, Floats]:
    """All values of gbar (M, n) and their probabilities (M,) when g_ji = mu_i -+ sigma, evenly.

    That law has the mean and variance of the theorem, so that it can be checked with no randomness at all.
    gbar is binomial in each entry: M = (|B| + 1)^n.
    """
    mu = checks.floats("mu", mu, ("n",))
    sigma, size = checks.number("sigma", sigma, 0), checks.count("batch_size", batch_size)
    row = np.ones(1)
    for _ in range(size):  # Pascal's triangle, halved at every step
        row = (np.append(row, 0) + np.append(0, row)) / 2
    ups = np.indices((size + 1,) * mu.size).reshape(mu.size, -1).T
    return mu + sigma * (2 * ups - size) / size, np.prod(row[ups], axis=1)


if __name__ == "__main__":
    from .console import run
    from .verify import main

    run(main)
