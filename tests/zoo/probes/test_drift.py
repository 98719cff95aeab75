"""Linear CKA against its slow definition, and what the probe takes for a layer."""

from __future__ import annotations

import math

import pytest
import torch

import tiny
from zoo.core.errors import UserError
from zoo.probes.drift import Drift, features, linear_cka
from zoo.training.cell import write_weights


def slow_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """By inner products of texts: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), centring matrix and loops."""
    n = len(x)
    kernels = [[[float(a @ b) for b in z] for a in z] for z in (x, y)]
    centre = [[(i == j) - 1 / n for j in range(n)] for i in range(n)]

    def times(a, b):
        return [[sum(a[i][k] * b[k][j] for k in range(n)) for j in range(n)] for i in range(n)]

    centred = [times(times(centre, k), centre) for k in kernels]

    def hsic(a, b) -> float:
        return sum(a[i][j] * b[i][j] for i in range(n) for j in range(n))

    k, own = centred
    return hsic(k, own) / math.sqrt(hsic(k, k) * hsic(own, own))


def test_cka_is_its_slow_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, generator=generator, dtype=torch.float64) + 2
    y = x[:, :2] @ torch.randn(2, 4, generator=generator, dtype=torch.float64)
    y = y + torch.randn(7, 4, generator=generator, dtype=torch.float64)
    assert linear_cka(x, y) == pytest.approx(slow_cka(x, y), abs=1e-12)
    assert 0.05 < linear_cka(x, y) < 0.95


def test_cka_does_not_see_rotation_scale_and_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 4, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))
    assert linear_cka(x, 3 * x @ turn + 5) == pytest.approx(1.0, abs=1e-6)
    assert math.isnan(linear_cka(x, torch.ones(20, 2)))


@pytest.mark.parametrize(
    ("arch", "layers"),
    [("textcnn", ["words", "pooled"]), ("bilstm", ["words", "layer 1", "layer 2", "pooled"]),
     ("han", ["words", "pooled"])],
)  # fmt: skip
def test_the_layers_of_a_model_each_text_by_itself(arch: str, layers: list[str]) -> None:
    """A text alone, without padding, has the features that it has in a batch."""
    model = tiny.model(arch).eval()
    batch = tiny.batch()
    batch = tiny.by_sentence(batch) if arch == "han" else batch
    found = features(model, batch)
    assert sorted(found) == sorted(layers)
    for row, length in enumerate(batch.mask.sum(1).tolist()):
        if arch == "han":
            continue
        words = model.embed(batch.tokens[row : row + 1, :length])
        torch.testing.assert_close(found["words"][row], words[0].mean(0))
        alone = torch.ones(1, length, dtype=torch.bool)
        torch.testing.assert_close(found["pooled"][row], model.trunk(words, alone)[0].detach())
        if arch == "bilstm":
            states = model.layers[0](words, alone)
            torch.testing.assert_close(found["layer 1"][row], states[0].mean(0).detach())


def test_the_curve_begins_at_one_and_has_a_value_an_epoch(subject) -> None:
    found = Drift(rows=50).measure(subject("bilstm"))
    assert found["rows"] == 50
    for layer, curve in found["cka"].items():
        assert len(curve) == 3, layer  # before, and two epochs
        assert curve[0] == pytest.approx(1.0, abs=1e-6)
        assert curve[-1] < 0.999


def test_kept_weights_cannot_be_watched_and_are_what_is_measured_elsewhere(subject, tmp_path) -> None:
    one = subject()
    fitted = one.fitted()
    write_weights(fitted.state_dict(), tmp_path / "w.safetensors")
    other = subject(weights=tmp_path / "w.safetensors")
    for a, b in zip(fitted.parameters(), other.fitted().parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(UserError, match="this study watches the training"):
        Drift().measure(other)
    with pytest.raises(UserError, match=r"w.safetensors: no weights of this model .* expected those of its"):
        subject("bilstm", weights=tmp_path / "w.safetensors").fitted()
