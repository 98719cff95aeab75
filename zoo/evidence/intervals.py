"""How sure is a difference between two recipes? Intervals from differences paired by run and by example.

Symbols: S seeds, F folds (1 on a fixed split), n test examples, `D[s, f, i]` in {-1, 0, 1} = (recipe right) -
(reference right) on example i of the run with seed s and fold f. Unit: fractions of 1 (0.01 = one point).
Two-sided throughout.

    one run                                      `by_example`          examples only
    several runs, other test texts in each       `by_run`              seeds and folds
    several runs on the same test texts          `by_run_and_example`  seeds, folds and examples
    only the accuracies of the runs are known    `by_accuracy`         seeds and examples, the latter by a
    bound

The variance of a mean has up to three parts, each with the quantile that its degrees of freedom ask for:

    half width^2 = max(t_a^2 V_seeds + t_b^2 V_folds + z^2 V_examples, z^2 V_floor)

The sum of parts with a quantile each is Banerjee's (Sankhya 22 (1960) 357). Satterthwaite's one quantile for
the sum covers only 0.88 to 0.92 for two runs here, this form 0.95 to 0.98 (`python -m zoo.report.coverage`).

V_floor is the variance if all S F n outcomes were independent, which any common part can only raise. It is
never 0, so no interval has width 0: two runs whose accuracies happen to agree show no spread, and say nothing
of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.evidence.parts import NO_PART, Part, dependent, half_width, independent, p_value_of
from zoo.evidence.statistics import exact_mcnemar, paired_variance

__all__ = [
    "Estimate",
    "average",
    "by_accuracy",
    "by_example",
    "by_run",
    "by_run_and_example",
    "pool",
]

EXAMPLES = "examples"
SEEDS = "seeds"
SEEDS_AND_EXAMPLES = "seeds and examples"
FOLDS = "folds"
FOLDS_AND_EXAMPLES = "folds and examples"
SEEDS_AND_FOLDS = "seeds and folds"
SEEDS_FOLDS_AND_EXAMPLES = "seeds, folds and examples"
ACCURACIES = "runs and examples, not paired by example"


@dataclass(frozen=True)
class Estimate:
    """A mean difference with its interval. `method` names what the interval accounts for.

    From one seed the interval does not cover another seed, whatever else it covers.
    """

    difference: float
    low: float
    high: float
    p_value: float
    seeds_part: Part
    folds_part: Part
    examples_part: Part
    floor: float
    seeds: int
    runs: int
    method: str

    @property
    def standard_error(self) -> float:
        """Square root of the variance of the difference."""
        parts = (self.seeds_part, self.folds_part, self.examples_part)
        return math.sqrt(max(sum(part.variance for part in parts), self.floor))


def by_example(differences: np.ndarray, confidence: float = 0.95) -> Estimate:
    """One run: the interval over test examples alone.

    Args:
        differences: (n,) in {-1, 0, 1}.

    Adjusted Wald interval: one example is added to each kind of disagreement, so that it keeps its coverage
    for few disagreements and never has width zero.

        (right - wrong) / (n + 2) -+ z sqrt(`paired_variance`)

    The p value is the exact McNemar test. Source: Bonett & Price, J. Educ. Behav. Stat. 37 (2012) 479.
    """
    n = len(differences)
    right, wrong = int((differences > 0).sum()), int((differences < 0).sum())
    examples = Part(paired_variance(differences))
    centre, half = (right - wrong) / (n + 2), half_width(1 - confidence, (examples,), 0.0)
    return Estimate(
        difference=(right - wrong) / n,
        low=centre - half,
        high=centre + half,
        p_value=exact_mcnemar(right, wrong),
        seeds_part=NO_PART,
        folds_part=NO_PART,
        examples_part=examples,
        floor=0.0,
        seeds=1,
        runs=1,
        method=EXAMPLES,
    )


def by_run(means: np.ndarray, floor: float, confidence: float = 0.95) -> Estimate:
    """Several runs whose test examples are not the same: seeds and folds as crossed random effects.

    Args:
        means: (S, F) differences of accuracy, at least two of them.
        floor: their variance if they differed by the choice of test texts alone (module docstring).

    With one fold this is the paired t test over seeds. Seeds and folds are not S F independent runs: all
    seeds of a fold share its training texts. Crossed random effects D[s, f] = mu + seed_s + fold_f + rest_sf:

        V_seeds = var(seed means) / S                                     = (seed^2 + rest^2 / F) / S
        V_folds = max(var(fold means) / F - var(rest) / (S F), 0)         what the cut adds to it

    with S - 1 and F - 1 degrees of freedom. For one seed V_folds = var(fold means) / F alone. Folds are parts
    of one set of training texts and overlap, so this is about another cut of these texts; no estimate from
    folds alone covers other training texts (Bengio & Grandvalet, J. Mach. Learn. Res. 5 (2004) 1089). Source
    of the analysis of variance: Scheffe, The Analysis of Variance (1959), section 7.4.
    """
    if means.ndim != 2 or means.size < 2:
        raise ValueError(f"means has shape {means.shape}, expected seeds by folds, at least two")
    seeds, folds = run_parts(means)
    s, f = means.shape
    method = SEEDS if f == 1 else FOLDS if s == 1 else SEEDS_AND_FOLDS
    return estimate_of(float(means.mean()), (seeds, folds, NO_PART), floor, s, s * f, method, confidence)


def by_run_and_example(differences: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Several runs on the same test examples: an interval for new seeds, new cuts and new texts together.

    Args:
        differences: (S, F, n) in {-1, 0, 1}, at least two runs and two examples.

    Seeds and folds as in `by_run`. The examples' part is that of two-way random effects, R = S F runs by n
    examples, with the mean squares MS of their analysis of variance:

        V_examples = max(MS_examples - MS_rest, 0) / (R n)   what the choice of texts adds to the runs' part

    So the interval is never narrower than that over runs alone, which asks about new seeds on these very
    texts. Source: the multi-reader multi-case design (runs are the readers, texts the cases) of Dorfman,
    Berbaum & Metz, Invest. Radiol. 27 (1992) 723.
    """
    if differences.ndim != 3 or differences[..., 0].size < 2 or differences.shape[2] < 2:
        raise ValueError(
            f"differences has shape {differences.shape}, expected seeds by folds by examples, "
            "at least two runs and two examples"
        )
    s, f, n = differences.shape
    seeds, folds = run_parts(differences.mean(axis=2))
    table = differences.reshape(s * f, n)
    runs, mean = s * f, float(table.mean())
    ms_runs = n * float(table.mean(axis=1).var(ddof=1))
    ms_examples = runs * float(table.mean(axis=0).var(ddof=1))
    # The sum of squares of the rest is what the total leaves over.
    total = float(((table - mean) ** 2).sum())
    rest = max(total - (runs - 1) * ms_runs - (n - 1) * ms_examples, 0.0)
    ms_rest = rest / ((runs - 1) * (n - 1))
    examples = Part(max(ms_examples - ms_rest, 0.0) / (runs * n))
    method = SEEDS_AND_EXAMPLES if f == 1 else FOLDS_AND_EXAMPLES if s == 1 else SEEDS_FOLDS_AND_EXAMPLES
    floor = paired_variance(table)
    return estimate_of(mean, (seeds, folds, examples), floor, s, runs, method, confidence)


def by_accuracy(accuracies: np.ndarray, references: np.ndarray, n: int, confidence: float = 0.95) -> Estimate:
    """Paired runs on the same n test examples of which only the accuracies were kept.

    Args:
        accuracies, references: (S, F) each; A and B are their means, with one right and one wrong answer
            added (Agresti & Caffo, Am. Stat. 54 (2000) 280), so that the bound is never 0.

    Seeds and folds as in `by_run` (no such part for one run), and V_examples <= (A (1 - A) + B (1 - B)) / n.
    The bound leaves out the covariance of right answers on the same text, which is positive wherever two
    models find the same texts easy: the interval is too wide rather than too narrow.
    """
    if accuracies.shape != references.shape or accuracies.ndim != 2 or not accuracies.size or n < 1:
        raise ValueError(
            f"accuracies and references have shapes {accuracies.shape} and {references.shape} on {n} "
            "examples, expected the same of both, seeds by folds, and at least one example"
        )
    means = accuracies - references
    shares = [(n * float(values.mean()) + 1) / (n + 2) for values in (accuracies, references)]
    examples = Part(sum(share * (1 - share) for share in shares) / (n + 2))
    parts = (*run_parts(means), examples)
    method = ACCURACIES if means.size > 1 else EXAMPLES
    return estimate_of(float(means.mean()), parts, 0.0, len(means), means.size, method, confidence)


def average(estimates: Sequence[Estimate], confidence: float = 0.95) -> Estimate:
    """The mean of the differences on C corpora, taken as independent, each with the same weight.

        V = sum_c V_c / C^2,   df = (sum_c W_c)^2 / sum_c (W_c^2 / df_c)      for each part

    W_c = V_c, but the largest of them counts DOUBT times. With W = V this is Satterthwaite's rule (Biometrics
    Bull. 2 (1946) 110), which takes the spreads as they were found. Where one is many times the others' and
    few seeds happen to hide it, too many degrees are left, and 2 or 3 seeds cover 0.89 to 0.94. As if the
    largest standard error were twice as large they cover 0.94 at the worst, and 0.98 to 0.99 where spreads
    are alike (simulated).
    """
    return _mean(estimates, independent, confidence)


def pool(estimates: Sequence[Estimate], confidence: float = 0.95) -> Estimate:
    """The mean of A differences measured on the same texts, as those of several archs are.

    The seeds' part as in `average`. All archs share the test texts and the cuts into folds, so these parts
    are taken as fully dependent, the widest case:

        V = (mean_a sqrt(V_a))^2,   df = min_a df_a
    """
    return _mean(estimates, dependent, confidence)


def _mean(
    estimates: Sequence[Estimate], shared: Callable[[Sequence[Part]], Part], confidence: float
) -> Estimate:
    if not estimates:
        raise ValueError("estimates is empty, expected at least one")
    return estimate_of(
        float(np.mean([e.difference for e in estimates])),
        (
            independent([e.seeds_part for e in estimates]),
            shared([e.folds_part for e in estimates]),
            shared([e.examples_part for e in estimates]),
        ),
        sum(e.floor for e in estimates) / len(estimates) ** 2,
        min(e.seeds for e in estimates),
        min(e.runs for e in estimates),
        "; ".join(sorted({e.method for e in estimates})),
        confidence,
    )


def run_parts(means: np.ndarray) -> tuple[Part, Part]:
    """The parts of seeds and of folds from the (S, F) means of the runs; see `by_run`."""
    s, f = means.shape
    by_seed, by_fold = means.mean(axis=1), means.mean(axis=0)
    seeds = Part(float(by_seed.var(ddof=1)) / s, s - 1) if s > 1 else NO_PART
    if f == 1:
        return seeds, NO_PART
    variance = float(by_fold.var(ddof=1)) / f
    if s > 1:
        rest = means - by_seed[:, None] - by_fold + means.mean()
        variance = max(variance - float((rest**2).sum()) / ((s - 1) * (f - 1) * s * f), 0.0)
    return seeds, Part(variance, f - 1)


def estimate_of(
    difference: float,
    parts: tuple[Part, Part, Part],
    floor: float,
    seeds: int,
    runs: int,
    method: str,
    confidence: float,
) -> Estimate:
    half = half_width(1 - confidence, parts, floor)
    p_value = p_value_of(difference, parts, floor)
    low, high = difference - half, difference + half
    return Estimate(difference, low, high, p_value, *parts, floor, seeds, runs, method)
