"""Theorem 1's measurements on made-up gradients whose moments are known, and on a small network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

import tiny
from zoo.core.errors import UserError
from zoo.core.identity import plain
from zoo.method.backward.selective import Selective, SelectiveUpdate
from zoo.probes import theorem
from zoo.probes.gradients import (
    choose,
    effective_dimensions,
    excess_kurtosis,
    not_gaussian,
    of_texts,
    part_of_each,
)
from zoo.probes.theorem import Theory, assumptions, keep_probabilities, rule_of, variances, walks
from zoo.recipes import RECIPES
from zoo.training.settings import TrainSettings


def test_kurtosis_and_the_test_of_normality_are_scipys() -> None:
    x = np.random.default_rng(0).standard_t(5, (200, 6))
    assert excess_kurtosis(x) == pytest.approx(stats.kurtosis(x))
    wanted = [stats.jarque_bera(column).pvalue < 0.01 for column in x.T]
    assert list(not_gaussian(x)) == wanted
    assert any(wanted)


def test_normal_samples_are_seldom_refused_and_heavy_ones_nearly_always() -> None:
    """Of 2,000 normal entries of 256 texts 1 to 2 % are refused: above 4 % has a chance below 1e-9."""
    random = np.random.default_rng(0)
    assert not_gaussian(random.normal(size=(256, 2000))).mean() < 0.04
    assert not_gaussian(random.standard_t(3, (256, 200))).mean() > 0.9


def test_effective_dimensions_of_an_identity_and_of_a_line() -> None:
    random = np.random.default_rng(0)
    n, d = 300, 100
    assert effective_dimensions(random.normal(size=(n, d))) == pytest.approx(d / (1 + d / n), rel=0.03)
    assert effective_dimensions(random.normal(size=(n, 1)) @ random.normal(size=(1, d))) == pytest.approx(1)
    wide = random.normal(size=(30, d))
    assert effective_dimensions(wide) == pytest.approx(
        np.trace(c := np.cov(wide.T)) ** 2 / (c**2).sum(), rel=1e-9
    )


def test_the_assumptions_hold_where_they_do() -> None:
    random = np.random.default_rng(0)
    found = assumptions(random.normal(0.5, 2.0, (400, 150)), 16)
    assert found["not_gaussian"] < 0.05
    assert abs(found["kurtosis"]) < 0.3
    assert found["variance_ratio"] < 2
    assert found["dimensions"] == pytest.approx(found["dimensions_identity"], rel=0.05)
    assert found["signal"] == pytest.approx(16 * 0.5**2 / 2.0**2, rel=0.1)
    assert found["zeros"] == 0


def made_up(random: np.random.Generator, d: int = 40, size: int = 8, batches: int = 4000):
    texts = random.normal(random.normal(0, 0.5, d), 1.0, (500, d))
    return texts, texts[random.integers(0, 500, (batches, size))].mean(1)


def test_the_theorems_formula_is_met_where_p_does_not_know_the_gradient() -> None:
    random = np.random.default_rng(0)
    texts, g = made_up(random)
    p = np.broadcast_to(random.uniform(0.25, 0.9, texts.shape[1]), g.shape)
    found = variances(texts, 8, g, p, 4, random, Selective())
    for name in ("theorem", "theorem_one_sigma", "total_variance"):
        assert found["measured"] == pytest.approx(found[name], rel=0.03), name
    assert found["unmasked"] == pytest.approx(1, rel=0.03)
    assert found["bound"] > found["measured"] > 1
    # 40 entries: the root mean square of as many standard normals is within 0.5 of 1 but for 1e-5.
    assert found["bias"] == pytest.approx(1, abs=0.5)


def test_batches_that_leave_an_entry_at_zero_say_nothing_of_its_p() -> None:
    """A rare word's vector: its gradient is 0 in most batches, and the p of a zero's rank masks nothing."""
    random = np.random.default_rng(0)
    d = 40
    texts = random.normal(random.normal(0, 0.5, d), 1.0, (500, d)) * (random.random((500, d)) < 0.1)
    g = texts[random.integers(0, 500, (4000, 8))].mean(1)
    fixed = random.uniform(0.25, 0.9, d)
    p = np.where(g != 0, fixed, 0.1)
    found = variances(texts, 8, g, p, 4, random, Selective())
    for name in ("theorem", "total_variance"):
        assert found["measured"] == pytest.approx(found[name], rel=0.03), name
    assert found["keep"] == pytest.approx(fixed.mean(), rel=0.03)
    dead = np.zeros((4000, 1))  # an entry that no batch reaches adds nothing, and is not divided by 0
    wider = variances(
        np.c_[texts, dead[:500]], 8, np.c_[g, dead], np.c_[p, dead + 0.1], 4, random, Selective()
    )
    assert wider["theorem"] == pytest.approx(found["theorem"])


def test_where_p_follows_from_the_gradient_the_total_variance_is_met_and_the_theorem_is_not() -> None:
    random = np.random.default_rng(0)
    texts, g = made_up(random)
    ranks = np.abs(g).argsort(1).argsort(1) / (g.shape[1] - 1)
    found = variances(texts, 8, g, 1 / (1 + np.exp(2 * (0.6 - ranks))), 4, random, Selective())
    assert found["measured"] == pytest.approx(found["total_variance"], rel=0.03)
    assert found["theorem"] > 1.08 * found["measured"]
    assert found["bias"] == pytest.approx(1, abs=0.5)


def test_a_biased_mask_is_seen() -> None:
    random = np.random.default_rng(0)
    texts, g = made_up(random)
    p = np.full(g.shape, 0.5)
    assert variances(texts, 8, g, p * 0.9 + 0.05 * (g > 0), 4, random, Selective())["bias"] < 1.6
    masked = variances(texts, 8, g, p, 4, _Careless(random), Selective())  # type: ignore[arg-type]
    assert masked["bias"] > 3


class _Careless:
    """Random numbers that are too small, so that too much is kept."""

    def __init__(self, random: np.random.Generator) -> None:
        self.own = random

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return 0.8 * self.own.random(shape)


def test_without_a_mask_the_walk_is_the_optimizers_own() -> None:
    g = np.random.default_rng(0).normal(0.3, 1, (30, 5))
    found = walks(g, np.ones_like(g), 3, np.random.default_rng(0), TrainSettings())
    for place in ("sgd", "gradient", "first_moment", "update"):
        assert found[place]["slope"] == pytest.approx(1)
        assert found[place]["bias"] == pytest.approx(0, abs=1e-9)
        assert found[place]["spread"] == pytest.approx(0, abs=1e-9)


def test_the_walk_is_torchs_adam() -> None:
    train = TrainSettings(beta1=0.8, beta2=0.95, adam_epsilon=1e-3)
    g = np.random.default_rng(0).normal(0.3, 1, (12, 4))
    factors = [np.random.default_rng(t).integers(0, 2, (1, 4)) / 0.5 for t in range(12)]
    p = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = torch.optim.AdamW([p], lr=1.0, weight_decay=0.0, betas=(0.8, 0.95), eps=1e-3)
    for t, (own, factor) in enumerate(zip(g, factors, strict=True)):
        if t == 6:
            half = p.detach().clone()
        p.grad = torch.from_numpy(own * factor[0])
        optimizer.step()
    walked = theorem._walk("gradient", g, factors, train)[0]
    assert walked == pytest.approx((half - p).detach().numpy())


def test_the_mask_on_the_gradient_costs_the_root_of_p_and_on_the_update_nothing() -> None:
    """Gradients of pure noise around a small mean, p = 1/4: the walk is half as long; 5 % is many errors."""
    random = np.random.default_rng(0)
    g = random.normal(0.1, 1, (1500, 60))
    found = walks(g, np.full_like(g, 0.25), 60, random, TrainSettings())
    assert found["root"] == 0.5
    assert found["gradient"]["slope"] == pytest.approx(0.5, rel=0.06)
    assert found["gradient"]["bias"] == pytest.approx(0.5, rel=0.08)
    for place in ("sgd", "first_moment", "update"):
        assert found[place]["slope"] == pytest.approx(1, abs=0.04), place
        assert found[place]["bias"] < 0.06, place


def test_gradients_of_texts_are_autograds_at_entries_that_move() -> None:
    model, batch = tiny.model("textcnn").eval(), tiny.batch()
    entries = choose(model, batch, 15)
    assert list(entries.parts) == ["words", "inside", "classifier"]
    found = of_texts(model, batch, entries)
    assert found.shape == (4, len(entries.all))
    for row, length in enumerate(batch.mask.sum(1).tolist()):
        logits = model(batch.tokens[row : row + 1, :length], batch.mask[row : row + 1, :length])
        grads = torch.autograd.grad(
            F.cross_entropy(logits, batch.labels[row : row + 1]), list(model.parameters())
        )
        wanted = torch.cat([g.flatten() for g in grads])[entries.all]
        np.testing.assert_allclose(found[row], wanted.numpy(), atol=1e-12)
    assert (found != 0).any(0).all()
    kinds = dict(zip((name for name, _ in model.named_parameters()), part_of_each(model), strict=True))
    assert kinds["embedding.weight"] == "words"
    assert kinds["classifier.bias"] == "classifier"
    assert kinds["convolutions.0.weight"] == "inside"


def test_the_probe_gives_all_of_it(subject) -> None:
    probe = Theory(rows=30, entries=10, batches=10, masks=3, penalty_rows=8)
    found = plain(probe.measure(subject()))
    for stage in ("initial", "trained"):
        assert set(found[stage]) == {"gradients", "mask", "penalty"}
        for part in ("words", "inside", "classifier"):
            assert found[stage]["mask"][part]["measured"] > found[stage]["mask"][part]["unmasked"]
            assert 0 < found[stage]["mask"][part]["keep"] < 1
    assert found["initial"]["gradients"] != found["trained"]["gradients"]
    assert found["adamw"]["steps"] == 2 * 8
    assert found["adamw"]["update"]["slope"] == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    "rule", [Selective(), Selective(threshold=0.9, sharpness=5.0, normalise="log_minmax")]
)
def test_the_masks_are_those_of_the_method(rule: Selective) -> None:
    model, batch = tiny.model("textcnn").eval(), tiny.batch()
    F.cross_entropy(model(batch.tokens, batch.mask), batch.labels).backward()
    whole = torch.cat([p.grad.flatten() for p in model.parameters()])
    sizes = [p.numel() for p in model.parameters()]
    _, wanted = SelectiveUpdate(model.parameters(), rule).draw(whole, sizes)
    assert torch.equal(
        keep_probabilities(rule_of(RECIPES["uegr"].changed(**vars(rule))), whole, sizes), wanted
    )
    assert rule_of(RECIPES["dropout"]) == Selective()


@pytest.mark.parametrize("change", [{"saliency": "ema"}, {"update_scope": "encoder"}, {"rescale": False}])
def test_masks_of_another_kind_are_not_taken_for_these(change: dict) -> None:
    (name,) = change
    with pytest.raises(UserError, match=f"{name}=.*the masks of single batches are measured"):
        rule_of(RECIPES["uegr"].changed(**change))


def test_another_rule_of_the_method_is_measured(subject) -> None:
    found = []
    for threshold in (0.6, 0.9):
        one = subject()
        recipe = one.settings.recipe.changed(threshold=threshold)
        one = replace(one, settings=replace(one.settings, recipe=recipe))
        measured = Theory(rows=20, entries=5, batches=10, masks=2, penalty_rows=2).measure(one)
        found.append(
            (
                measured["adamw"]["keep"],
                *(measured["initial"]["mask"]["inside"][k] for k in ("keep", "bound")),
            )
        )
    assert found[1][0] < found[0][0] - 0.05
    assert found[1][1] < found[0][1] - 0.05
    assert found[1][2] > found[0][2]
