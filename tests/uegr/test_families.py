"""The method on each family of Hugging Face against a slow loop without hooks, on the same masks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import uegr
from bench.tiny_families import FAMILIES, LENGTH, texts, tiny
from slow import SlowLoop

pytest.importorskip("transformers", reason="the extra hf")

STEPS = 2
# What drops in each family: modules of these rates, calls of a forward pass that are sites.
SITES = {
    "bert": 6, "roberta": 7, "xlm-roberta": 7, "albert": 4, "electra": 7, "deberta": 7, "deberta-v2": 7,
    "xlnet": 10, "distilbert": 4, "mobilebert": 4, "modernbert": 6, "mpnet": 7,
}  # fmt: skip
MODERN = dict.fromkeys(("embedding_dropout", "mlp_dropout", "classifier_dropout", "attention_dropout"), 0.2)


def dropping(family: str, rate: float = 0.2, **changes: Any) -> nn.Module:
    """A tiny model in float64, of which everything drops that can."""
    model = tiny(family, **(MODERN if family == "modernbert" else {}), **changes).double()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    return model


@pytest.mark.parametrize(
    ("family", "length"),
    [*((family, LENGTH) for family in FAMILIES), ("xlnet", 4), ("xlnet", 8), ("bert", 8)],
)
def test_gradients_are_those_of_the_slow_loop(family: str, length: int) -> None:
    """Also where a text has as many words as the batch, or the K passes together, have rows."""
    ours = dropping(family)
    theirs = copy.deepcopy(ours)
    names = list(ours.state_dict())
    method = uegr.attach(ours, torch.optim.SGD(ours.parameters(), 0.1), "uegr_no_mask")
    loop = SlowLoop(theirs, time_major=family == "xlnet")
    found = []
    for model, backward in ((ours, method.backward), (theirs, loop.backward)):
        torch.manual_seed(5)
        for step in range(STEPS):
            model.zero_grad()
            loss = backward(texts(family, seed=step, length=length))
            with torch.no_grad():
                for p in model.parameters():
                    if p.grad is not None:
                        p -= 0.1 * p.grad
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((loss, gradients))
    (loss, gradients), ((wanted, divergence), their_gradients) = found
    near = 1e-6 if family == "xlnet" else 1e-10  # XLNet's positions are float32 in any model
    torch.testing.assert_close(loss, wanted, rtol=near, atol=0)
    torch.testing.assert_close(method.record["divergence"], divergence, rtol=100 * near, atol=0)
    assert float(divergence) > 1e-3
    assert gradients.keys() == their_gradients.keys()
    largest = max(float(g.abs().max()) for g in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, their_gradients[name], rtol=100 * near, atol=near * largest)
    assert len(method.sites.active) == SITES[family]
    assert list(ours.state_dict()) == names


def test_a_model_that_drops_nothing_is_told_once() -> None:
    """ModernBERT, whose rates are all 0 unless its configuration says otherwise."""
    model = tiny("modernbert")
    method = uegr.attach(model, torch.optim.SGD(model.parameters(), 0.1), "uegr")
    with pytest.warns(UserWarning, match="^ModernBert") as told:
        method.backward(texts("modernbert"))
    said = [str(warning.message) for warning in told]
    assert [text.split(":")[1] for text in said] == [
        " adaptive dropout does nothing",
        " the divergence is 0",
    ]
    assert method.record["divergence"] < 1e-7, "rounding alone"
    method.backward(texts("modernbert"))  # no second time
    words = " ".join(method.describe().split())
    assert all(text.split(": ", 1)[1] in words for text in said)
