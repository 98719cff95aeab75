"""The kept gradient buffer of the word table against autograd's fresh one."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import tiny
from zoo.fast.rows import Rows
from zoo.fast.word_gradient import WordGradient
from zoo.method.backward.selective import SelectiveUpdate
from zoo.method.contract import embed_backward
from zoo.method.step import prepare, train_step
from zoo.models import TextClassifier
from zoo.recipes import RECIPES
from zoo.settings import TrainSettings
from zoo.training.optim import make_optimizer

V, D = 12, 3


def case(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, V, (2, 4), generator=generator)
    return tokens, torch.randn(2, 4, D, generator=generator)


def by_autograd(table: nn.Embedding, tokens: Tensor, gradient: Tensor) -> Tensor:
    twin = copy.deepcopy(table)
    twin(tokens).backward(gradient)
    assert twin.weight.grad is not None
    return twin.weight.grad


@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("between", ["nothing", "to none", "to zero", "backward by autograd", "noise"])
def test_every_step_has_autograds_gradient(between: str, padding: int | None) -> None:
    """Whatever happens to `.grad` between two steps, the next one starts from zero."""
    table, keeper = nn.Embedding(V, D, padding_idx=padding), WordGradient()
    optimizer = torch.optim.SGD([table.weight], lr=0.0)
    for step in range(4):
        tokens, gradient = case(step)
        optimizer.zero_grad(set_to_none=between != "to zero")
        keeper.add(table, tokens, gradient)
        torch.testing.assert_close(table.weight.grad, by_autograd(table, tokens, gradient), rtol=0, atol=1e-6)
        if between == "backward by autograd":
            table(case(99)[0]).sum().backward()
        elif between == "noise":
            table.weight.grad.add_(1.0)


def test_gradients_add_up_until_they_are_cleared() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    for _ in range(2):
        keeper.add(table, *case(0))
        keeper.add(table, *case(1))
        wanted = by_autograd(table, *case(0)) + by_autograd(table, *case(1))
        torch.testing.assert_close(table.weight.grad, wanted)
        table.weight.grad = None


def test_the_buffer_is_kept_and_only_its_rows_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    first = table.weight.grad
    SelectiveUpdate([table.weight]).apply({table.weight: Rows.of(case(0)[0])})
    table.weight.grad = None
    monkeypatch.setattr(torch.Tensor, "zero_", lambda _: pytest.fail("the whole buffer was cleared"))
    keeper.add(table, *case(1))
    assert table.weight.grad is first


def test_a_table_of_another_type_gets_another_buffer() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    table.weight.grad = None
    table.double()
    keeper.add(table, case(1)[0], case(1)[1].double())
    assert table.weight.grad.dtype == torch.float64
    torch.testing.assert_close(table.weight.grad, by_autograd(table, case(1)[0], case(1)[1].double()))


def test_copies_and_pickles_do_not_carry_the_buffer() -> None:
    model = tiny.model("textcnn")
    train_step(prepare(model, RECIPES["standard"]), tiny.batch(), make_optimizer(model, TrainSettings()))
    assert model.word_gradient.buffer is not None
    assert copy.deepcopy(model).word_gradient.buffer is None
    assert pickle.loads(pickle.dumps(model)).word_gradient.buffer is None
    assert not any("word_gradient" in name for name in model.state_dict())


class Doubled(TextClassifier):
    """A model whose vectors are not just looked up."""

    def embed(self, tokens: Tensor) -> Tensor:
        return 2 * self.embedding(tokens)


@pytest.mark.parametrize("change", ["own embed", "max_norm", "hook", "subclass"])
def test_anything_but_a_plain_lookup_goes_through_autograd(change: str) -> None:
    model = (Doubled if change == "own embed" else TextClassifier)(V, D)
    if change == "max_norm":
        model.embedding.max_norm = 1.0
    elif change == "hook":
        model.embedding.weight.register_hook(lambda gradient: 3 * gradient)
    elif change == "subclass":
        model.embedding = type("Own", (nn.Embedding,), {})(V, D)
    tokens, gradient = case(0)
    embed_backward(model, tokens, model.embed(tokens), gradient)
    assert model.word_gradient.buffer is None
    wanted = torch.autograd.grad(model.embed(tokens), model.embedding.weight, gradient)[0]
    torch.testing.assert_close(model.embedding.weight.grad, wanted)
