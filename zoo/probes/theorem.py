"""Theorem 1 on real gradients: its assumptions, the variance that the mask adds, what AdamW makes of it.

The theorem has gradients of single texts that are N(mu, sigma^2 I), a mask that does not depend on them, and
SGD:

    Var[m/p g] = (sigma^2 / B) / p + (1 - p) / p mu^2

In the method p follows from the ranks of the same batch's gradient. Then, by total variance,

    Var[m/p g] = Var[g] + E[(1 - p) / p g^2]

Batches of B are drawn with replacement from the n texts, so mu and sigma^2 of a text are known exactly.

Index letters: n texts, d entries, M batches, R masks, T steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.core.records import Settings, setting
from zoo.method.backward.selective import Selective
from zoo.method.contract import TextClassifier
from zoo.method.recipe import Recipe
from zoo.method.step import prepare
from zoo.probes.gradients import (
    Array,
    Entries,
    choose,
    effective_dimensions,
    excess_kurtosis,
    flat_gradient,
    not_gaussian,
    of_texts,
)
from zoo.probes.penalty import gradient_penalty
from zoo.probes.subject import Subject
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.settings import TrainSettings
from zoo.training.steps import OrdinarySteps, steps_an_epoch

# The masks that are measured: of the gradient of one batch, over all that it moves. Eq. 8-9 are the method's.
_MEASURED = {"saliency": "batch", "resample": "step", "update_scope": "all", "rescale": True}


@dataclass(frozen=True)
class Theory(Settings):
    """How it is measured."""

    what: ClassVar[str] = "measurement setting"

    rows: int = setting(256, low=8)  # n texts of the training part
    entries: int = setting(300, low=2)  # of each part of the model
    batches: int = setting(200, low=10)  # M
    masks: int = setting(50, low=2)  # R of each batch, and of the walk under AdamW
    penalty_rows: int = setting(128, low=1)

    def measure(self, subject: Subject) -> dict[str, Any]:
        """`initial` and `trained`: {gradients, mask, penalty} there; `adamw`: a walk of real gradients.

        Raises:
            UserError: a mask of another kind than those that are measured.
        """
        rule = rule_of(subject.settings.recipe)
        batch = subject.sample(subject.corpus.train, self.rows)
        found: dict[str, Any] = {}
        size = subject.settings.train.batch_size
        model = subject.initial().eval()
        found["adamw"] = self._walk(subject, choose(model, batch, self.entries), rule)
        for stage, own in (("initial", model), ("trained", subject.fitted())):
            entries = choose(own, batch, self.entries)
            texts = of_texts(own, batch, entries)
            found[stage] = {
                "gradients": {
                    part: assumptions(texts[:, where], size) for part, where in entries.slices().items()
                },
                "mask": self._masked(own, batch, entries, texts, size, rule),
                "penalty": gradient_penalty(own, subject.sample(subject.corpus.train, self.penalty_rows)),
            }
        return found | {"rows": len(batch.labels), "batch_size": size}

    def _masked(
        self,
        model: TextClassifier,
        batch: Batch,
        entries: Entries,
        texts: Array,
        size: int,
        rule: Selective,
    ) -> dict[str, Any]:
        """Variance of the masked gradient of a batch, by part: measured, and by the two formulas."""
        random, sizes = np.random.default_rng(0), [p.numel() for p in model.parameters()]
        gradients, keep = list[Array](), list[Array]()
        for _ in range(self.batches):
            rows = torch.from_numpy(random.integers(0, len(batch.labels), size))
            own = Batch(batch.tokens[rows], batch.mask[rows], batch.labels[rows], batch.index[rows])
            whole = flat_gradient(model, own)
            p = keep_probabilities(rule, whole, sizes)
            gradients.append(whole[entries.all].double().numpy())
            keep.append(p[entries.all].double().numpy())
        g, kept = np.stack(gradients), np.stack(keep)
        return {
            part: variances(texts[:, where], size, g[:, where], kept[:, where], self.masks, random, rule)
            for part, where in entries.slices().items()
        }

    def _walk(self, subject: Subject, entries: Entries, rule: Selective) -> dict[str, Any]:
        """What the places of the mask make of the gradients of a training without one."""
        model, settings = subject.initial().train(), subject.settings
        trainee = prepare(model, settings.recipe.changed(update="all"), torch.Generator().manual_seed(1))
        steps = OrdinarySteps(
            trainee, settings.train, subject.corpus.train, subject.seed, torch.device("cpu")
        )
        optimizer = make_optimizer(model, settings.train)
        total = steps_an_epoch(subject.corpus.train, settings.train) * settings.train.epochs
        schedule = make_schedule(optimizer, total, settings.train.warmup)
        sizes = [p.numel() for p in model.parameters()]
        gradients, keep = list[Array](), list[Array]()
        for epoch in range(1, settings.train.epochs + 1):
            for batch in steps.batches(subject.corpus.train, settings.train.batch_size, epoch):
                optimizer.zero_grad()
                trainee.forward.gradients(trainee, batch)
                whole = torch.cat(
                    [
                        torch.zeros_like(q).flatten() if q.grad is None else q.grad.flatten()
                        for q in model.parameters()
                    ]
                )
                p = keep_probabilities(rule, whole, sizes)
                gradients.append(whole[entries.all].double().numpy())
                keep.append(p[entries.all].double().numpy())
                optimizer.step()
                schedule.step()
        g, kept = np.stack(gradients), np.stack(keep)
        kept[g == 0] = 1.0  # nothing to select by: such an entry is not masked
        return {"steps": len(g), **walks(g, kept, self.masks, np.random.default_rng(1), settings.train)}


def rule_of(recipe: Recipe) -> Selective:
    """Eq. 8-9 as the method has them; the defaults for one without a mask.

    Raises:
        UserError: its masks are of another kind than those that are measured.
    """
    rule = recipe.backward if isinstance(recipe.backward, Selective) else Selective()
    for name, value in _MEASURED.items():
        if getattr(rule, name) != value:
            raise UserError(
                f"setting {name}={getattr(rule, name)}: the masks of single batches are measured; expected "
                f"{name}={value}"
            )
    return rule


def keep_probabilities(rule: Selective, gradient: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """p of every entry of the flat gradient of tensors of `sizes`; ranks of |g| are those of its square."""
    return rule.probabilities(gradient.abs() if rule.normalise == "rank" else gradient.square(), sizes)


def assumptions(texts: Array, size: int) -> dict[str, float]:
    """What (n, d) gradients of texts are like, and means of batches of `size` of them."""
    random = np.random.default_rng(0)
    means = texts[random.integers(0, len(texts), (200, size))].mean(1)
    variance = texts.var(0)
    low, high = np.quantile(variance, [0.05, 0.95])
    live = variance > 0
    scaled = texts[:, live] / np.sqrt(variance[live])
    n, d = texts.shape
    return {
        "entries": d,
        "zeros": float((texts == 0).mean()),
        "kurtosis": float(np.nanmedian(excess_kurtosis(texts))),
        "not_gaussian": float(not_gaussian(texts).mean()),
        "batch_kurtosis": float(np.nanmedian(excess_kurtosis(means))),
        "batch_not_gaussian": float(not_gaussian(means).mean()),
        "variance_ratio": float(high / max(low, 1e-300)),
        "dimensions": effective_dimensions(texts),
        "dimensions_scaled": effective_dimensions(scaled),
        "dimensions_identity": d / (1 + d / n),
        "signal": float((texts.mean(0) ** 2).sum() / (variance.sum() / size)),  # mu^2 over sigma^2 / B
    }


def variances(
    texts: Array,
    size: int,
    g: Array,
    p: Array,
    masks: int,
    random: np.random.Generator,
    rule: Selective,
) -> dict[str, float]:
    """Sums over the entries of variances of m/p g, over those of g.

    Args:
        texts: (n, d) gradients of the texts that batches are drawn from, `size` each.
        g, p: (M, d) gradients of batches and their keep probabilities.
        masks: R for each batch.
        rule: what p comes from; of it the least that it can be.
    """
    drawn = random.random((masks, *p.shape)) < p
    masked = np.where(drawn, g / p, 0.0)
    mean, plain = masked.mean((0, 1)), g.mean(0)
    added = ((1 - p) / p * g**2).mean(0)
    noise = added / (masks * len(g))
    mu, sigma2 = texts.mean(0), texts.var(0)
    live = g != 0  # the others are not masked: what p would be of a zero says nothing
    kept = np.where(live, p, 0.0).sum(0) / live.sum(0).clip(1)
    kept = np.where(live.any(0), kept, 1.0)
    least = rule.least_probability
    base = float((sigma2 / size).sum())
    off = np.where(noise > 0, (mean - plain) ** 2 / np.where(noise > 0, noise, 1.0), np.nan)
    return {
        "measured": float(masked.var((0, 1)).sum()) / base,
        "unmasked": float(g.var(0).sum()) / base,
        "total_variance": float((sigma2 / size + added).sum()) / base,
        "theorem": float((sigma2 / size / kept + (1 - kept) / kept * mu**2).sum()) / base,
        "theorem_one_sigma": float((sigma2.mean() / size / kept + (1 - kept) / kept * mu**2).sum()) / base,
        "bound": float((sigma2 / size / least + (1 - least) / least * mu**2).sum()) / base,
        "keep": float(p[live].mean()),
        "bias": float(np.sqrt(np.nanmean(off))),  # in standard errors; 1 = none
    }


def walks(
    g: Array, p: Array, masks: int, random: np.random.Generator, train: TrainSettings
) -> dict[str, Any]:
    """How far the second half of T steps goes under each place of the mask, against none.

    The gradients (T, d) are those of one training and do not answer to the walk: what is seen is the
    optimizer's doing alone. By place: `slope`, the length of the mean walk along the unmasked one; `bias`,
    the distance of the mean walk from the unmasked one without what R masks leave by chance; `spread`, of
    single walks around their mean; all in lengths of the unmasked walk. `train` has AdamW's settings.
    """
    ones = np.ones((1, *g.shape[1:]))
    found: dict[str, Any] = {"keep": float(p[g != 0].mean()), "root": float(np.sqrt(p[g != 0]).mean())}
    for name in _PLACES:
        plain = _walk(name, g, [ones] * len(g), train)[0]
        drawn = [(random.random((masks, g.shape[1])) < own) / own for own in p]
        walked = _walk(name, g, drawn, train)
        length = float((plain**2).sum())
        mean = walked.mean(0)
        chance = float(walked.var(0, ddof=1).sum()) / masks
        bias = float(((mean - plain) ** 2).sum())
        found[name] = {
            "slope": float((mean * plain).sum()) / length,
            "bias": float(np.sqrt(max(0.0, bias - chance) / length)),
            "spread": float(np.sqrt(walked.var(0, ddof=1).sum() / length)),
        }
    return found


def _walk(place: str, g: Array, factors: list[Array], train: TrainSettings) -> Array:
    """(R, d) sum of the steps of the second half; factors m/p (R, d) of every step."""
    adam, total = _Adam(train), np.zeros(np.broadcast_shapes(factors[0].shape, g[0].shape))
    for t, (own, factor) in enumerate(zip(g, factors, strict=True), 1):
        moved = _PLACES[place](own, factor, adam)
        if t > len(g) // 2:
            total += moved
    return total


class _Adam:
    """Adam's direction, step by step, from what its two moments are handed."""

    def __init__(self, train: TrainSettings) -> None:
        self.train, self.t = train, 0
        self.u: Array | float = 0.0
        self.v: Array | float = 0.0

    def __call__(self, first: Array, second: Array) -> Array:
        s, self.t = self.train, self.t + 1
        self.u = s.beta1 * self.u + (1 - s.beta1) * first
        self.v = s.beta2 * self.v + (1 - s.beta2) * second
        root = np.sqrt(self.v / (1 - s.beta2**self.t))
        found: Array = self.u / (1 - s.beta1**self.t) / (root + s.adam_epsilon)
        return found


# The step of a gradient under a factor m/p, by where the mask acts.
_PLACES: dict[str, Callable[[Array, Array, _Adam], Array]] = {
    "sgd": lambda g, factor, adam: factor * g,
    "gradient": lambda g, factor, adam: adam(factor * g, (factor * g) ** 2),
    "first_moment": lambda g, factor, adam: adam(factor * g, g**2),
    "update": lambda g, factor, adam: factor * adam(g, g**2),
}
