"""Several models trained as one: each as it is alone, step for step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import tiny
from zoo.core.batch import Batch
from zoo.fast.shapes import demand_fixed_shapes
from zoo.method.forward.freelb import FreeLB
from zoo.method.several import TraineeOfSeveral, why_alone
from zoo.method.step import Trainee, prepare, train_step
from zoo.models import ARCHS
from zoo.recipes import RECIPES, Recipe
from zoo.training.optim import make_optimizer
from zoo.training.settings import TrainSettings

MODELS, STEPS = 3, 4
LENGTHS = ((7, 3, 12, 1), (12, 12, 5, 2), (2, 1, 12, 6))
SETTINGS = TrainSettings(learning_rate=0.01)


def own(arch: str, recipe: Recipe) -> list[Trainee]:
    made = [
        prepare(tiny.model(arch, seed), recipe, torch.Generator().manual_seed(100 + seed))
        for seed in range(MODELS)
    ]
    for trainee in made:
        trainee.model.train()
    return made


def batches(arch: str, step: int) -> list[Batch]:
    """One for each model, all of one width."""
    made = [tiny.batch(lengths, seed=10 * step + n) for n, lengths in enumerate(LENGTHS)]
    return [tiny.by_sentence(batch) for batch in made] if arch == "han" else made


def together(parts: Sequence[Batch]) -> Batch:
    return Batch(
        *(torch.cat([getattr(b, name) for b in parts]) for name in ("tokens", "mask", "labels", "index"))
    )


def everyone() -> Tensor:
    return torch.ones(MODELS, len(LENGTHS[0]), dtype=torch.bool)


def train_both(arch: str, recipe: Recipe) -> float:
    """The largest difference of any term of the record and of any weight or average in STEPS steps."""
    alone, members = own(arch, recipe), own(arch, recipe)
    one = TraineeOfSeveral(members, recipe)
    optimizers = [make_optimizer(trainee.model, SETTINGS) for trainee in alone]
    optimizer = make_optimizer(one.model, SETTINGS, stacked=True)
    worst = 0.0
    with demand_fixed_shapes():
        for step in range(STEPS):
            parts = batches(arch, step)
            records = [train_step(*each) for each in zip(alone, parts, optimizers, strict=True)]
            one.weigh(everyone())
            record = train_step(one, together(parts), optimizer)
            assert record.keys() == records[0].keys()
            for key in record.keys() - {"logits"}:
                terms = torch.stack([r[key] for r in records])
                assert record[key].shape == (MODELS,)
                worst = max(worst, float((record[key] - terms).abs().max()))
            for plain, member in zip(alone, members, strict=True):
                states = plain.model.state_dict(), member.model.state_dict()
                for name, value in states[0].items():
                    worst = max(worst, float((value - states[1][name]).abs().max()))
    return worst


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if not why_alone(recipe)])
def test_each_model_is_trained_as_it_is_alone(name: str) -> None:
    assert train_both("textcnn", RECIPES[name]) < 1e-12


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", ["dropout", "uegr"])
def test_of_any_architecture(arch: str, name: str) -> None:
    """Without the mask on the update: the two biases of a recurrent gate have one gradient, and which of them
    ranks higher is left to rounding."""
    assert train_both(arch, replace(RECIPES[name], backward=None)) < 1e-10


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_of_any_pooling(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiny.SIZES, "bilstm", tiny.SIZES["bilstm"] | {"pooling": pooling})
    assert train_both("bilstm", replace(RECIPES["uegr"], backward=None)) < 1e-10


CHANGES = (
    {"sites": ("embedding", "pooled"), "kind": "rank"},
    {"statistics": "ema", "statistic": "attribution"},
    {"statistics": "previous_step"},
    {"clean_dropout": "off", "q_min": 0.1},
    {"attack": "fgm", "epsilon_unit": "absolute", "epsilon": 0.1},
    {"attack": "token_linf", "epsilon_unit": "rms", "epsilon": 0.1},
    {"attack_steps": 3},
    {"divergence_reduction": "sum", "adversarial_reduction": "sum", "divergence": "sym_kl"},
    {"mask_on": "gradient", "saliency": "ema"},
    {"update_scope": "encoder", "normalise": "minmax", "normalise_scope": "tensor"},
    {"keep": "constant"},
)


@pytest.mark.parametrize("changes", CHANGES, ids=lambda c: " ".join(f"{k}={v}" for k, v in c.items()))
def test_under_other_settings(changes: dict) -> None:
    changes = dict(changes)
    if "kind" in changes:
        changes["dropout"] = changes.pop("kind")
    recipe = RECIPES["uegr"].changed(**changes)
    assert why_alone(recipe) == ""
    assert train_both("textcnn", recipe) < 1e-12


@pytest.mark.parametrize("arch", ARCHS)
def test_texts_that_fill_up_a_batch_count_for_nothing(arch: str) -> None:
    """A model with half a batch, whose other rows hold no word: no mask is drawn that could differ."""
    recipe = RECIPES["r_at"].changed(dropout="none", divergence="none")
    alone, members = own(arch, recipe), own(arch, recipe)
    one, parts = TraineeOfSeveral(members, recipe), batches(arch, 0)
    present = everyone()
    present[1, 2:] = False
    parts[1].tokens[2:], parts[1].mask[2:] = 0, False
    half = Batch(*(getattr(parts[1], name)[:2] for name in ("tokens", "mask", "labels", "index")))
    with demand_fixed_shapes():
        for trainee, batch in zip(alone, [parts[0], half, parts[2]], strict=True):
            trainee.forward.gradients(trainee, batch)
        one.weigh(present)
        one.forward.gradients(one, together(parts))
    for number, trainee in enumerate(alone):
        for p, stacked in zip(trainee.model.parameters(), one.model.parameters(), strict=True):
            torch.testing.assert_close(stacked.grad[number], p.grad, rtol=0, atol=1e-13)


def test_no_gradient_comes_to_the_row_of_the_padding() -> None:
    """As in a table of torch's own, and to every other row of each model the places where its word stands."""
    one = TraineeOfSeveral(own("textcnn", RECIPES["standard"]), RECIPES["standard"])
    tokens = torch.tensor([[1, 0, 2], [0, 0, 3], [4, 4, 0]])
    one.embed_backward(tokens, one.embed(tokens), torch.ones(3, 3, tiny.SIZES["textcnn"]["embedding"]))
    found = one.model.embedding.weight.grad[:, :5, 0]
    assert found.tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 2]]


def test_a_statistic_counts_the_texts_that_are_there() -> None:
    """At a site without places: the RMS over two texts, not over four of which two have no gradient."""
    recipe = RECIPES["uegr"]
    one = TraineeOfSeveral(own("textcnn", recipe), recipe)
    present = everyone()
    present[0, 2:] = False
    one.weigh(present)
    gradient = torch.randn(MODELS, 4, 5, dtype=torch.float64) * present[:, :, None]
    (watch,) = (watch for name, watch in one.sites.watches.items() if name == "pooled")
    wanted = torch.stack([gradient[n, present[n]].square().mean(0).sqrt() for n in range(MODELS)])
    torch.testing.assert_close(watch.norm(gradient, None), wanted)


def test_one_model_in_ruins_leaves_the_others_as_they_are() -> None:
    """NaN in a model's weights reaches no number of another one."""
    recipe, found = RECIPES["uegr"], []
    for ruined in (False, True):
        members = own("bilstm", recipe)
        one = TraineeOfSeveral(members, recipe)
        if ruined:
            with torch.no_grad():
                members[1].model.classifier.weight.fill_(torch.nan)
        optimizer = make_optimizer(one.model, SETTINGS, stacked=True)
        with demand_fixed_shapes():
            for step in range(2):
                one.weigh(everyone())
                record = train_step(one, together(batches("bilstm", step)), optimizer)
        found.append([record["loss"], *(p for n in (0, 2) for p in members[n].model.parameters())])
    assert torch.isnan(found[1][0]).tolist() == [False, True, False]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1:], found[1][1:], strict=True))


REFUSED = {
    "attack_scope=batch": RECIPES["at"].changed(attack="fgm", attack_scope="batch"),
    "dropout=layer": RECIPES["uegr"].changed(dropout="layer"),
    "statistic_scope=example": RECIPES["uegr"].changed(statistic_scope="example"),
    "saliency=per_sample": RECIPES["uegr"].changed(saliency="per_sample"),
    "resample=epoch": RECIPES["uegr"].changed(resample="epoch"),
    "mask_on=first_moment": RECIPES["uegr"].changed(mask_on="first_moment"),
    "forward stage freelb": Recipe(FreeLB()),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_trained_alone_is_said(why: str) -> None:
    assert why_alone(REFUSED[why]) == why


def test_every_recipe_of_table_iv_is_trained_as_one() -> None:
    table = ("standard", "dropout", "at", "r_drop", "r_at", "r_at_su", "uegr")
    assert [why_alone(RECIPES[name]) for name in table] == [""] * 7
