"""A compiled model is trained as one that is not, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import uegr
from bench.tiny_families import texts, tiny
from toys import Toy, adamw, batch, same, toy, train
from zoo.core.errors import UserError

# torch's own, where code goes on after a hook that is not compiled.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
MADE: list[int] = []


def counting(graph: Any, inputs: Any) -> Any:
    """A backend that runs a graph as it is, and counts."""
    MADE.append(1)
    return graph.forward


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    MADE.clear()
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def evaluated(model: nn.Module) -> torch.Tensor:
    own = batch()
    own.pop("labels")
    mode = model.training
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**own).logits
    model.train(mode)
    return found


# How the model is compiled: wrapped or in place; before `attach`, perhaps having run, or after it.
WAYS = ("wrapped, has run", "in place, has run", "in place, after")


@pytest.mark.parametrize("way", WAYS)
def test_a_compiled_model_is_trained_as_one_that_is_not(way: str) -> None:
    plain, inner = toy(), toy()
    given: Any = inner
    if "wrapped" in way:
        given = torch.compile(inner, backend=counting)
    elif "after" not in way:
        inner.compile(backend=counting)
    if "run" in way:
        evaluated(given)
    methods = []
    for model in (plain, given):
        method = uegr.attach(model, adamw(model), "uegr", seed=1)
        if model is given and "after" in way:
            inner.compile(backend=counting)
        MADE.clear()
        torch.manual_seed(5)
        train(method, range(2))
        methods.append(method)
    assert same(plain, inner, within=1e-12)
    assert not same(plain, toy(), within=1e-3)
    assert len(MADE) > 2  # parts between hooks
    assert list(methods[1].sites.active) == ["early", "late"]
    # Code that is made anew after the end holds no hook.
    methods[1].remove()
    MADE.clear()
    torch.testing.assert_close(evaluated(given), evaluated(plain))
    assert len(MADE) == 1


def test_words_and_logits_of_a_compiled_model() -> None:
    plain, inner = toy().eval(), toy().eval()
    given: Any = torch.compile(inner, backend=counting)
    wanted = evaluated(plain)
    evaluated(given)
    adapted = uegr.adapt(given)
    MADE.clear()
    torch.testing.assert_close(adapted.classify(adapted.embed(batch()), batch()), wanted)
    assert MADE
    torch.testing.assert_close(adapted.classify(2 * adapted.embed(batch()), batch()), doubled(plain))
    adapted.remove()
    torch.testing.assert_close(evaluated(given), wanted)


def doubled(model: Toy) -> torch.Tensor:
    own = batch()
    return model.vectors_to_logits(2 * model.words(own["input_ids"]), own["attention_mask"])


@pytest.mark.slow
def test_a_compiled_bert_is_trained_as_one_that_is_not() -> None:
    pytest.importorskip("transformers", reason="the extra hf")
    models = [tiny("bert", num_hidden_layers=1).double() for _ in range(2)]
    models[1].compile(backend=counting)
    for model in models:
        method = uegr.attach(model, adamw(model), "uegr", seed=1)
        torch.manual_seed(5)
        method.backward(texts("bert"))
        method.optimizer.step()
    assert MADE
    assert same(*models, within=1e-12)


class Two(Toy):
    """Two tables: a look at a forward pass would have to tell which has the words."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Embedding(7, 8)


def test_what_a_compiled_model_cannot_have() -> None:
    model = Two()
    model.compile(backend=counting)
    method = uegr.attach(model, adamw(model), "uegr")
    for call in (lambda: method.backward(batch()), lambda: uegr.adapt(model, batch())):
        with pytest.raises(UserError, match=r"^Two is compiled: .*expected embedding="):
            call()
    method.remove()
    uegr.attach(model, adamw(model), "uegr", embedding="words").backward(batch())
