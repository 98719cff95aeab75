"""Which models take the kept gradient buffer of the word table, and which go through autograd."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import tiny
from zoo.method.contract import TextClassifier, embed_backward
from zoo.method.step import prepare, train_step
from zoo.recipes import RECIPES
from zoo.training.optim import make_optimizer
from zoo.training.settings import TrainSettings

V, D = 12, 3


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
    tokens, gradient = torch.randint(0, V, (2, 4)), torch.randn(2, 4, D)
    embed_backward(model, tokens, model.embed(tokens), gradient)
    assert model.word_gradient.buffer is None
    wanted = torch.autograd.grad(model.embed(tokens), model.embedding.weight, gradient)[0]
    torch.testing.assert_close(model.embedding.weight.grad, wanted)
