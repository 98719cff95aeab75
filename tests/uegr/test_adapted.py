"""Words and logits of any classifier as two calls."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import uegr
import uegr.adapted
from bench.tiny_families import FAMILIES, LENGTH, texts, tiny
from toys import Toy, adamw, batch, refused, toy

Batch = dict[str, Tensor]


def without_labels(own: Batch) -> Batch:
    return {key: value for key, value in own.items() if key != "labels"}


def test_the_example_runs() -> None:
    result = doctest.testmod(uegr.adapted)
    assert result.failed == 0
    assert result.attempted > 8


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_a_family_through_its_vectors_are_its_own(family: str, side: str) -> None:
    """Bit for bit, padding and segments included; and they depend on each of the things that are put in."""
    pytest.importorskip("transformers", reason="the extra hf")
    model = tiny(family).eval()
    adapted = uegr.adapt(model)
    own = texts(family, side=side)
    wanted = model(**without_labels(own)).logits
    vectors = adapted.embed(own)
    assert vectors.shape == (4, LENGTH, model.get_input_embeddings().weight.shape[1])  # type: ignore[operator]
    assert torch.equal(adapted.classify(vectors, own), wanted)
    assert torch.equal(adapted.mask(own), own["attention_mask"].bool())
    # Other words, other padding, other segments: other logits. So the comparison can fail.
    assert not torch.allclose(adapted.classify(vectors.flip(0), own), wanted, atol=1e-3)
    for name in ("attention_mask", "token_type_ids"):
        if name in own:
            other = own | {
                name: torch.zeros_like(own[name]) if "type" in name else torch.ones_like(own[name])
            }
            assert not torch.allclose(adapted.classify(vectors, other), wanted, atol=1e-3), name
    # Two versions of the batch at once are the two one after the other, to rounding.
    both = adapted.classify(torch.cat([vectors, 0.5 * vectors]), own)
    torch.testing.assert_close(both[:4], wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both[4:], adapted.classify(0.5 * vectors, own), rtol=1e-4, atol=1e-5)
    adapted.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_is_never_attacked(family: str) -> None:
    """Not even where its gradient is not zero: MobileBERT's last word sees its neighbour, the padding."""
    pytest.importorskip("transformers", reason="the extra hf")
    model = tiny(family).double().eval()
    adapted = uegr.adapt(model)
    own = texts(family)
    vectors = adapted.embed(own).detach().requires_grad_()
    loss = F.cross_entropy(adapted.classify(vectors, own), own["labels"])
    (gradient,) = torch.autograd.grad(loss, vectors)
    padding = own["attention_mask"] == 0
    assert bool(gradient[padding].any()) == (family == "mobilebert")
    assert bool((gradient != 0).any(2)[~padding].all())
    delta = uegr.perturbation(gradient, adapted.mask(own), 0.1)
    assert not bool(delta[padding].any())
    assert F.cross_entropy(adapted.classify(vectors + delta, own), own["labels"]) > loss


@pytest.mark.parametrize("length", [3, 4, 5, 8])
def test_time_major_ids_are_told_by_their_values_where_the_shape_does_not(length: int) -> None:
    """XLNet looks up ids (T, B), also of four texts of four words."""
    pytest.importorskip("transformers", reason="the extra hf")
    model = tiny("xlnet").double().eval()
    own = texts("xlnet", length=length) | {"attention_mask": torch.ones(4, length, dtype=torch.long)}
    adapted = uegr.adapt(model, own)
    wanted = model(**without_labels(own)).logits
    assert "called with ids (T, B)" in " ".join(adapted.describe().split())
    vectors = adapted.embed(own)
    table = model.get_input_embeddings()  # type: ignore[operator]
    assert torch.equal(vectors, table(own["input_ids"]))
    for times in (1, 2):  # of rows, 8 = the length of a text among them
        found = adapted.classify(vectors.repeat(times, 1, 1), own)
        torch.testing.assert_close(found, wanted.repeat(times, 1))


def test_gradients_reach_the_table_and_the_vectors() -> None:
    model = toy().eval()
    own = batch()
    adapted = uegr.adapt(model)
    F.cross_entropy(adapted.classify(adapted.embed(own), own), own["labels"]).backward()
    found = [p.grad for p in model.parameters()]
    model.zero_grad()
    F.cross_entropy(model(**without_labels(own)).logits, own["labels"]).backward()
    for one, p in zip(found, model.parameters(), strict=True):
        assert one is not None
        assert p.grad is not None
        assert torch.equal(one, p.grad)
        assert bool(one.any())


def test_it_lives_beside_a_method_and_leaves_the_model_alone() -> None:
    weights = []
    for asked in (False, True):
        model = toy()
        before = uegr.adapt(model) if asked else None
        method = uegr.attach(model, adamw(model), "uegr", seed=1)
        torch.manual_seed(5)
        for seed in range(3):
            method.backward(batch(seed))
            if before is not None:
                after = uegr.adapt(model)
                state = torch.get_rng_state()
                model.eval()
                first, second = (one.classify(one.embed(batch()), batch()) for one in (before, after))
                assert torch.equal(first, second)
                model.train()
                torch.set_rng_state(state)
                after.remove()
            method.optimizer.step()
            method.optimizer.zero_grad()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


def test_inputs_of_all_forms() -> None:
    text = batch()
    ids, mask = text["input_ids"], text["attention_mask"]

    class Pair(Toy):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return super().forward(input_ids, attention_mask).logits

    class Only(Pair):
        def forward(self, ids: Tensor) -> Any:  # type: ignore[override]
            return super().forward(ids, ids != 0)

    expected = toy().eval()(ids, mask).logits
    cases: list[tuple[type[Toy], Any, dict[str, Any], Tensor]] = [
        (Toy, text, {}, mask),
        (Toy, without_labels(text), {}, mask),
        (Pair, (ids, mask), {"mask": lambda inputs: inputs[1]}, mask),
        (Pair, (ids, mask), {"embedding": "words"}, ids != 0),
        (Only, ids, {}, ids != 0),
        (Only, {"text": ids}, {"forward": lambda model, inputs: model(inputs["text"])}, ids != 0),
    ]
    for kind, inputs, options, wanted in cases:
        torch.manual_seed(0)
        adapted = uegr.adapt(kind().double().eval(), inputs, **options)
        found = adapted.classify(adapted.embed(inputs), inputs)
        torch.testing.assert_close(found, expected)
        assert torch.equal(adapted.mask(inputs), wanted.bool())
        assert max(map(len, adapted.describe().splitlines())) <= 80


def test_a_description() -> None:
    words = " ".join(uegr.adapt(toy()).describe().split())
    assert words == (
        "model Toy words the output of words (Embedding) dropout 2 modules with a rate, in training mode; "
        "none in evaluation mode"
    )


class Two(Toy):
    """Two tables that look up the words."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Embedding(20, 8)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.vectors_to_logits(self.words(input_ids) + self.more(input_ids), attention_mask)


def removed() -> None:
    adapted = uegr.adapt(toy())
    adapted.remove()
    adapted.embed(batch())


def other_rows() -> None:
    adapted = uegr.adapt(toy())
    adapted.classify(adapted.embed(batch())[:3], batch())


def other_words() -> None:
    adapted = uegr.adapt(toy())
    adapted.classify(adapted.embed(batch())[:, :3], batch())


class Turned(Toy):
    """Words of all texts in one line."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.words(input_ids.view(1, -1))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a function": (lambda: uegr.adapt(len), "model of type builtin_function_or_method: expected a torch"),  # type: ignore[arg-type]
    "replicas": (lambda: uegr.adapt(nn.DataParallel(toy())), "model of type DataParallel: its replicas"),
    "no words": (lambda: uegr.adapt(nn.Linear(2, 3)), "Linear has no nn.Embedding to attack: expected one"),
    "two words": (lambda: uegr.adapt(Two(), batch()), "Two: words, more all look up inputs of the batch"),
    "no tensor": (lambda: uegr.adapt(toy()).embed("text"), "inputs of type str: expected a tensor among"),
    "after the end": (removed, "adapted model: `remove` was called"),
    "vectors of other rows": (other_rows, "vectors of 3 rows for inputs of 4: expected as many"),
    "vectors of other words": (other_words, "embedding words: call 1 of a forward pass, for (4, 7, 8)"),
    "ids of other rows": (lambda: uegr.adapt(Turned(), batch()), "ids of shape (1, 28); expected 4 rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_that_says_what_was_expected(case: str) -> None:
    run, what = REFUSED[case]
    refused(run, what)
