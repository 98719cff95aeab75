"""Where the mask acts in a user's loop: after clipping, once a step, and not in a step that is skipped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import uegr
from toys import WORDS, adamw, batch, refused, same, toy
from uegr.random_numbers import mask_seed
from zoo.core.errors import UserError
from zoo.fast.rows import Rows
from zoo.method.backward.selective import Selective

SGD: dict[str, Any] = {"lr": 0.5}


def optimizer_of(kind: str, model: nn.Module) -> torch.optim.Optimizer:
    if kind == "sgd":
        return torch.optim.SGD(model.parameters(), **SGD)
    return adamw(model, fused=kind == "fused adamw")


@pytest.mark.parametrize("kind", ["sgd", "adamw", "fused adamw"])
@pytest.mark.parametrize("mask_on", ["update", "gradient", "first_moment"])
@pytest.mark.parametrize("scaled", [None, "unscaled before clipping", "left to the scaler"])
def test_the_mask_acts_after_clipping_and_once_a_step(kind: str, mask_on: str, scaled: str | None) -> None:
    """Against a loop that accumulates, clips and calls `SelectiveUpdate.step` by hand, without any scale."""
    clip = scaled != "left to the scaler"
    ours, theirs = toy(rate=0.0).float(), toy(rate=0.0).float()
    recipe = uegr.recipe("dropout", update="selective").changed(mask_on=mask_on)
    optimizer = optimizer_of(kind, ours)
    method = uegr.attach(ours, optimizer, recipe, accumulate=2, seed=3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, enabled=scaled is not None)  # type: ignore[attr-defined]
    for step in range(3):
        for half in (0, 1):
            method.backward(batch(2 * step + half), scale=scaler.scale)
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(ours.parameters(), 0.05)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    optimizer = optimizer_of(kind, theirs)
    generator = torch.Generator().manual_seed(mask_seed(3))
    selective = uegr.SelectiveUpdate(theirs.parameters(), Selective(mask_on=mask_on), generator)
    for step in range(3):
        for half in (0, 1):
            own = batch(2 * step + half)
            logits = theirs(own["input_ids"], own["attention_mask"]).logits
            (F.cross_entropy(logits, own["labels"]) / 2).backward()
        if clip:
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)
        assert theirs.words.weight.grad is not None
        selective.step(optimizer, {theirs.words.weight: Rows.with_gradient(theirs.words.weight.grad)})
        optimizer.zero_grad()
    assert same(ours, theirs)
    assert method.record["kept_share"] < 0.8


@pytest.mark.parametrize("kind", ["adamw", "fused adamw"])
def test_a_step_that_the_scaler_skips_draws_no_mask(kind: str) -> None:
    model = toy().float()
    optimizer = optimizer_of(kind, model)
    method = uegr.attach(model, optimizer, "uegr")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)  # type: ignore[attr-defined]
    before = [p.detach().clone() for p in model.parameters()]
    drawn = method.trainee.generator.get_state()
    method.backward(batch(), scale=scaler.scale)
    assert model.last.weight.grad is not None
    model.last.weight.grad[0, 0] = torch.inf
    scaler.step(optimizer)
    scaler.update()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(drawn, method.trainee.generator.get_state())
    optimizer.zero_grad()
    method.backward(batch(), scale=scaler.scale)
    scaler.step(optimizer)
    assert not torch.equal(drawn, method.trainee.generator.get_state())
    assert not torch.equal(before[-1], next(reversed(list(model.parameters()))))


def test_what_the_optimizer_does_not_hold_is_not_ranked() -> None:
    """A frozen table, and a layer that is left out."""
    model = toy()
    model.words.weight.requires_grad_(False)
    held = [*model.last.parameters()]
    method = uegr.attach(model, torch.optim.SGD(held, 0.5), "uegr")
    assert method.stage is not None
    assert method.stage.parameters == held
    before = [p.detach().clone() for p in model.parameters()]
    method.backward(batch())
    assert float(method.record["perturbation"]) > 0  # the vectors of a frozen table are attacked all the same
    method.optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [p in set(held) for p in model.parameters()]
    assert "2 tensors, 21 numbers; 2 others are left alone" in " ".join(method.describe().split())


@pytest.mark.parametrize("seed", [None, 5], ids=["torch's seed", "the same seed once more"])
def test_the_mask_does_not_know_the_weights(seed: int | None) -> None:
    """Which entries learn does not depend on the sign that these have at first.

    10,000 coins of 0.5, so their correlation with the signs has the standard error 0.01; 6 of them are a
    false alarm in under 1 of 1e8 seeds. The stream that made the weights gives -1.
    """
    masks = []
    for _ in range(2):
        torch.manual_seed(5)
        model = nn.Linear(100, 100, bias=False)
        signs = model.weight.detach().sign()
        recipe = uegr.recipe("dropout").changed(update="selective", keep="constant", mask_on="gradient")
        method = uegr.attach(model, torch.optim.SGD(model.parameters(), 0.5), recipe, seed=seed)
        start = method.trainee.generator.get_state()
        method.backward((torch.ones(4, 100), torch.arange(4)))
        assert bool((model.weight.grad != 0).all())
        method.optimizer.step()
        masks.append((model.weight.grad != 0).float())
    both = torch.stack([masks[0].flatten(), signs.flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.06
    assert torch.equal(*masks), "and the seed decides it"
    method.remove()
    other = uegr.attach(model, method.optimizer, recipe, seed=6)
    assert not torch.equal(other.trainee.generator.get_state(), start)


def test_rows_of_absent_words_take_no_part() -> None:
    model = toy()
    method = uegr.attach(model, torch.optim.SGD(model.parameters(), 0.5), "uegr")
    before = model.words.weight.detach().clone()
    own = batch()
    method.backward(own)
    method.optimizer.step()
    moved = (model.words.weight != before).any(1)
    assert set(moved.nonzero().flatten().tolist()) <= set(own["input_ids"].unique().tolist()) - {0}
    assert 0 < int(moved.sum()) < WORDS


def test_a_closure_is_refused() -> None:
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr")
    method.backward(batch())
    for call in (
        lambda: method.optimizer.step(lambda: 0.0),
        lambda: method.optimizer.step(closure=lambda: 0.0),
    ):
        with pytest.raises(UserError, match=r"optimizer\.step\(closure\)"):
            call()


def test_bfloat16_forward_passes_train_by_every_recipe() -> None:
    for name in uegr.RECIPES:
        model = toy().float()
        model.classifier = model.last
        method = uegr.attach(model, adamw(model), name)
        with torch.autocast("cpu", torch.bfloat16):
            method.first_pass([batch(7)])
        for seed in range(3):
            with torch.autocast("cpu", torch.bfloat16):
                loss = method.backward(batch(seed))
            method.optimizer.step()
            method.optimizer.zero_grad()
        assert bool(loss.isfinite()), name
        assert float(method.record.get("divergence", torch.zeros(()))) >= 0
        assert all(bool(p.isfinite().all()) for p in model.parameters())
        assert loss.dtype == torch.float32


def test_a_recipe_that_chooses_by_a_pass_asks_for_it() -> None:
    """Refused before the first step; then gradients of whole steps are observed, and weights stay."""
    model = toy()
    model.classifier = model.last
    method = uegr.attach(model, torch.optim.SGD(model.parameters(), 0.5), "ctune_d", accumulate=2)
    assert "method.first_pass(loader)" in " ".join(method.describe().split())
    method.backward(batch())
    with pytest.raises(UserError, match=r"expected method.first_pass\(loader\) before the first step"):
        method.optimizer.step()
    method.optimizer.zero_grad()
    seen = list[float]()
    stage: Any = method.stage
    observe = stage.observe
    stage.observe = lambda: (seen.append(float(model.inner.weight.grad.sum())), observe())
    before = [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(0)
    method.first_pass([batch(1), batch(2), batch(3), batch(4)])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
    torch.manual_seed(0)
    wanted = []
    for pair in ((1, 2), (3, 4)):
        for seed in pair:
            method.backward(batch(seed))
        wanted.append(float(model.inner.weight.grad.sum()))
        method.optimizer.zero_grad()
    assert seen == pytest.approx(wanted)
    for seed in (1, 2):
        method.backward(batch(seed))
    method.optimizer.step()
    moved = [(a != b).double().mean().item() for a, b in zip(before, model.parameters(), strict=True)]
    assert 0 < moved[1] < 0.5, "the inner layer learns in part"
    assert "fixed mask on the gradient" in method.describe()


def test_the_pass_that_chooses_takes_every_batch() -> None:
    """The last ones too, which are too few for a step; and a pass over nothing is refused."""

    def chooser(parts: int) -> uegr.Method:
        model = toy(rate=0.0)
        model.classifier = model.last
        return uegr.attach(model, adamw(model), "ctune_d", accumulate=parts)

    masks = []
    for parts, seeds in ((1, (1, 2)), (2, (1, 1, 2)), (4, (1, 1))):
        used = iter([batch(seed) for seed in seeds])
        method = chooser(parts)
        method.first_pass(used)
        assert method.accumulate == parts
        masks.append(method.state_dict()["update"]["masks"])
        assert all(bool(mask.any()) for mask in masks[-1])
    for first, second in zip(*masks[:2], strict=True):
        assert torch.equal(first, second)
    refused(lambda: chooser(1).first_pass(used), "no batch with a gradient; expected")
