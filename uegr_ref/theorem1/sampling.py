"""Theorem 1 with Gaussian gradients, by sampling: estimates, and limits that hold with a stated probability.

The mean of M draws of X exceeds t with probability at most exp(-M (lambda t - ln E e^(lambda X))), for every
lambda > 0 (Chernoff). So for a chance c of a false alarm any lambda gives a limit; the least is taken:

    t = min over lambda of ( ln E e^(lambda X) + ln(1/c) / M ) / lambda

No normal approximation enters. X is an entry of ghat - mu, or a product of two of them, whose expectation
is an entry of the covariance (18). ghat_i - mu_i is -mu_i with probability 1 - p_i and else Gaussian, of mean
mu_i (1/p_i - 1) and deviation sigma / (p_i sqrt |B|), so E e^(lambda X) is a short sum of Gaussian integrals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..mask import bernoulli_mask, unbiased_gradient
from ..support.checks import Floats
from ..support.contract import contract

CHUNK = 4_000  # draws held in memory at once


class Estimate(NamedTuple):
    """A sampled moment: `value` leaves [low, high] with a stated chance; `error` is its standard error."""

    value: float
    expected: float
    error: float
    low: float
    high: float

    @property
    def z(self) -> float:
        """Deviation in standard errors."""
        return (self.value - self.expected) / self.error if self.error else 0.0

    @property
    def alarm(self) -> bool:
        """Whether the value lies outside its limits."""
        return not self.low <= self.value <= self.high

    @property
    def share_of_limit(self) -> float:
        """Deviation over the limit on its side; above 1 is an alarm."""
        off = self.value - self.expected
        return off / ((self.high if off > 0 else self.low) - self.expected)

    @property
    def detectable(self) -> float:
        """A shift of this size is missed with no more than the chance of a false alarm."""
        return self.high - self.low


class Entry(NamedTuple):
    """The law of one entry of ghat - mu: a mixture of Gaussians, (weight, mean, standard deviation) each."""

    parts: tuple[tuple[float, float, float], ...]

    @property
    def square(self) -> float:
        """E X^2, the variance: E X is 0."""
        return sum(w * (m**2 + s**2) for w, m, s in self.parts)

    @property
    def fourth(self) -> float:
        """E X^4."""
        return sum(w * (m**4 + 6 * m**2 * s**2 + 3 * s**4) for w, m, s in self.parts)


@contract(mu="number", noise="number in [0, inf)", p="number in (0, 1]")
def entry(mu: float, noise: float, p: float) -> Entry:
    """The law of ghat_i - mu_i; noise = sigma / sqrt(|B|)."""
    return Entry(((1 - p, -mu, 0.0), (p, mu * (1 / p - 1), noise / p)))


ONE = Entry(((1.0, 1.0, 0.0),))


@contract(rate="floats (L)")
def mgf_of_product(x: Entry, y: Entry, rate: Floats) -> Floats:
    """E exp(rate X Y) of independent X and Y; infinite where the integral diverges. (L,) -> (L,)."""
    value = np.zeros_like(rate)
    for w_x, m_x, s_x in x.parts:
        for w_y, m_y, s_y in y.parts:
            room = 1 - (rate * s_x * s_y) ** 2
            exponent = rate * m_x * m_y + rate**2 * ((m_x * s_y) ** 2 + (m_y * s_x) ** 2) / 2
            value += w_x * w_y * _integral(exponent, room)
    return value


@contract(rate="floats (L)")
def mgf_of_square(x: Entry, rate: Floats) -> Floats:
    """E exp(rate X^2); infinite where the integral diverges. (L,) -> (L,)."""
    return np.asarray(sum(w * _integral(rate * m * m, 1 - 2 * rate * s * s) for w, m, s in x.parts))


def _integral(exponent: Floats, room: Floats) -> Floats:
    fits = room > 0
    room = np.where(fits, room, 1)
    return np.where(fits, np.exp(np.minimum(exponent / room, 700)) / np.sqrt(room), np.inf)


@contract(mgf="function", variance="number in (0, inf)", draws="count", chance="number in (0, 1]")
def limits(
    mgf: Callable[[Floats], Floats], variance: float, draws: int, chance: float
) -> tuple[float, float]:
    """An interval that the mean of `draws` copies of X leaves with probability at most 2 * `chance`."""
    nats = math.log(1 / chance) / draws
    rate = math.sqrt(2 * nats / variance) * np.geomspace(1e-6, 4, 400)
    high = np.min((np.log(mgf(rate)) + nats) / rate)
    low = np.max((np.log(mgf(-rate)) + nats) / -rate)
    return float(low), float(high)


@contract(
    mu="floats (n)",
    sigma="number in (0, inf)",
    batch_size="count",
    p="floats (n) in (0, 1]",
    draws="count",
    chance="number in (0, 1]",
    rng="generator",
)
def sampled_moments(
    mu: Floats,
    sigma: float,
    batch_size: int,
    p: Floats,
    draws: int,
    chance: float,
    rng: np.random.Generator,
) -> tuple[list[Estimate], list[Estimate]]:
    """The n means and n(n+1)/2 covariances (row by row, i <= k) of ghat, from `draws` batches and masks.

    `chance`: of any false alarm among all of them together, if Theorem 1 and the sampler are right.
    """
    n, noise = mu.size, sigma / math.sqrt(batch_size)
    each = chance / (n * (n + 3))  # two sides of n(n+3)/2 numbers

    first, second = np.zeros(n), np.zeros((n, n))
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        gbar = rng.normal(mu, sigma, (batch_size, size, n)).mean(axis=0)  # Eq. 15
        keep = np.broadcast_to(p, gbar.shape)
        off = unbiased_gradient(gbar, bernoulli_mask(keep, rng), keep) - mu
        first, second = first + off.sum(axis=0) / draws, second + off.T @ off / draws

    laws = [entry(float(m), noise, float(q)) for m, q in zip(mu, p, strict=True)]
    means, covariances = [], []
    for i, x in enumerate(laws):
        bounds = limits(partial(mgf_of_product, x, ONE), x.square, draws, each)
        means.append(Estimate(float(first[i]), 0.0, math.sqrt(x.square / draws), *bounds))
        for k, y in enumerate(laws[i:], start=i):
            if i == k:
                expected, spread, mgf = x.square, x.fourth - x.square**2, partial(mgf_of_square, x)
            else:
                expected, spread, mgf = 0.0, x.square * y.square, partial(mgf_of_product, x, y)
            bounds = limits(mgf, spread, draws, each)
            covariances.append(Estimate(float(second[i, k]), expected, math.sqrt(spread / draws), *bounds))
    return means, covariances
