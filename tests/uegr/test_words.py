"""The word embedding: which one it is, what is added to its output, and where nothing is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
from toys import WORDS, Toy, adamw, batch, toy
from uegr.words import seen_embedding
from zoo.core.errors import UserError
from zoo.method.rates import embedding_rms


class Placed(Toy):
    """Words, places and segments, none of them by a telling name; the words' table is the second."""

    def __init__(self, getter: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Embedding(7, 8), nn.Embedding(WORDS, 8), nn.Embedding(2, 8)
        del self.words
        self.calls = 0
        if getter:
            self.get_input_embeddings = lambda: self.b

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Any:
        self.calls += 1
        places = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        x = self.b(input_ids.clone()) + self.a(places)
        return self.vectors_to_logits(
            x if token_type_ids is None else x + self.c(token_type_ids), attention_mask
        )


def segments() -> dict[str, Tensor]:
    return batch() | {"token_type_ids": torch.zeros(4, 7, dtype=torch.long)}


def test_the_only_table_that_looks_up_an_input_is_the_words() -> None:
    torch.manual_seed(0)
    model = Placed()
    method = uegr.attach(model, adamw(model), "uegr")
    assert "first batch" in method.describe()
    before = torch.get_rng_state()
    model.last.eval()
    method.backward(batch())
    assert "attacked at the output of b (Embedding)" in method.describe()
    assert model.training
    assert not model.last.training  # the look puts every mode back
    assert model.calls == 4  # the look, the vectors, one clean pass, K at once
    method.remove()

    named = uegr.attach(model, adamw(model), "uegr", embedding="b")
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    torch.set_rng_state(before)
    named.backward(batch())
    again = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(map(torch.equal, gradients, again))  # and draws nothing from torch's random numbers


def test_the_look_moves_no_buffer_and_no_random_number() -> None:
    class Noisy(Placed):
        def __init__(self) -> None:
            super().__init__()
            self.kept = nn.BatchNorm1d(1)  # running statistics, which a pass in training would move

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            self.kept(torch.rand(2, 1))  # drawn in evaluation too
            return super().forward(*args, **kwargs)

    model = Noisy()
    before = torch.get_rng_state()
    inputs = {name: value for name, value in batch().items() if name != "labels"}
    assert seen_embedding(model, lambda: model(**inputs), list(inputs.values()))[1] == "b"
    assert model.calls == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert model.kept.num_batches_tracked == 0


def test_several_candidates_are_refused_by_name() -> None:
    model = Placed()
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.raises(UserError, match=r"Placed: b, c all look up inputs.*embedding="):
        method.backward(segments())
    method.remove()
    for embedding in ("b", model.b):
        method = uegr.attach(model, adamw(model), "uegr", embedding=embedding)
        method.backward(segments())
        method.remove()
    model = Placed(getter=True)
    method = uegr.attach(model, adamw(model), "uegr")
    method.backward(segments())
    assert "output of b" in method.describe()


def test_no_candidate_is_refused() -> None:
    class Shifted(Placed):
        def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Any = None) -> Any:
            return super().forward((input_ids + 1) % WORDS, attention_mask)

    model = Shifted()
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.raises(UserError, match=r"none of a, b, c looks up an input as it is; expected embedding="):
        method.backward(batch())


def seen(method: uegr.Method, text: dict[str, Tensor]) -> list[Tensor]:
    """What the layer after the words gets in each call of the model."""
    inputs: list[Tensor] = []
    handle = method.model.inner.register_forward_pre_hook(lambda m, args: inputs.append(args[0].detach()))
    method.backward(text)
    handle.remove()
    return inputs


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("frozen", [False, True])
def test_the_attack_is_added_to_the_words_alone(passes: int, frozen: bool) -> None:
    model = toy(rate=0.0)
    model.words.weight.requires_grad_(not frozen)
    text = batch()
    mask = text["attention_mask"].bool()
    words = model.words(text["input_ids"]).detach()
    recipe = uegr.recipe("r_at", adversarial=passes, epsilon=0.25)
    clean, attacked = seen(uegr.attach(model, adamw(model), recipe), text)
    assert torch.equal(clean, words)
    x = words.clone().requires_grad_()
    logits = model.vectors_to_logits(x, mask)
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, text["labels"]), x)
    # The attack of the default: one shift for a whole text, a quarter of a word vector's norm.
    size = 0.25 * embedding_rms(words, mask) * words.shape[2] ** 0.5
    gradient = gradient * mask[:, :, None]
    delta = size * gradient / gradient.norm(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(attacked, (words + delta).repeat(passes, 1, 1))
    assert (model.words.weight.grad is None) == frozen


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
def test_the_table_gets_the_gradient_of_all_passes() -> None:
    """At size 0 the K passes are clean ones: the gradient is twice the plain one, in the table too."""
    model = toy(rate=0.0)
    text = batch()
    method = uegr.attach(model, adamw(model), uegr.recipe("r_at", epsilon=0.0))
    method.backward(text)
    own = [p.grad for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    logits = model(text["input_ids"], text["attention_mask"]).logits
    torch.nn.functional.cross_entropy(logits, text["labels"]).backward()
    for one, plain in zip(own, model.parameters(), strict=True):
        assert plain.grad is not None
        torch.testing.assert_close(one, 2 * plain.grad)


def test_what_may_be_attacked() -> None:
    """A mask of the user's, an attention mask, the padding of the table, everything: in this order."""
    text = batch()
    first = torch.zeros_like(text["attention_mask"])
    first[:, 0] = 1

    class Bare(Toy):
        def forward(self, ids: Tensor) -> Tensor:  # type: ignore[override]
            return self.vectors_to_logits(self.words(ids), torch.ones_like(ids))

    def moved(model: Toy, inputs: Any, **options: Any) -> Tensor:
        method = uegr.attach(model, adamw(model), "at", **options)
        clean, attacked = seen(method, inputs)
        return (clean != attacked).any(2)

    torch.manual_seed(0)
    bare, pair = Bare(0.0), (text["input_ids"], text["labels"])
    assert torch.equal(moved(toy(rate=0.0), text), text["attention_mask"].bool())
    assert torch.equal(moved(toy(rate=0.0), text, mask=lambda inputs: first), first.bool())
    assert torch.equal(moved(bare, pair), text["input_ids"] != 0)
    everywhere = Bare(0.0)
    everywhere.words = nn.Embedding(WORDS, 8)
    assert bool(moved(everywhere, pair).all())


def test_a_table_that_is_asked_twice_or_never_is_refused() -> None:
    class Twice(Toy):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return self.vectors_to_logits(self.words(input_ids) + self.words(input_ids), attention_mask)

    class Never(Toy):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return self.vectors_to_logits(self.words.weight[input_ids], attention_mask)

    class Flat(Toy):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return self.vectors_to_logits(self.words(input_ids[:, 0])[:, None], attention_mask[:, :1])

    for kind, what in ((Twice, "call 2"), (Never, "does not use it"), (Flat, r"gave \(4, 8\)")):
        model = kind()
        method = uegr.attach(model, adamw(model), "uegr")
        with pytest.raises(UserError, match=f"embedding words.*{what}"):
            method.backward(batch())


def test_an_only_table_that_looks_up_no_input_is_doubted() -> None:
    """Once, and not where it is named: words may be a parameter, and the table that of positions."""

    class Bare(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.places = self.words
            self.table = nn.Parameter(self.words.weight.detach().clone())
            del self.words

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            places = torch.arange(input_ids.shape[1]).expand_as(input_ids)
            return self.vectors_to_logits(self.table[input_ids] + self.places(places), attention_mask)

    model = Bare()
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.warns(UserWarning, match="embedding places: .* looks up no input as it is") as told:
        method.backward(batch())
    assert len(told) == 1
    method.backward(batch(1))
    method.remove()
    uegr.attach(model, adamw(model), "uegr", embedding="places").backward(batch())
