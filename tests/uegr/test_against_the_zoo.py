"""The hook form against the zoo's own step, on the same random numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import tiny
import uegr
from toys import Toy, adamw, batch, same, toy
from zoo.core.batch import Batch
from zoo.method.dropout import AdaptiveDropout
from zoo.method.step import first_pass, prepare, train_step

STEPS = 3


@pytest.mark.parametrize("name", uegr.RECIPES)
def test_a_model_of_the_zoo_is_trained_as_by_its_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tiny.model("textcnn")
    ours = copy.deepcopy(theirs)
    for model in (ours, theirs):
        # Rows known from the ids include the padding's, whose mask is drawn too: here both read them off.
        monkeypatch.setattr(model.word_gradient, "touched", lambda weight: None)
    method = uegr.attach(ours, adamw(ours), name)
    if method.stage is not None:
        method.stage.generator = None  # torch's own, as everything else here
    texts = [tiny.batch(seed=step) for step in range(STEPS)]
    torch.manual_seed(1)
    method.first_pass([{"tokens": t.tokens, "mask": t.mask, "labels": t.labels} for t in texts])
    for text in texts:
        loss = method.backward({"tokens": text.tokens, "mask": text.mask, "labels": text.labels})
        method.optimizer.step()
        method.optimizer.zero_grad()
    optimizer = adamw(theirs)
    trainee = prepare(theirs, uegr.RECIPES[name], torch.default_generator)
    torch.manual_seed(1)
    first_pass(trainee, texts)
    for text in texts:
        record = train_step(trainee, text, optimizer)
    assert same(ours, theirs, within=1e-12)
    assert not same(ours, tiny.model("textcnn"), within=1e-3)
    torch.testing.assert_close(loss, record["loss"])
    for key, value in method.record.items():
        torch.testing.assert_close(value, record[key])


class ToyOfTheZoo(Toy):
    """The toy by the zoo's contract: adaptive sites in the place of torch's dropout."""

    def __init__(self, rate: float = 0.3) -> None:
        super().__init__(rate)
        self.early, self.late = AdaptiveDropout(6, rate), AdaptiveDropout(6, rate)  # type: ignore[assignment]

    def embed(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)

    def classify(self, vectors: Tensor, mask: Tensor) -> Tensor:
        return self.vectors_to_logits(vectors, mask)

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.early(self.inner(x).tanh(), mask)
        m = mask[:, :, None].to(h)
        return self.last(self.late((h * m).sum(1) / m.sum(1).clamp_min(1)))


CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "K = 3": {"adversarial": 3},
    "ranks": {"dropout": "rank", "gamma": 2.0},
    "layers": {"dropout": "layer"},
    "attribution": {"statistic": "attribution"},
    "by example": {"statistic_scope": "example"},
    "running norms": {"statistics": "ema", "statistics_decay": 0.5},
    "norms of the step before": {"statistics": "previous_step"},
    "a clean pass without dropout": {"clean_dropout": "off"},
    "one site": {"sites": ("late",)},
    "PGD": {"attack_steps": 2},
    "by table": {"attack": "fgm", "attack_scope": "table"},
    "sums": {"divergence_reduction": "sum", "adversarial_reduction": "sum", "alpha": 0.1},
    "on the gradient": {"mask_on": "gradient"},
    "on the first moment": {"mask_on": "first_moment"},
    "uniform": {"dropout": "uniform"},
    "uniform, but for the clean pass": {"dropout": "uniform", "clean_dropout": "off"},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rates", [None, (0.1, 0.4, 0.2)], ids=["own rates", "rates by pass"])
def test_torchs_dropout_modules_are_the_zoos_adaptive_sites(change: str, rates: tuple[float, ...]) -> None:
    recipe = uegr.recipe("uegr", **CHANGES[change])
    torch.manual_seed(0)
    theirs, ours = ToyOfTheZoo().double(), toy()
    for one, other in zip(theirs.parameters(), ours.parameters(), strict=True):
        one.data.copy_(other.data)
    method = uegr.attach(ours, adamw(ours), recipe, base_rates=rates)
    assert method.stage is not None
    method.stage.generator = None
    if change == "one site":
        ours.early.p = 0.0
    ordinary = change == "uniform" and rates is None
    texts = [batch(seed) for seed in range(STEPS)]
    torch.manual_seed(1)
    for text in texts:
        method.backward(text)
        method.optimizer.step()
        method.optimizer.zero_grad()
    optimizer = adamw(theirs)
    zoos = prepare(theirs, recipe.changed(base_rates=rates or (0.3,)), torch.default_generator)
    torch.manual_seed(1)
    for text in texts:
        tokens, mask = text["input_ids"], text["attention_mask"].bool()
        train_step(zoos, Batch(tokens, mask, text["labels"], tokens[:, 0]), optimizer)
    # Ordinary dropout draws its masks in torch's own way: the same method, other masks.
    assert same(ours, theirs, within=1e-12) != ordinary
    assert list(method.sites.state_dict()) == ([] if ordinary else list(zoos.sites.active))


def test_micro_batches_of_freelb_add_up_in_a_table_that_keeps_its_gradient() -> None:
    """The zoo's tables are given the same tensor again; the others get a new one."""
    recipe = uegr.recipe("freelb", initial_magnitude=0.0)
    texts = [tiny.batch(seed=seed) for seed in range(2)]

    def gradients(chosen: list[Batch]) -> list[Tensor]:
        model = tiny.model("textcnn").train()
        method = uegr.attach(model, torch.optim.SGD(model.parameters(), lr=0.1), recipe, base_rates=(0.0,))
        for text in chosen:
            method.backward({"tokens": text.tokens, "mask": text.mask, "labels": text.labels})
        return [p.grad for p in model.parameters() if p.grad is not None]

    both, first, second = gradients(texts), gradients(texts[:1]), gradients(texts[1:])
    assert len(both) == len(first) == len(second) > 2
    for whole, one, other in zip(both, first, second, strict=True):
        torch.testing.assert_close(whole, one + other)
