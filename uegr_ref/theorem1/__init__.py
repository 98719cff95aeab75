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

from ..support.checks import Bools, Floats
from ..support.contract import contract

LARGEST_ENUMERATION = 20


@contract(mu="floats (n)", learning_rate="number in [0, inf)")
def update_mean(mu: Floats, learning_rate: float = 1.0) -> Floats:
    """Eq. 17: E dtheta = -eta mu, whatever p. (n,) -> (n,)."""
    return -learning_rate * mu


@contract(
    mu="floats (n)",
    p="floats (n) in (0, 1]",
    sigma="number in [0, inf)",
    batch_size="count",
    learning_rate="number in [0, inf)",
)
def update_covariance(
    mu: Floats, sigma: float, batch_size: int, p: Floats, learning_rate: float = 1.0
) -> Floats:
    """Eq. 18: Cov dtheta = eta^2 diag((sigma^2/|B|) / p + (1-p)/p mu^2), p not from the batch. -> (n, n)."""
    noise = sigma**2 / batch_size
    return learning_rate**2 * np.diag(noise / p + (1 - p) / p * mu * mu)


@contract(
    mu="floats (n)",
    sigma="number in [0, inf)",
    batch_size="count",
    p_min="number in (0, 1]",
    learning_rate="number in [0, inf)",
)
def covariance_bound(
    mu: Floats, sigma: float, batch_size: int, p_min: float, learning_rate: float = 1.0
) -> Floats:
    """Eq. 19: Eq. 18 with p_min everywhere; no covariance with all p_i >= p_min exceeds it. -> (n, n)."""
    return update_covariance(mu, sigma, batch_size, np.full(mu.shape, p_min), learning_rate)


@contract(
    gradients="floats (M, n)",
    weights="probabilities (M)",
    p="floats (M, n) in (0, 1]",
    learning_rate="number in [0, inf)",
)
def data_dependent_covariance(
    gradients: Floats, weights: Floats, p: Floats, learning_rate: float = 1.0
) -> Floats:
    """Cov dtheta where p depends on the batch: eta^2 (Cov gbar + diag E[(1-p)/p gbar^2]). -> (n, n).

    gradients (M, n): values of gbar; weights (M,): their probabilities; p (M, n): the p that each leads to.
    """
    off = gradients - weights @ gradients
    spread = off.T @ (weights[:, None] * off) + np.diag(weights @ ((1 - p) / p * gradients**2))
    return learning_rate**2 * spread


@contract(p=f"floats (n <= {LARGEST_ENUMERATION}) in [0, 1]")
def enumerate_masks(p: Floats) -> tuple[Bools, Floats]:
    """All 2^n masks (2^n, n) and the probability of each (2^n,) under m_i ~ Bernoulli(p_i)."""
    masks = (np.arange(2**p.size)[:, None] >> np.arange(p.size)) % 2 == 1
    return masks, np.prod(np.where(masks, p, 1 - p), axis=1)


@contract(
    gradients=f"floats (M, n <= {LARGEST_ENUMERATION})",
    weights="probabilities (M)",
    p="floats (M, n) in (0, 1]",
    learning_rate="number in [0, inf)",
)
def enumerated_moments(
    gradients: Floats, weights: Floats, p: Floats, learning_rate: float = 1.0
) -> tuple[Floats, Floats]:
    """Mean (n,) and covariance (n, n) of dtheta = -eta m/p gbar, by summing over every gbar and every mask.

    No formula of the theorem is used: this is the definition of a mean and a covariance. Shapes as in
    `data_dependent_covariance`; for one fixed gradient give one row with weight 1.
    """
    updates, chances = [], []
    for g_j, w_j, p_j in zip(gradients, weights, p, strict=True):
        masks, probability = enumerate_masks(p_j)
        updates.append(np.where(masks, -learning_rate * g_j / p_j, 0))
        chances.append(w_j * probability)
    update, chance = np.concatenate(updates), np.concatenate(chances)
    mean = chance @ update
    return mean, (update - mean).T @ (chance[:, None] * (update - mean))


@contract(mu="floats (n)", sigma="number in [0, inf)", batch_size="count")
def two_point_batches(mu: Floats, sigma: float, batch_size: int) -> tuple[Floats, Floats]:
    """All values of gbar (M, n) and their probabilities (M,) when g_ji = mu_i -+ sigma, evenly.

    That law has the mean and variance of the theorem, so that it can be checked with no randomness at all.
    gbar is binomial in each entry: M = (|B| + 1)^n.
    """
    row = np.ones(1)
    for _ in range(batch_size):  # Pascal's triangle, halved at every step
        row = (np.append(row, 0) + np.append(0, row)) / 2
    ups = np.indices((batch_size + 1,) * mu.size).reshape(mu.size, -1).T
    return mu + sigma * (2 * ups - batch_size) / batch_size, np.prod(row[ups], axis=1)
