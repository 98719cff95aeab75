"""Every value of every option of the method: whole steps against the reference, or a slow form here."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
from both import CLASSES, DIMENSIONS, HIDDEN, LEFT_OUT, TRAINING, WORDS, Noise, Small, close, compare, texts
from hypothesis import given
from hypothesis import strategies as st

import uegr_ref
from uegr_ref.model import backward, embed, embed_grad, forward, initialise
from uegr_ref.optimizer import learning_rate_factor as reference_factor
from zoo.core.batch import Batch
from zoo.method.backward.selective import Selective
from zoo.method.forward import divergence
from zoo.method.forward.bi_stage import BiStage
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.method.step import prepare, train_step
from zoo.recipes import RECIPES
from zoo.training.optim import learning_rate_factor

UEGR = RECIPES["uegr"]
SIGN = {"attack": "fgsm", "epsilon": 0.05, "epsilon_unit": "rms"}
# One line an option: its settings, over six steps in three epochs of two.
OPTIONS: dict[str, dict[str, Any]] = {
    "no divergence": {"divergence": "none"},
    "pairwise JS of three": {"divergence": "js_pairwise", "adversarial": 3, "alpha": 2.0},
    "symmetric KL, summed": {"divergence": "sym_kl", "divergence_reduction": "sum", "alpha": 0.1},
    "summed cross-entropies": {"adversarial_reduction": "sum"},
    "sign of the gradient": SIGN,
    "fgm by token": {"attack_scope": "token", "epsilon": 0.1},
    "fgm by batch": {"attack_scope": "batch", "epsilon": 1.0},
    "fgm by table": {"attack_scope": "table", "epsilon": 2.0, "epsilon_unit": "rms"},
    "token_linf": SIGN | {"attack": "token_linf"},
    "absolute epsilon": {"epsilon": 0.3, "epsilon_unit": "absolute"},
    "two steps of PGD by sign": SIGN | {"attack_steps": 2},
    "five steps of PGD by sign": SIGN | {"attack_steps": 5, "epsilon": 0.4},
    "PGD by token_linf": SIGN | {"attack": "token_linf", "attack_steps": 3, "epsilon": 0.4},
    "PGD by fgm": {"attack_steps": 3},
    "PGD by fgm and token": {"attack_scope": "token", "attack_steps": 3, "epsilon": 0.2},
    "PGD by fgm and batch": {"attack_scope": "batch", "attack_steps": 3, "epsilon": 1.0},
    "PGD by fgm and table": {"attack_scope": "table", "attack_steps": 3, "epsilon": 1.0},
    "no dropout": {"dropout": "none", "divergence": "none"},
    "uniform dropout": {"dropout": "uniform"},
    "rank dropout": {"dropout": "rank"},
    "logistic dropout": {"dropout": "logistic", "gamma": 0.5},
    "inverse dropout": {"dropout": "inverse"},
    "layer dropout": {"dropout": "layer", "gamma": 2.0},
    "another rate for each pass": {"base_rates": (0.05, 0.3, 0.1), "gamma": 2.0},
    "rates that reach q_max": {"base_rates": (0.3,), "q_max": 0.35},
    "rates that reach q_min": {"base_rates": (0.3,), "q_min": 0.25},
    # Not by rank: equal rates make equal gradients, and rounding decides whether they tie.
    "logistic rates that reach both": {"dropout": "logistic", "q_min": 0.15, "q_max": 0.25, "gamma": 3.0,
                                       "normalise": "log_minmax"},
    "layer rates that reach q_max": {"dropout": "layer", "q_max": 0.22},
    "running norms for all passes": {"statistics": "ema", "statistics_decay": 0.5},
    "norms of the step before": {"statistics": "previous_step"},
    "uniform clean pass": {"clean_dropout": "uniform"},
    "clean pass without dropout": {"clean_dropout": "off"},
    "no selection": {"update": "all"},
    "blind selection": {"keep": "constant", "keep_constant": 0.3},
    "running saliency": {"saliency": "ema"},
    "running saliency, short": {"saliency": "ema", "saliency_decay": 0.3, "normalise": "log_minmax"},
    "saliency of the epoch before": {"saliency": "epoch"},
    "the same, min-max": {"saliency": "epoch", "normalise": "log_minmax"},
    "saliency of samples": {"saliency": "per_sample", "normalise": "log_minmax"},
    "saliency of samples, summed divergence": {"saliency": "per_sample", "normalise": "log_minmax",
                                               "divergence_reduction": "sum"},
    "min-max": {"normalise": "minmax"},
    "log min-max": {"normalise": "log_minmax"},
    "each tensor for itself": {"normalise_scope": "tensor", "normalise": "log_minmax"},
    "steep rule": {"threshold": 0.9, "sharpness": 5.0},
    "floor": {"p_floor": 0.5, "sharpness": 5.0},
    "no rescaling": {"rescale": False},
    "one mask an epoch": {"resample": "epoch"},
    "one mask an epoch by the epoch before": {"resample": "epoch", "saliency": "epoch"},
    "mask on the gradient": {"mask_on": "gradient"},
    "the same, not rescaled": {"mask_on": "gradient", "rescale": False},
    "mask of an epoch on the gradient": {"mask_on": "gradient", "resample": "epoch", "saliency": "ema"},
    "mask of an epoch, running saliency": {"resample": "epoch", "saliency": "ema"},
    "mask on the first moment": {"mask_on": "first_moment"},
    "the same moment, not rescaled": {"mask_on": "first_moment", "rescale": False},
    "mask of an epoch on the first moment": {"mask_on": "first_moment", "resample": "epoch",
                                             "saliency": "ema"},
}  # fmt: skip


@functools.cache
def plain(optimizer: str) -> list[dict[str, float]]:
    return compare(UEGR, optimizer, steps=6, epoch_steps=2)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("option", OPTIONS)
def test_steps_with_the_option_equal_algorithm_1(option: str, optimizer: str) -> None:
    """And differ from those without it, else the line would agree whatever it did."""
    records = compare(UEGR.changed(**OPTIONS[option]), optimizer, steps=6, epoch_steps=2)
    if optimizer == "sgd" and set(OPTIONS[option]) == {"mask_on"}:  # under SGD all places are one
        assert records == [pytest.approx(record, abs=1e-12) for record in plain(optimizer)]
    else:
        assert records != plain(optimizer)


def test_every_option_and_every_choice_has_a_line() -> None:
    seen = [UEGR.flat(), *(UEGR.changed(**changes).flat() for changes in OPTIONS.values())]
    for record in (BiStage, Dropout, Selective):
        for field in dataclasses.fields(record):
            name = "dropout" if field.name == "kind" else field.name
            if name in LEFT_OUT:
                continue
            values = {flat[name] for flat in seen if name in flat}
            choices = set(field.metadata["choices"])
            assert choices <= values if choices else len(values) > 1, name


@given(st.integers(1, 400), st.one_of(st.sampled_from([0.0, 0.06, 0.5, 1.0]), st.floats(0, 1)))
def test_the_schedule_is_the_same_number_bit_for_bit(steps: int, warmup: float) -> None:
    for step in range(steps):
        assert reference_factor(step, steps, warmup) == learning_rate_factor(step, steps, warmup)


@pytest.mark.parametrize("name", ["js", "js_pairwise", "sym_kl"])
@given(st.integers(0, 2**32 - 1), st.sampled_from([50.0, 800.0, 1e4]))
def test_divergences_of_underflowed_probabilities(name: str, seed: int, size: float) -> None:
    """Far apart, a probability is exactly 0 in float64, and only its logarithm knows how small it is."""
    logits = np.random.default_rng(seed).choice([-size, 0.0, 0.5 * size, size], (3, 4, 3))
    z = torch.tensor(logits, requires_grad=True)
    value = divergence.DIVERGENCES[name](z).mean()
    value.backward()
    assert torch.isfinite(value)
    close(value, getattr(uegr_ref, name)(logits))
    assert z.grad is not None
    close(z.grad, getattr(uegr_ref, f"{name}_grad")(logits))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_js_of_models_sure_of_different_classes_is_ln_k(k: int) -> None:
    logits = 2000.0 * torch.eye(k, dtype=torch.float64)[:, None]
    close(divergence.js(logits), np.array([math.log(k)]))


# --- what the reference lacks, in a slow form of its parts


class SlowStep:
    """One step of SGD from the reference's parts, with any number of clean passes."""

    def __init__(self, recipe: Recipe, batch: Batch) -> None:
        self.theta = initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, np.random.default_rng(5))
        self.model = Small(self.theta)
        self.trainee = prepare(self.model.train(), recipe)
        self.batch, self.tokens = batch, batch.tokens.numpy()
        self.mask, self.labels = batch.mask.numpy(), batch.labels.numpy()
        self.x = embed(self.theta, self.tokens)
        self.rng = np.random.default_rng(9).spawn(2)[0]

    def zoo(self, alone: int, together: int) -> dict[str, torch.Tensor]:
        noise = Noise(np.random.default_rng(9), self.batch, alone, together)
        for name, site in self.trainee.sites.active.items():
            site.noise = noise.site(name)  # type: ignore[method-assign]
        sgd = torch.optim.SGD(self.model.parameters(), lr=TRAINING.learning_rate)
        return train_step(self.trainee, self.batch, sgd)

    def drop(self, rate: float) -> Any:
        q = np.full(DIMENSIONS, rate), np.full(HIDDEN, rate)
        words = self.rng.random((*self.tokens.shape, DIMENSIONS)) >= q[0]
        return (words, q[0]), (self.rng.random((len(self.tokens), HIDDEN)) >= q[1], q[1])


def test_two_clean_passes_tied_by_their_divergence_are_r_drop() -> None:
    slow = SlowStep(RECIPES["r_drop"].changed(alpha=2.0), texts(0))
    passes = [forward(slow.theta, slow.x, slow.mask, slow.drop(0.2)) for _ in range(2)]
    logits = np.stack([z for z, _ in passes])
    record = slow.zoo(0, 2)
    close(record["loss_clean"], uegr_ref.adversarial_loss(logits, slow.labels))
    close(record["divergence"], uegr_ref.sym_kl(logits))
    close(record["loss"], uegr_ref.adversarial_loss(logits, slow.labels) + 2 * uegr_ref.sym_kl(logits))
    grads = uegr_ref.adversarial_loss_grad(logits, slow.labels) + 2 * uegr_ref.sym_kl_grad(logits)
    backwards = [backward(slow.theta, trace, g) for (_, trace), g in zip(passes, grads, strict=True)]
    table = embed_grad(slow.theta, slow.tokens, sum(b.vectors for b in backwards))
    after = slow.model.numpy()
    close(after["embedding"], slow.theta["embedding"] - TRAINING.learning_rate * table)
    for name in backwards[0].parameters:
        gradient = sum(b.parameters[name] for b in backwards)
        close(after[name], slow.theta[name] - TRAINING.learning_rate * gradient, name)


@pytest.mark.parametrize("options", [{"statistic": "attribution"}, {"statistic_scope": "example"}], ids=str)
def test_rates_from_attributions_and_from_each_example_alone(options: dict[str, str]) -> None:
    slow = SlowStep(UEGR.changed(update="all", **options), texts(0))
    (words, q), hidden = slow.drop(0.2)
    logits, trace = forward(slow.theta, slow.x, slow.mask, ((words, q), hidden))
    sites = backward(slow.theta, trace, uegr_ref.cross_entropy_grad(logits, slow.labels)).sites
    outputs = np.where(words, slow.x / (1 - q), 0), trace.dropped_hidden
    slow.zoo(1, 2)
    for name, gradient, output in zip(("embedding", "hidden"), sites, outputs, strict=True):
        coming = slow.trainee.sites.active[name].coming
        assert coming is not None
        got = coming.rates[-1].numpy()
        mask = slow.mask if gradient.ndim == 3 else None
        if "statistic" in options:
            close(got, uegr_ref.drop_rates(uegr_ref.gradient_norm(gradient * output, mask), 0.2), name)
            continue
        for b, rates in enumerate(got):
            alone = None if mask is None else mask[b : b + 1]
            close(rates, uegr_ref.drop_rates(uegr_ref.gradient_norm(gradient[b : b + 1], alone), 0.2), name)
