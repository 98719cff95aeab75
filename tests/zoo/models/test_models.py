"""The contract of the models: padding never matters, any text length works, sites have names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import tiny
from zoo.core.errors import UserError
from zoo.method.contract import active_sites, check_contract, dropout_sites
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.method.step import prepare
from zoo.models import MODELS, build_model
from zoo.models.bilstm import POOLINGS
from zoo.models.layers import AdditiveAttention, BiRecurrent, last_states, max_states


def laid_out(arch: str, lengths: tuple[int, ...], padding: int = 0, seed: int = 0):
    batch = tiny.batch(lengths, seed=seed, padding=0 if arch == "han" else padding)
    return tiny.by_sentence(batch, padding) if arch == "han" else batch


@pytest.mark.parametrize("lengths", [(7, 3, 12, 1), (1,), (2, 2)])
def test_logits_do_not_depend_on_padding(arch: str, lengths: tuple[int, ...]) -> None:
    model = tiny.model(arch).eval()
    short, long = laid_out(arch, lengths), laid_out(arch, lengths, padding=9)
    assert long.tokens.shape[1] > short.tokens.shape[1]
    torch.testing.assert_close(
        model(long.tokens, long.mask), model(short.tokens, short.mask), rtol=0, atol=1e-12
    )


def test_logits_of_a_text_do_not_depend_on_its_companions(arch: str) -> None:
    model = tiny.model(arch).eval()
    batch = laid_out(arch, (7, 3, 12, 1))
    alone = torch.cat(
        [model(batch.tokens[i : i + 1], batch.mask[i : i + 1]) for i in range(len(batch.labels))]
    )
    torch.testing.assert_close(model(batch.tokens, batch.mask), alone, rtol=0, atol=1e-12)


def test_texts_shorter_than_the_widest_filter_and_all_padding_rows(arch: str) -> None:
    model = tiny.model(arch).eval()
    for lengths in [(1, 0), (0,), (2, 0, 1)]:
        batch = laid_out(arch, lengths) if max(lengths) else laid_out(arch, (1,))
        mask = batch.mask & (torch.tensor(lengths)[:, None] > 0)
        logits = model(batch.tokens * mask, mask)
        assert logits.shape == (len(lengths), tiny.CLASSES)
        assert torch.isfinite(logits).all()
        logits.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_padding_gets_no_gradient(arch: str) -> None:
    model = tiny.model(arch)
    batch = laid_out(arch, (7, 3), padding=4)
    vectors = model.embed(batch.tokens).detach().requires_grad_()
    model.eval()
    model.classify(vectors, batch.mask).square().sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad[~batch.mask] == 0).all()
    assert (vectors.grad[batch.mask] != 0).any()


def test_classify_is_head_of_trunk_and_evaluation_is_repeatable(arch: str) -> None:
    model = tiny.model(arch).eval()
    batch = laid_out(arch, (7, 3, 12, 1))
    vectors = model.embed(batch.tokens)
    torch.testing.assert_close(
        model.classify(vectors, batch.mask), model.head(model.trunk(vectors, batch.mask)), rtol=0, atol=0
    )


def test_sites_are_named_and_default_ones_exist(arch: str) -> None:
    model = tiny.model(arch)
    sites = dropout_sites(model)
    assert set(model.default_sites) <= set(sites)
    assert set(model.head_sites) <= set(sites)
    assert "pooled" in sites
    assert "embedding" in sites


def test_initial_weights_are_a_function_of_the_seed_alone(arch: str) -> None:
    before = torch.get_rng_state()
    first = build_model(arch, 9, 2, tiny.sizes(arch), seed=3)
    assert torch.equal(torch.get_rng_state(), before), "building a model must leave the caller's stream alone"
    second, other = (build_model(arch, 9, 2, tiny.sizes(arch), seed=s) for s in (3, 4))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_two_one_way_layers_equal_a_packed_bidirectional_one(kind: type[nn.LSTM]) -> None:
    torch.manual_seed(0)
    ours = BiRecurrent(kind, 4, 3).double()
    oracle = kind(4, 3, batch_first=True, bidirectional=True).double()
    for name, value in oracle.named_parameters():
        source = ours.back if name.endswith("_reverse") else ours.ahead
        value.data.copy_(dict(source.named_parameters())[name.removesuffix("_reverse")].data)
    batch = tiny.batch((7, 3, 12, 1))
    x = torch.randn(4, 12, 4, dtype=torch.float64)
    packed = pack_padded_sequence(x, batch.mask.sum(1), batch_first=True, enforce_sorted=False)
    states, last = oracle(packed)
    expected, _ = pad_packed_sequence(states, batch_first=True)
    got = ours(x, batch.mask)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    final = last[0] if kind is nn.LSTM else last
    torch.testing.assert_close(last_states(got, batch.mask), torch.cat([final[0], final[1]], 1))


def test_attention_weights_sum_to_one_over_the_tokens() -> None:
    attention = AdditiveAttention(6).double()
    batch = tiny.batch((7, 3, 1))
    weights = attention.weights(torch.randn(3, 7, 6, dtype=torch.float64), batch.mask)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=torch.float64))
    assert (weights[~batch.mask] == 0).all()


def test_attention_can_be_looked_at() -> None:
    batch = tiny.batch((7, 3, 12, 1))
    weights = tiny.model("texthan").eval().attend(batch.tokens, batch.mask)
    assert weights.shape == batch.tokens.shape
    grid = tiny.by_sentence(batch)
    words, sentences = tiny.model("han").eval().attend(grid.tokens, grid.mask)
    assert words.shape == (4, 3, 4)
    torch.testing.assert_close(sentences.sum(1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(words.sum(2)[sentences > 0], torch.ones(int((sentences > 0).sum())).double())


def test_a_model_without_the_two_calls_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"add a method embed\(tokens\)"):
        check_contract(nn.Linear(2, 2))


def test_the_scale_of_the_initial_weights() -> None:
    """Word vectors N(0, 0.1^2), zero at padding; the attention's context N(0, 1 / U). Six standard errors."""
    torch.manual_seed(0)
    n = 400 * 64
    words = build_model("textcnn", 401, 2, tiny.sizes("textcnn", embedding=64), seed=0).embed(
        torch.arange(401)
    )
    words = words.detach()
    assert (words[0] == 0).all()
    assert float(words[1:].std()) == pytest.approx(0.1, rel=6 / (2 * n) ** 0.5)
    context = torch.stack([AdditiveAttention(100).context.detach() for _ in range(200)])
    assert float(context.std()) == pytest.approx(0.1, rel=6 / (2 * context.numel()) ** 0.5)


def test_initial_vectors_are_taken_as_they_are(arch: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    model = build_model(arch, 9, 2, tiny.sizes(arch), seed=3, vectors=vectors)
    assert np.array_equal(model.embedding.weight.detach().numpy(), vectors)
    plain = build_model(arch, 9, 2, tiny.sizes(arch), seed=3)
    assert torch.equal(model.classifier.weight, plain.classifier.weight), "all else is that of the seed"


SITES = {
    "bilstm": (("embedding", "layer1", "pooled"), ("layer1", "pooled")),
    "texthan": (("embedding", "layer1", "pooled"), ("layer1", "pooled")),
    "textcnn": (("embedding", "pooled"), ("pooled",)),
    "han": (("embedding", "sentences", "pooled"), ("sentences", "pooled")),
}


def test_the_sites_in_use_are_the_default_ones(arch: str) -> None:
    """And a forward pass meets every site, once and in the order of the table."""
    model, (every, default) = tiny.model(arch), SITES[arch]
    assert active_sites(model, ()) == default
    met: list[str] = []
    for name, site in model.sites.items():
        site.register_forward_hook(lambda *_, name=name: met.append(name))
    batch = laid_out(arch, (7, 3, 12, 1))
    model.eval()(batch.tokens, batch.mask)
    assert tuple(met) == every


def test_what_stands_at_padding_does_not_matter(arch: str) -> None:
    model = tiny.model(arch).eval()
    batch = laid_out(arch, (7, 3, 12, 1))
    clean = model.embed(batch.tokens).detach()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=clean.dtype)
    full = clean + noise * ~batch.mask[:, :, None]
    torch.testing.assert_close(
        model.classify(full, batch.mask), model.classify(clean, batch.mask), rtol=0, atol=1e-12
    )


def test_textcnn_is_its_definition_text_by_text() -> None:
    """Largest answer of each filter over the windows inside the text, at least 0."""
    model, lengths = tiny.model("textcnn").eval(), (7, 3, 12, 1)
    batch = tiny.batch(lengths)
    vectors = model.embed(batch.tokens).detach()
    wanted = []
    for text, length in zip(vectors, lengths, strict=True):
        pooled = []
        for width, convolution in zip(model.widths, model.convolutions, strict=True):
            words = torch.cat([text[:length], text.new_zeros(max(0, width - length), text.shape[1])])
            windows = words.unfold(0, width, 1)  # (N, D, W)
            answers = torch.einsum("ndw,fdw->nf", windows, convolution.weight) + convolution.bias
            pooled.append(answers.clamp_min(0).max(0).values)
        wanted.append(torch.cat(pooled))
    torch.testing.assert_close(model.trunk(vectors, batch.mask), torch.stack(wanted), rtol=0, atol=1e-12)


def test_attention_pools_the_states() -> None:
    """TextHAN's features are the sum over the tokens of weight times state; the weights are not equal."""
    model, batch = tiny.model("texthan").eval(), tiny.batch((7, 3, 12, 1))
    vectors = model.embed(batch.tokens)
    states, weights = model.states(vectors, batch.mask), model.attend(batch.tokens, batch.mask)
    wanted = torch.einsum("bt,btu->bu", weights, states)
    torch.testing.assert_close(model.trunk(vectors, batch.mask), wanted, rtol=0, atol=1e-12)
    assert weights[0].max() > 1.0001 * weights[0][batch.mask[0]].min()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_bilstm_pools_the_states_text_by_text(pooling: str) -> None:
    """Of the words of each text alone, in K passes too; an empty text gives zero."""
    lengths = (7, 3, 0, 1)
    batch = tiny.batch(lengths, padding=2)
    model = build_model("bilstm", tiny.WORDS, tiny.CLASSES, tiny.sizes("bilstm", pooling=pooling), 0).double()
    model.eval()
    vectors = model.embed(batch.tokens).detach()
    states, half = model.states(vectors, batch.mask), 5
    definition = {
        "last": lambda own: torch.cat([own[-1, :half], own[0, half:]]),
        "mean": lambda own: own.mean(0),
        "max": lambda own: torch.stack([unit.max() for unit in own.T]),
    }[pooling]
    wanted = torch.stack(
        [
            definition(own[:n]) if n else own.new_zeros(2 * half)
            for own, n in zip(states, lengths, strict=True)
        ]
    )
    torch.testing.assert_close(model.trunk(vectors, batch.mask), wanted, rtol=0, atol=1e-12)
    twice = model.pool(torch.cat([states, 2 * states]), batch.mask)
    torch.testing.assert_close(twice, torch.cat([wanted, 2 * wanted]), rtol=0, atol=1e-12)


def test_the_largest_state_may_be_below_zero() -> None:
    """Padding holds zeros, which no unit may take for its largest value."""
    mask = torch.tensor([[True, True, False]])
    states = torch.tensor([[[-1.0, -1.0], [-2.0, -0.5], [0.0, 0.0]]])
    assert max_states(states, mask).tolist() == [[-1.0, -0.5]]


def test_empty_sentences_take_no_part_in_the_statistic() -> None:
    """Three empty sentences more after each text, and the gradient norms are the same."""
    averages = []
    for padding in (0, 3):
        model = tiny.model("han").train()
        trainee = prepare(model, Recipe(dropout=Dropout("mean", base_rates=(0.0,))))
        trainee.forward.gradients(trainee, laid_out("han", (7, 3, 12, 1), padding))
        averages.append(trainee.sites.active["sentences"].average.clone())
    assert averages[0].any()
    torch.testing.assert_close(*averages)


def test_every_model_is_in_the_table() -> None:
    from zoo.models import ARCHS

    assert tuple(MODELS) == ARCHS
