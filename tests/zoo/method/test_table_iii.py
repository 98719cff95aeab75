"""The baselines of Table III against direct slow forms: autograd alone, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.method.backward.fisher import Fisher
from zoo.method.backward.rec_adam import RecAdam
from zoo.method.contract import TextClassifier, selected_parameters
from zoo.method.forward.bi_stage import BiStage
from zoo.method.forward.l2_sp import L2SP
from zoo.method.forward.sam import SAM
from zoo.method.recipe import Recipe
from zoo.method.step import first_pass, prepare, train_step
from zoo.recipes import RECIPES

STEPS = 5
ARCH = "textcnn"
Gradients = list[Tensor]


def texts(step: int) -> Batch:
    return tiny.batch(seed=step)


def silent(seed: int = 0) -> TextClassifier:
    """A model whose sites do nothing."""
    model = tiny.model(ARCH, seed).train()
    prepare(model, Recipe(), torch.Generator())
    return model


def loss_of(model: TextClassifier, batch: Batch) -> Tensor:
    return F.cross_entropy(model(batch.tokens, batch.mask), batch.labels)


def gradients_of(model: TextClassifier, batch: Batch) -> Gradients:
    return list(torch.autograd.grad(loss_of(model, batch), list(model.parameters())))


def body(model: nn.Module) -> list[bool]:
    """For each parameter whether it is outside the classifier."""
    return [not name.startswith("classifier") for name, _ in model.named_parameters()]


def fast(recipe: Recipe, optimizer: Callable[[nn.Module], torch.optim.Optimizer], passes: int = 0):
    model = tiny.model(ARCH).train()
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    made = optimizer(model)
    first_pass(trainee, [texts(100 + i) for i in range(passes)])
    return model, [train_step(trainee, texts(step), made) for step in range(STEPS)]


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


def stepped(update: Callable[[TextClassifier, Batch], Gradients]) -> TextClassifier:
    """A silent model after STEPS steps of AdamW on what `update` gives for the gradient."""
    model = silent()
    optimizer = adamw(model)
    for step in range(STEPS):
        for p, g in zip(model.parameters(), update(model, texts(step)), strict=True):
            p.grad = g
        optimizer.step()
    return model


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    plain = stepped(gradients_of)
    assert any(
        not torch.allclose(a, b, atol=1e-4) for a, b in zip(one.parameters(), plain.parameters(), strict=True)
    ), "the method does nothing"


def test_awp_is_its_direct_form() -> None:
    """Each matrix moves by rho of its own length along its own gradient; biases stay."""

    def update(model: TextClassifier, batch: Batch) -> Gradients:
        away, gradients = copy.deepcopy(model), gradients_of(model, batch)
        with torch.no_grad():
            for p, g in zip(away.parameters(), gradients, strict=True):
                if p.dim() > 1:
                    p.add_(0.3 * p.norm() * g / g.norm())
        return gradients_of(away, batch)

    model, _ = fast(Recipe(SAM(rho=0.3, rho_scope="tensor")), adamw)
    assert_same(model, stepped(update))


@pytest.mark.parametrize(("attack", "steps"), [("fgsm", 3), ("fgm", 4)])
def test_adv_embed_is_its_direct_form(attack: str, steps: int) -> None:
    """PGD by hand: text by text and word by word, projected after each step; delta is a constant."""
    epsilon = 0.2

    def perturbed(model: TextClassifier, batch: Batch) -> Tensor:
        x = model.embed(batch.tokens).detach()
        delta = torch.zeros_like(x)
        for _ in range(steps):
            at = (x + delta).requires_grad_()
            (g,) = torch.autograd.grad(F.cross_entropy(model.classify(at, batch.mask), batch.labels), at)
            for b, length in enumerate(batch.mask.sum(1).tolist()):
                own = g[b, :length]
                step = 1.5 * epsilon / steps * (own.sign() if attack == "fgsm" else own / own.norm())
                moved = delta[b, :length] + step
                if attack == "fgsm":
                    moved = moved.clamp(-epsilon, epsilon)
                elif moved.norm() > epsilon:
                    moved = moved * epsilon / moved.norm()
                delta[b, :length] = moved
        return delta

    def update(model: TextClassifier, batch: Batch) -> Gradients:
        delta = perturbed(model, batch)
        logits = model.classify(model.embed(batch.tokens) + delta, batch.mask)
        loss = loss_of(model, batch) + F.cross_entropy(logits, batch.labels)
        return list(torch.autograd.grad(loss, list(model.parameters())))

    forward = RECIPES["adv_embed"].forward
    assert isinstance(forward, BiStage)
    assert forward.attack_steps > 1
    recipe = RECIPES["adv_embed"].changed(
        dropout="none", attack=attack, attack_steps=steps, epsilon=epsilon, epsilon_unit="absolute"
    )
    model, _ = fast(recipe, adamw)
    assert_same(model, stepped(update))


def test_l2_sp_is_its_direct_form() -> None:
    first = [p.detach().clone() for p in silent().parameters()]

    def update(model: TextClassifier, batch: Batch) -> Gradients:
        loss = loss_of(model, batch)
        for p, start, pulled in zip(model.parameters(), first, body(model), strict=True):
            if pulled:
                loss = loss + 0.7 / 2 * (p - start).pow(2).sum()
        return list(torch.autograd.grad(loss, list(model.parameters())))

    model, records = fast(Recipe(L2SP(anchor_pull=0.7)), adamw)
    assert_same(model, stepped(update))
    assert float(records[0]["penalty"]) == 0.0
    assert float(records[-1]["penalty"]) > 0.0
    for record in records:
        torch.testing.assert_close(record["loss"], record["loss_clean"] + record["penalty"])


def test_l2_sp_beside_a_mask_knows_that_every_row_has_a_gradient() -> None:
    """Its gradient is dense: the rows of absent words are masked too."""
    model = tiny.model(ARCH).train()
    recipe = Recipe(L2SP(anchor_pull=0.7)).changed(update="selective", keep="constant", keep_constant=1e-9)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainee.forward.gradients(trainee, texts(0))
    with torch.no_grad():
        model.embedding.weight.add_(1.0)
    before = model.embedding.weight.detach().clone()
    train_step(trainee, texts(0), optimizer)
    assert torch.equal(model.embedding.weight, before)


def test_l2_sp_with_all_but_the_classifier_frozen_is_plain_training() -> None:
    """There is nothing to pull."""
    trained = list[Tensor]()
    for recipe in (Recipe(L2SP(anchor_pull=0.7)), Recipe()):
        model = tiny.model(ARCH).train()
        for p, pulled in zip(model.parameters(), body(model), strict=True):
            p.requires_grad_(not pulled)
        trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
        train_step(trainee, texts(0), torch.optim.SGD(model.classifier.parameters(), lr=0.1))
        trained.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*trained)


@pytest.mark.parametrize("scheduled", [True, False])
def test_rec_adam_is_its_direct_form(scheduled: bool) -> None:
    """Adam by hand, faded in; the pull with gamma = r / rate_0; then the decay. The classifier is AdamW's."""
    rate, decay, share, k, middle, betas = 0.02, 0.1, 0.4, 0.8, 3.0, (0.9, 0.999)
    rates = [rate * (0.5 if scheduled and step % 2 else 1.0) for step in range(STEPS)]

    model = tiny.model(ARCH).train()
    recipe = Recipe(BiStage(), None, RecAdam(anchor_share=share, anneal_rate=k, anneal_middle=middle))
    trainee = prepare(model, recipe, torch.Generator())
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=betas, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rates[min(s, STEPS - 1)] / rate)
    fades = []
    for step in range(STEPS):
        fades.append(float(train_step(trainee, texts(step), optimizer)["fade"]))
        schedule.step()

    slow = silent()
    first = [p.detach().clone() for p in slow.parameters()]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in slow.parameters()]
    for step, own in enumerate(rates, 1):
        fade = 1 / (1 + math.exp(-k * (step - middle)))
        assert fades[step - 1] == pytest.approx(fade, abs=1e-12)
        gradients = gradients_of(slow, texts(step - 1))
        with torch.no_grad():
            for p, g, start, (u, v), pulled in zip(
                slow.parameters(), gradients, first, moments, body(slow), strict=True
            ):
                u.copy_(betas[0] * u + (1 - betas[0]) * g)
                v.copy_(betas[1] * v + (1 - betas[1]) * g**2)
                adam = u / (1 - betas[0] ** step) / ((v / (1 - betas[1] ** step)).sqrt() + 1e-8)
                if not pulled:
                    p.copy_(p - own * decay * p - own * adam)
                    continue
                p.sub_(own * fade * adam)
                p.sub_(own * (1 - fade) * (share / rate) * (p - start))
                p.sub_(own * decay * p)
    assert_same(model, slow)


def test_rec_adam_knows_the_decay_of_an_adamw_that_does_not_say() -> None:
    """As that of torch 2.4 to 2.6, whose groups have no `decoupled_weight_decay`."""

    class Older(torch.optim.AdamW):
        def step(self, closure: object = None) -> None:
            for group in self.param_groups:
                group["decoupled_weight_decay"] = True
            super().step()
            for group in self.param_groups:
                del group["decoupled_weight_decay"]

    found = []
    for kind in (torch.optim.AdamW, Older):
        model = tiny.model(ARCH).train()
        trainee = prepare(model, Recipe(BiStage(), None, RecAdam()), torch.Generator())
        optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.5)
        if kind is Older:
            del optimizer.param_groups[0]["decoupled_weight_decay"]
        train_step(trainee, texts(0), optimizer)
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*found)


def test_rec_adam_with_plain_sgd_leaves_the_decay_in_the_step() -> None:
    """SGD's weight decay is part of its gradient: nothing is taken out and put back."""
    model = tiny.model(ARCH).train()
    trainee = prepare(model, Recipe(BiStage(), None, RecAdam(anneal_middle=0.0, anneal_rate=100.0)))
    train_step(trainee, texts(0), torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5))
    slow = silent()
    for p, g in zip(slow.parameters(), gradients_of(slow, texts(0)), strict=True):
        p.data.sub_(0.1 * (g + 0.5 * p.data))
    for a, b in zip(model.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_ctune_f_is_its_direct_form() -> None:
    """Every entry of every gradient is kept with probability p and then divided by it, before AdamW.

    The mask of the fast form is read off its first gradient; over all entries and steps the share kept lies
    within five standard errors of p (error rate below 1e-6).
    """
    recipe = RECIPES["ctune_f"].changed(dropout="none")
    p, seen = 0.3, list[Gradients]()

    class Watching(torch.optim.AdamW):
        def step(self, closure=None):  # type: ignore[override]
            seen.append([q.grad.clone() for group in self.param_groups for q in group["params"]])
            return super().step(closure)

    model, _ = fast(recipe, lambda m: Watching(m.parameters(), lr=0.01, weight_decay=0.1))
    slow, kept, count = silent(), 0, 0
    optimizer = adamw(slow)
    for step, masked in enumerate(seen):
        for q, g, m in zip(slow.parameters(), gradients_of(slow, texts(step)), masked, strict=True):
            keep = m != 0
            q.grad = torch.where(keep, g / p, 0.0)
            torch.testing.assert_close(m, q.grad, rtol=1e-9, atol=1e-14)
            kept, count = kept + int(keep.sum()), count + int((g != 0).sum())
        optimizer.step()
    assert_same(model, slow)
    assert abs(kept / count - p) < 5 * math.sqrt(p * (1 - p) / count)


@pytest.mark.parametrize("scope", ["encoder", "body", "all"])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_ctune_d_is_its_direct_form(scope: str, clip: float) -> None:
    """Mean squared gradients by NumPy, its quantile, one mask for all steps, no rescaling."""
    model = silent()
    squares = [np.zeros(p.shape) for p in model.parameters()]
    for i in range(3):
        for total, g in zip(squares, gradients_of(model, texts(100 + i)), strict=True):
            g = g.numpy()
            length = np.sqrt((g**2).sum())
            total += (g * (clip / length if 0 < clip < length else 1.0)) ** 2 / 3
    outside = {"encoder": ("classifier", "embedding"), "body": ("classifier",), "all": ()}[scope]
    names = [name for name, _ in model.named_parameters()]
    inside = [not name.startswith(outside) for name in names]
    flat = np.concatenate([s.ravel() for s, own in zip(squares, inside, strict=True) if own])
    least = np.percentile(flat, 70)
    masks = [
        torch.from_numpy((s >= least) & (s > 0)) if own else torch.ones(s.shape)
        for s, own in zip(squares, inside, strict=True)
    ]

    def update(now: TextClassifier, batch: Batch) -> Gradients:
        return [g * m for g, m in zip(gradients_of(now, batch), masks, strict=True)]

    recipe = Recipe(BiStage(), None, Fisher(child_share=0.3, child_scope=scope, fisher_clip=clip))
    fitted, records = fast(recipe, adamw, passes=3)
    assert_same(fitted, stepped(update))
    kept = torch.cat([m.flatten() for m, own in zip(masks, inside, strict=True) if own]).double().mean()
    assert float(records[0]["kept_share"]) == pytest.approx(float(kept))
    if scope == "encoder":
        assert 0.28 < float(kept) < 0.34


def test_the_first_pass_moves_nothing_and_is_taken_by_who_wants_it_alone() -> None:
    model = tiny.model(ARCH).train()
    before = copy.deepcopy(model.state_dict())
    trainee = prepare(model, RECIPES["ctune_d"], torch.Generator().manual_seed(0))
    assert trainee.backward is not None
    assert trainee.backward.wants_pass
    first_pass(trainee, [texts(0)])
    assert not trainee.backward.wants_pass
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]), name
        assert value.grad is None

    def unread():
        raise AssertionError("nobody asked")
        yield

    first_pass(trainee, unread())
    first_pass(prepare(tiny.model(ARCH).train(), RECIPES["uegr"], torch.Generator()), unread())


def test_a_cell_takes_the_pass_over_its_whole_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.method.backward import fisher

    rows: list[int] = []
    observe = fisher._Child.observe

    def counted(self: fisher._Child) -> None:
        rows.append(1)
        observe(self)

    monkeypatch.setattr(fisher._Child, "observe", counted)
    result = tiny.run_cell("ctune_d")
    assert result.status == "done"
    assert len(rows) == math.ceil(120 / tiny.cell_settings("ctune_d").train.batch_size)


def test_what_is_pulled_is_all_but_the_head() -> None:
    """By the name `classifier`, and by the base model that Hugging Face's classes name."""

    class Based(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.score = nn.Linear(2, 3), nn.Linear(3, 4)

        @property
        def base_model(self) -> nn.Module:
            return self.encoder

    own = Based()
    assert selected_parameters(own, "body") == [own.encoder.weight, own.encoder.bias]
    own.classifier = nn.Linear(4, 2)  # as DistilBERT's, behind another layer of the head
    assert selected_parameters(own, "body") == [own.encoder.weight, own.encoder.bias]
    with pytest.raises(UserError, match=r"leaves the classifier out \(scope body\): expected Linear to have"):
        selected_parameters(nn.Linear(2, 3), "body")


def test_a_model_without_anything_to_leave_out_is_refused() -> None:
    """As where a wrapper calls all of what it wraps its base model."""

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_model = nn.Linear(2, 3)

    with pytest.raises(UserError, match=r"leaves the classifier out \(scope encoder\): expected Wrapped to"):
        selected_parameters(Wrapped(), "encoder")


def test_another_kind_of_update_takes_the_place_of_the_one_there() -> None:
    assert RECIPES["ctune_d"].changed(update="selective").backward == RECIPES["uegr"].backward
    assert RECIPES["ctune_d"].changed(update="fisher") == RECIPES["ctune_d"]
    assert RECIPES["ctune_d"].changed(update="all").backward is None
