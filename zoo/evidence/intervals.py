"""How sure is a difference between two recipes? Intervals from differences paired by run and by example.

Symbols: S runs (seeds, or seeds x folds), n test examples, `D[s, i]` in {-1, 0, 1} = (recipe right) -
(reference right) on example i of run s. Unit: fractions of 1 (0.01 = one point). Two-sided throughout.

    one run                                      `by_example`          examples only
    several runs, other test texts in each       `by_run`              runs only
    several runs on the same test texts          `by_run_and_example`  both
    only the accuracies of the runs are known    `by_accuracy`         both, the examples by a bound
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.evidence.statistics import (
    exact_mcnemar,
    mean_and_spread,
    paired_standard_error,
    smallest_sign_flip,
)

__all__ = ["Estimate", "average", "by_accuracy", "by_example", "by_run", "by_run_and_example", "pool"]

EXAMPLES = "examples only (one run: says nothing about another seed)"
RUNS = "runs only (paired t)"
RUNS_AND_EXAMPLES = "runs and examples (two-way random effects)"
ACCURACIES = "runs and examples (examples not paired, so rather too wide)"


@dataclass(frozen=True)
class Estimate:
    """A mean difference with its interval. `method` names what the interval accounts for.

    The variance of the mean has two parts: over runs (t distribution, `run_degrees` degrees of freedom) and
    over test examples (normal). Either is 0 where the method does not look at it.
    """

    difference: float
    low: float
    high: float
    p_value: float
    run_variance: float
    run_degrees: float
    example_variance: float
    runs: int
    method: str

    @property
    def standard_error(self) -> float:
        """Square root of the two variances together."""
        return math.sqrt(self.run_variance + self.example_variance)


def by_example(differences: np.ndarray, confidence: float = 0.95) -> Estimate:
    """One run: the interval over test examples alone.

    Args:
        differences: (n,) in {-1, 0, 1}.

    Adjusted Wald interval: one example is added to each kind of disagreement, so that it keeps its coverage
    for few disagreements and never has width zero.

        (right - wrong) / m -+ z sqrt(d' - D'^2) / sqrt(m),   m = n + 2,  d' = (right + wrong + 2) / m

    The p value is the exact McNemar test. Source: Bonett & Price, J. Educ. Behav. Stat. 37 (2012) 479.
    """
    n = len(differences)
    right, wrong = int((differences > 0).sum()), int((differences < 0).sum())
    error = paired_standard_error(right + 1, wrong + 1, n + 2)
    centre, half = (right - wrong) / (n + 2), _half_width(1 - confidence, 0.0, math.inf, error**2)
    return Estimate(
        difference=(right - wrong) / n,
        low=centre - half,
        high=centre + half,
        p_value=exact_mcnemar(right, wrong),
        run_variance=0.0,
        run_degrees=math.inf,
        example_variance=error**2,
        runs=1,
        method=EXAMPLES,
    )


def by_run(differences: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Several runs whose test examples are not the same or not known: paired t over the runs.

        mean(D) -+ t_{S-1} sd(D) / sqrt(S)

    Args:
        differences: (S,) differences of accuracy, S >= 2.
    """
    spread = mean_and_spread(differences)
    if spread.sd is None:
        raise ValueError("differences has one run, expected at least two")
    return _estimate(spread.mean, spread.sd**2 / spread.n, spread.n - 1, 0.0, spread.n, RUNS, confidence)


def by_run_and_example(differences: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Several runs on the same test examples: an interval for new seeds and new test texts together.

    Args:
        differences: (S, n) in {-1, 0, 1}, S >= 2, n >= 2.

    Two-way random effects D[s, i] = mu + run_s + example_i + rest_si with one value a place, and the mean
    squares MS of its analysis of variance (runs: S - 1, examples: n - 1, rest: (S - 1)(n - 1) degrees):

        V_runs = MS_runs / (S n)                           = var(run means) / S, as in the paired t
        V_examples = max(MS_examples - MS_rest, 0) / (S n)   what the choice of texts adds to it
        mean(D) -+ sqrt(t_{S-1}^2 V_runs + z^2 V_examples)

    So it is never narrower than the paired t over runs, which asks about new seeds on these very texts. The p
    value is the level at which the interval touches 0. Each part has its own quantile because Satterthwaite's
    degrees of freedom cover only 0.88 to 0.92 for two runs here (simulated), this form 0.94 to 0.96.
    Sources: the multi-reader multi-case design (runs are the readers, texts the cases) of Dorfman, Berbaum &
    Metz, Invest. Radiol. 27 (1992) 723; the sum of parts: Banerjee, Sankhya 22 (1960) 357.
    """
    runs, n = differences.shape
    if runs < 2 or n < 2:
        raise ValueError(f"differences has shape {differences.shape}, expected at least (2, 2)")
    mean = float(differences.mean())
    run_means, example_means = differences.mean(axis=1), differences.mean(axis=0)
    ms_runs = n * float(run_means.var(ddof=1))
    ms_examples = runs * float(example_means.var(ddof=1))
    # The sum of squares of the rest is what the total leaves over.
    total = float(((differences - mean) ** 2).sum())
    rest = max(total - (runs - 1) * ms_runs - (n - 1) * ms_examples, 0.0)
    ms_rest = rest / ((runs - 1) * (n - 1))
    places = runs * n
    return _estimate(
        mean,
        ms_runs / places,
        runs - 1,
        max(ms_examples - ms_rest, 0.0) / places,
        runs,
        RUNS_AND_EXAMPLES,
        confidence,
    )


def by_accuracy(
    accuracies: Sequence[float], references: Sequence[float], n: int, confidence: float = 0.95
) -> Estimate:
    """Paired runs on the same n test examples of which only the accuracies were kept.

        V_runs = var(a - b) / S (0 for one run),   V_examples <= (A (1 - A) + B (1 - B)) / n

    Args:
        accuracies, references: (S,) each, a_s and b_s; A and B are their means.

    The bound leaves out the covariance of right answers on the same text, which is positive wherever two
    models find the same texts easy: the interval is too wide rather than too narrow.
    """
    if len(accuracies) != len(references) or not len(accuracies) or n < 1:
        raise ValueError(
            f"accuracies and references have {len(accuracies)} and {len(references)} runs on {n} examples, "
            "expected as many of both and at least one of each"
        )
    spread = mean_and_spread([a - b for a, b in zip(accuracies, references, strict=True)])
    shares = [float(np.mean(accuracies)), float(np.mean(references))]
    return _estimate(
        spread.mean,
        spread.sd**2 / spread.n if spread.sd is not None else 0.0,
        spread.n - 1 or math.inf,
        sum(share * (1 - share) for share in shares) / n,
        spread.n,
        ACCURACIES if spread.n > 1 else EXAMPLES,
        confidence,
    )


def average(estimates: Sequence[Estimate], confidence: float = 0.95) -> Estimate:
    """The mean of the differences on C corpora, taken as independent.

        V = sum_c V_c / C^2 for each part,   df = (sum_c V_c)^2 / sum_c (V_c^2 / df_c) for the runs' part

    Source of the degrees of freedom: Satterthwaite, Biometrics Bull. 2 (1946) 110.
    """
    by_examples = sum(e.example_variance for e in estimates) / max(len(estimates), 1) ** 2
    return _mean(estimates, by_examples, confidence)


def pool(estimates: Sequence[Estimate], confidence: float = 0.95) -> Estimate:
    """The mean of A differences measured on the same test texts, as those of several archs are.

    The runs' part as in `average`. The texts' parts are taken as fully dependent, the widest case:

        V_examples = (mean_a sqrt(V_examples,a))^2
    """
    root = sum(math.sqrt(e.example_variance) for e in estimates) / max(len(estimates), 1)
    return _mean(estimates, root**2, confidence)


def _mean(estimates: Sequence[Estimate], example_variance: float, confidence: float) -> Estimate:
    if not estimates:
        raise ValueError("estimates is empty, expected at least one")
    parts = len(estimates)
    by_runs = [e.run_variance for e in estimates]
    below = sum(v**2 / e.run_degrees for v, e in zip(by_runs, estimates, strict=True))
    return _estimate(
        float(np.mean([e.difference for e in estimates])),
        sum(by_runs) / parts**2,
        sum(by_runs) ** 2 / below if below > 0 else math.inf,
        example_variance,
        min(e.runs for e in estimates),
        "; ".join(sorted({e.method for e in estimates})),
        confidence,
    )


def _estimate(
    difference: float,
    run_variance: float,
    run_degrees: float,
    example_variance: float,
    runs: int,
    method: str,
    confidence: float,
) -> Estimate:
    half = _half_width(1 - confidence, run_variance, run_degrees, example_variance)
    p_value = _p_value(difference, run_variance, run_degrees, example_variance)
    if p_value is None:
        # No spread at all leaves t undefined; equal signs are then all the evidence there is.
        p_value = 1.0 if difference == 0 else smallest_sign_flip(runs)
    low, high = difference - half, difference + half
    return Estimate(difference, low, high, p_value, run_variance, run_degrees, example_variance, runs, method)


def _half_width(level: float, run_variance: float, run_degrees: float, example_variance: float) -> float:
    """Half the width of the interval that misses with probability `level`."""
    if not 0 < level < 1:
        raise ValueError(f"confidence is {1 - level}, expected a number between 0 and 1")
    # The ufuncs of scipy.special load in half the time that scipy.stats takes.
    from scipy.special import ndtri, stdtrit

    z = float(ndtri(level / 2))
    t = z if math.isinf(run_degrees) else float(stdtrit(run_degrees, level / 2))
    return math.sqrt(t**2 * run_variance + z**2 * example_variance)


def _p_value(
    difference: float, run_variance: float, run_degrees: float, example_variance: float
) -> float | None:
    """The level at which the half-width is |difference|, not below 1e-99; None where there is no variance."""
    if run_variance + example_variance == 0:
        return None
    # The half-width falls as the level rises: bisect, on the exponent because p may be small.
    low, high = -99.0, 0.0
    for _ in range(60):
        middle = (low + high) / 2
        wide = _half_width(10**middle, run_variance, run_degrees, example_variance) > abs(difference)
        low, high = (middle, high) if wide else (low, middle)
    return float(10**high)
