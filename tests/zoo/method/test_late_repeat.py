"""K passes that share the layers before the first active site, against K whole passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import tiny
from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.step import Trainee, prepare
from zoo.models.layers import BiRecurrent
from zoo.recipes import RECIPES, Recipe

ARCHS = ("bilstm", "texthan", "han")  # by default with a site in the middle
RECIPES_WITH_PASSES = {
    "uegr": RECIPES["uegr"],
    "five passes": RECIPES["uegr"].changed(adversarial=5, base_rates=(0.1, 0.3, 0.2)),
    "r_drop": RECIPES["r_drop"],
    "adaptive r_drop": RECIPES["r_drop"].changed(dropout="mean"),
    "by example": RECIPES["uegr"].changed(statistic_scope="example", statistic="attribution"),
    "by example, two clean passes": RECIPES["uegr"].changed(statistic_scope="example", clean=2),
    "one site in the middle": RECIPES["uegr"],
}
MIDDLE = {"bilstm": "layer1", "texthan": "layer1", "han": "sentences"}


def texts(arch: str) -> Batch:
    batch = tiny.batch((7, 3, 12, 1))
    return tiny.by_sentence(batch) if arch == "han" else batch


def trained_on(arch: str, recipe: Recipe, late: bool) -> tuple[TextClassifier, Trainee, list[Tensor]]:
    """Two steps' gradients; the second one has statistics of the first."""
    model = tiny.model(arch)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(3))
    assert trainee.sites.repeats
    assert not trainee.shares_trunk
    trainee.sites.repeats = late
    model.train()
    for _ in range(2):
        model.zero_grad()
        recipe.forward.gradients(trainee, texts(arch))
    return model, trainee, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", RECIPES_WITH_PASSES)
@pytest.mark.parametrize("arch", ARCHS)
def test_gradients_and_statistics_are_the_same(arch: str, name: str) -> None:
    recipe = RECIPES_WITH_PASSES[name]
    if "middle" in name:
        recipe = recipe.changed(sites=(MIDDLE[arch],))
    _, late, gradients = trained_on(arch, recipe, late=True)
    _, whole, wanted = trained_on(arch, recipe, late=False)
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    for site in late.sites.active:
        ours, theirs = late.sites.active[site], whole.sites.active[site]
        torch.testing.assert_close(ours.average, theirs.average)
        torch.testing.assert_close(ours.coming.rates, theirs.coming.rates)


@pytest.mark.parametrize("arch", ARCHS)
def test_the_first_layer_sees_every_text_once(arch: str) -> None:
    model, trainee, _ = trained_on(arch, RECIPES["uegr"], late=True)
    layers = [layer for layer in model.modules() if isinstance(layer, BiRecurrent)]
    seen: list[int] = []
    for layer in layers:
        layer.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    batch = texts(arch)
    trainee.sites.plan_passes(3)
    assert trainee.classify(model.embed(batch.tokens), batch.mask, 3).shape == (3, 4, tiny.CLASSES)
    assert seen[1] == 3 * len(batch)
    assert seen[0] == (len(batch) if arch != "han" else 2 + 1 + 3 + 1)  # sentences of up to four words


def test_at_evaluation_all_passes_are_the_same() -> None:
    model, trainee, _ = trained_on("bilstm", RECIPES["uegr"], late=True)
    model.eval()
    batch = texts("bilstm")
    logits = trainee.classify(model.embed(batch.tokens), batch.mask, 3)
    assert logits.shape[0] == 3
    assert torch.equal(logits[0], logits[2])


class Foreign(nn.Module):
    """Offers the two calls, and has sites that know nothing of fewer rows."""

    def __init__(self, model: TextClassifier) -> None:
        super().__init__()
        self.inner = model
        self.embed, self.classify = model.embed, model.classify


def test_other_models_and_dropped_words_take_whole_passes() -> None:
    assert not prepare(Foreign(tiny.model("bilstm")), RECIPES["uegr"]).sites.repeats
    assert not prepare(
        type("Own", (type(tiny.model("bilstm")),), {})(20, 3, tiny.sizes("bilstm")), RECIPES["uegr"]
    ).sites.repeats
    words_too = RECIPES["uegr"].changed(sites=("embedding", "pooled"))
    assert not prepare(tiny.model("han"), words_too).sites.repeats
