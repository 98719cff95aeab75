"""FreeLB against its direct form: autograd alone, one mask for all steps of a batch, another for the next."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tiny
from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.dropout import Pass
from zoo.method.forward.freelb import FreeLB
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.method.step import prepare

CASES = {
    "within the ball": FreeLB(ascent_steps=3, ascent_rate=0.05, initial_magnitude=0.1, maximum_norm=2.0),
    "at its border": FreeLB(ascent_steps=3, ascent_rate=0.5, initial_magnitude=0.2, maximum_norm=0.3),
    "no ball": FreeLB(ascent_steps=2, ascent_rate=0.5, initial_magnitude=0.2, maximum_norm=0.0),
    "one step": FreeLB(ascent_steps=1),
}


def direct(
    model: TextClassifier, batch: Batch, settings: FreeLB, start: Tensor, noise: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Leaves the gradient in `.grad`; returns the loss and the size of the last delta for each text."""
    for name, site in model.sites.items():
        site.managed = True
        rates = torch.full((1, site.units), 0.2, dtype=torch.float64)
        site.coming = Pass(rates, noise=noise[name]) if name in noise else None
    tokens, mask = batch.tokens, batch.mask
    entries = mask.sum(1) * model.embedding.embedding_dim
    delta = (2 * start - 1) * settings.initial_magnitude / entries.sqrt()[:, None, None]
    delta = delta * mask[:, :, None]
    total = torch.zeros(())
    for _ in range(settings.ascent_steps):
        delta = delta.detach().requires_grad_()
        loss = F.cross_entropy(model.classify(model.embed(tokens) + delta, mask), batch.labels)
        loss = loss / settings.ascent_steps
        loss.backward()
        total = total + loss.detach()
        assert delta.grad is not None
        climbed = []
        for text, gradient in zip(delta.detach(), delta.grad, strict=True):
            text = text + settings.ascent_rate * gradient / gradient.norm()
            if settings.maximum_norm > 0 and text.norm() > settings.maximum_norm:
                text = text * settings.maximum_norm / text.norm()
            climbed.append(text)
        delta = torch.stack(climbed)
    return total, delta.flatten(1).norm(dim=1)


def drawn_once(noise: dict[str, Tensor], site: str, random: torch.Generator) -> Any:
    """What a site asks for its uniform numbers; they stay in `noise`."""

    def numbers(shape: tuple[int, ...], like: Tensor, _: object) -> Tensor:
        assert site not in noise, "one draw a batch: all steps see the same mask"
        noise[site] = torch.rand(shape, generator=random, dtype=torch.float64)
        return noise[site].clone()

    return numbers


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["textcnn", "bilstm"])
def test_freelb_is_its_direct_form(name: str, case: str) -> None:
    """Gradients of two batches in a row."""
    settings, model = CASES[case], tiny.model(name).train()
    slow = copy.deepcopy(model)
    trainee = prepare(model, Recipe(settings, Dropout("uniform")))
    random = torch.Generator().manual_seed(4)
    for step in range(2):
        batch = tiny.batch((7, 3, 12, 1), seed=step)
        start = torch.rand(4, 12, 8, generator=random, dtype=torch.float64)
        noise: dict[str, Tensor] = {}

        for site in trainee.sites.active:
            trainee.sites.active[site].noise = drawn_once(noise, site, random)  # type: ignore[method-assign]
        trainee.sites.uniform = lambda like, start=start: start  # type: ignore[method-assign, misc]
        model.zero_grad()
        record = trainee.forward.gradients(trainee, batch)
        assert set(noise) == set(trainee.sites.active)
        slow.zero_grad()
        loss, sizes = direct(slow, batch, settings, start, noise)
        torch.testing.assert_close(record["loss"], loss, rtol=0, atol=1e-10)
        for ours, theirs in zip(model.parameters(), slow.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-8)
        vectors = slow.embed(batch.tokens)[batch.mask]
        wanted = (sizes.square().sum() / vectors.numel()).sqrt() / vectors.square().mean().sqrt()
        torch.testing.assert_close(record["perturbation"], wanted.detach(), rtol=1e-6, atol=0)
        if case == "at its border":
            torch.testing.assert_close(sizes, torch.full_like(sizes, 0.3))


def test_the_start_lies_on_both_sides_and_at_no_padding() -> None:
    """U(-1, 1) magnitude / sqrt(n D): its mean is 0, its root mean square a third of the bound's square."""
    model = tiny.model("textcnn").train()
    settings = FreeLB(ascent_steps=1, ascent_rate=0.0, initial_magnitude=1.0, maximum_norm=0.0)
    trainee = prepare(model, Recipe(settings), torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    classify = model.classify
    model.classify = lambda x, mask: (seen.append(x.detach()), classify(x, mask))[1]  # type: ignore[method-assign]
    batch = tiny.batch((400, 100))
    trainee.forward.gradients(trainee, batch)
    delta = seen[0] - model.embed(batch.tokens).detach()
    assert (delta[~batch.mask] == 0).all()
    for text, length in enumerate((400, 100)):
        scaled = delta[text, :length] * (length * 8) ** 0.5
        assert scaled.abs().max() <= 1
        assert abs(float(scaled.mean())) < 6 * (1 / 3 / (length * 8)) ** 0.5  # 6 standard errors
        assert float(scaled.square().mean()) == pytest.approx(1 / 3, rel=0.2)
