"""Do the intervals cover what they claim? The printed forms, simulated at the sizes of the paper's corpora.

Not simulated is that of a measure without a value for a single text (`zoo.evidence.resampled`).

Each draw makes answers whose true difference is known and hands them to the code that the reports call. The
answers D[s, f, i] (see `zoo.evidence.intervals`) are 1 with probability (d + t) / 2 and -1 with (d - t) / 2,
where d is the share of texts answered differently and t[s, f] = difference + seed_s + fold_f + rest_sf, all
normal. With probability KEPT a text gives the answer that it gives in all runs, so that two runs agree on a
text more often than by chance (correlation KEPT^2; 0 to 0.5 in results/).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from zoo.evidence.answers import FEWEST
from zoo.evidence.cells import Run
from zoo.evidence.compare import estimate_runs
from zoo.evidence.intervals import Estimate, average, by_accuracy, by_run, pool

__all__ = [
    "ALL", "AT_LEAST", "CASES", "CONFIDENCE", "CORPORA", "DIFFERENCE", "KEPT", "NOMINAL", "NONE", "Case",
    "Corpus", "Coverage", "answers", "kept", "simulate",
]  # fmt: skip

CONFIDENCE = 0.95
DIFFERENCE = 0.01  # the true one
KEPT = 0.4
ACCURACY = 0.8  # of the reference, where accuracies alone are known
CORPORA_SD = 0.02  # of the true difference between corpora, where these are drawn
ARCHS, FOLDS, UNLIKE = 3, 5, 8  # UNLIKE: how many times the others' spread that of one corpus is
# What an interval claims of its coverage.
NOMINAL, AT_LEAST, NONE = "nominal", "at least", "none"
ALL = "all"  # corpora


@dataclass(frozen=True)
class Corpus:
    """Test texts, the share of them answered differently, and standard deviations of the true difference.

    They are over seeds, over cuts into folds, and of a seed within a cut (fractions of 1).
    """

    texts: int
    disagree: float
    seed_sd: float
    fold_sd: float = 0.004
    rest_sd: float = 0.002

    def smaller(self, scale: float) -> Corpus:
        """With 1/scale of the texts and sqrt(scale) of the deviations, which stay in proportion."""
        sds = (math.sqrt(scale) * sd for sd in (self.seed_sd, self.fold_sd, self.rest_sd))
        return Corpus(max(round(self.texts / scale), 2), self.disagree, *sds)

    def of_this_seed(self) -> Corpus:
        """Without a spread over seeds: what one seed can speak of."""
        return replace(self, seed_sd=0.0, rest_sd=0.0)


CORPORA = {
    "imdb": Corpus(25_000, 0.04, 0.003),
    "ag_news": Corpus(7_600, 0.06, 0.005),
    "tnews": Corpus(10_000, 0.16, 0.006),
    "iflytek": Corpus(2_600, 0.12, 0.010),
}


def kept(rng: np.random.Generator, corpus: Corpus) -> np.ndarray:
    """(n,) in {-1, 0, 1}: the answers that texts may keep in all runs."""
    draw, d = rng.random(corpus.texts, dtype=np.float32), corpus.disagree
    return _signs(draw < (d + DIFFERENCE) / 2, draw > 1 - (d - DIFFERENCE) / 2)


def answers(rng: np.random.Generator, corpus: Corpus, means: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(..., n) in {-1, 0, 1} for runs with true differences `means` (...) on texts that keep `own` (n,)."""
    # What is not kept must make up for what is, so that the run as a whole has its mean.
    moved = (means[..., None] - KEPT * DIFFERENCE) / (1 - KEPT)
    draw = rng.random((*means.shape, corpus.texts), dtype=np.float32)
    right = draw < KEPT + (1 - KEPT) * (corpus.disagree + moved) / 2
    wrong = draw > 1 - (1 - KEPT) * (corpus.disagree - moved) / 2
    return np.where(draw < KEPT, own, _signs(right, wrong))


def _signs(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    return right.astype(np.int8) - wrong.astype(np.int8)


@dataclass(frozen=True)
class Case:
    """A form of interval under one design; `draw` makes one interval from corpora by name."""

    form: str
    where: str
    seeds: int
    folds: int
    claim: str
    draw: Callable[[np.random.Generator, dict[str, Corpus]], Estimate]


@dataclass(frozen=True)
class Coverage:
    """How many of `draws` intervals held the true difference; `half_width`: their median, fraction of 1."""

    case: Case
    draws: int
    covered: int
    half_width: float

    @property
    def share(self) -> float:
        """Share of the draws that were covered."""
        return self.covered / self.draws

    def holds(self, chance: float = 1e-4) -> bool:
        """Whether draws are as claimed; one that is exactly nominal fails with at most this probability."""
        from scipy.special import bdtr

        low = float(bdtr(self.covered, self.draws, CONFIDENCE))
        high = float(bdtr(self.draws - self.covered, self.draws, 1 - CONFIDENCE))
        if self.case.claim == NOMINAL:
            return min(low, high) > chance / 2
        return self.case.claim == NONE or low > chance


def simulate(case: Case, draws: int, seed: int = 0, scale: float = 1.0) -> Coverage:
    """Draw intervals of a case.

    Args:
        scale: of `Corpus.smaller`, for a test that has little time.
    """
    if draws < 1 or not scale > 0:
        raise ValueError(f"draws is {draws} and scale {scale}, expected at least 1 and a number above 0")
    corpora = {name: corpus.smaller(scale) for name, corpus in CORPORA.items()}
    rng = np.random.default_rng(seed)
    found = [case.draw(rng, corpora) for _ in range(draws)]
    covered = sum(e.low <= DIFFERENCE <= e.high for e in found)
    return Coverage(case, draws, covered, float(np.median([(e.high - e.low) / 2 for e in found])))


def _runs(
    rng: np.random.Generator,
    corpus: Corpus,
    seeds: int,
    folds: int = 1,
    apart: bool = False,
    own: np.ndarray | None = None,
) -> Estimate:
    """The interval of a grid of runs; `apart`: other texts in each fold, or in each seed without folds."""
    means = DIFFERENCE + rng.normal(0, corpus.seed_sd, (seeds, 1))
    if folds > 1:
        rest = rng.normal(0, corpus.rest_sd, (seeds, folds))
        means = means + rng.normal(0, corpus.fold_sd, folds) + rest
    block = [Run(s, f if folds > 1 else None) for s in range(seeds) for f in range(folds)]
    parts = [(run.seed if run.fold is None else run.fold) if apart else 0 for run in block]
    texts = [own if own is not None else kept(rng, corpus) for _ in range(max(parts) + 1)]
    differences, truths = {}, {}
    for run, part, mean in zip(block, parts, means.flat, strict=True):
        differences[run] = answers(rng, corpus, np.array(mean), texts[part])
        truths[run] = np.full(corpus.texts, part)
    return estimate_runs(block, differences, truths, CONFIDENCE)


def _one(
    rng: np.random.Generator,
    corpora: dict[str, Corpus],
    name: str,
    seeds: int,
    folds: int = 1,
    apart: bool = False,
    this_seed: bool = False,
) -> Estimate:
    corpus = corpora[name].of_this_seed() if this_seed else corpora[name]
    return _runs(rng, corpus, seeds, folds, apart)


def _accuracies(rng: np.random.Generator, corpora: dict[str, Corpus], name: str, seeds: int) -> Estimate:
    corpus = corpora[name] if seeds > 1 else corpora[name].of_this_seed()
    means = DIFFERENCE + rng.normal(0, corpus.seed_sd, (seeds, 1))
    found = answers(rng, corpus, means, kept(rng, corpus)).mean(axis=2)
    return by_accuracy(ACCURACY + found, np.full_like(found, ACCURACY), corpus.texts)


def _average(rng: np.random.Generator, corpora: dict[str, Corpus], seeds: int) -> Estimate:
    known = corpora.values() if seeds > 1 else [corpus.of_this_seed() for corpus in corpora.values()]
    return average([_runs(rng, corpus, seeds) for corpus in known])


def _unlike(rng: np.random.Generator, corpora: dict[str, Corpus], seeds: int) -> Estimate:
    """Means of runs alone, normal, the spread of the first corpus UNLIKE times that of the others."""
    sds = [0.001 * (1 if i else UNLIKE) for i in range(len(corpora))]
    return average([by_run(DIFFERENCE + rng.normal(0, sd, (seeds, 1)), 0.0) for sd in sds])


def _of_corpora(rng: np.random.Generator, corpora: dict[str, Corpus], number: int) -> Estimate:
    """The mean over corpora drawn from all that there may be, as a study that chooses a setting has it."""
    return by_run(DIFFERENCE + rng.normal(0, CORPORA_SD, (number, 1)), 0.0)


def _pool(rng: np.random.Generator, corpora: dict[str, Corpus], seeds: int, alike: bool) -> Estimate:
    """Averages of several archs on the same texts; `alike`: these keep the same answers under every arch."""
    own = {name: kept(rng, corpus) if alike else None for name, corpus in corpora.items()}
    return pool(
        [average([_runs(rng, c, seeds, own=own[name]) for name, c in corpora.items()]) for _ in range(ARCHS)]
    )


def _cases() -> tuple[Case, ...]:
    ends, small = ("imdb", "iflytek"), "iflytek"
    found = [
        Case("one run", name, 1, 1, NOMINAL, partial(_one, name=name, this_seed=True, seeds=1))
        for name in ends
    ]
    for form, apart in (("runs, other texts in each", True), ("runs and texts", False)):
        designs = [
            *((name, seeds, 1) for name in ends for seeds in (2, 3)),
            *((small, s, FOLDS) for s in (1, 2, 3)),
        ]
        for name, seeds, folds in designs:
            draw = partial(_one, name=name, this_seed=seeds == 1, seeds=seeds, folds=folds, apart=apart)
            found.append(Case(form, name, seeds, folds, AT_LEAST, draw))
    forms: list[tuple[str, str, Callable[..., Estimate], tuple[int, ...]]] = [
        ("accuracies alone", small, partial(_accuracies, name=small), (1, 2, 3)),
        ("average", ALL, _average, (1, 2, 3, 6)),
        (f"average, one spread {UNLIKE} times", ALL, _unlike, (2, 3)),
        (f"pool of {ARCHS} models", ALL, partial(_pool, alike=True), (2, 3)),
        (f"pool of {ARCHS} models, texts unlike", ALL, partial(_pool, alike=False), (2, 3)),
    ]
    found += [
        Case(form, where, s, 1, AT_LEAST, partial(draw, seeds=s))
        for form, where, draw, own in forms
        for s in own
    ]
    for number in (FEWEST, 6):
        draw = partial(_of_corpora, number=number)
        found.append(Case("corpora in the place of seeds", ALL, number, 1, NOMINAL, draw))
    for folds in (1, FOLDS):
        draw = partial(_one, name=small, seeds=1, folds=folds)
        found.append(Case("one seed, for another", small, 1, folds, NONE, draw))
    return tuple(found)


CASES = _cases()
