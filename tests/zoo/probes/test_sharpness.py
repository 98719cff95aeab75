"""The top eigenvalue against dense Hessians, and random directions by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from zoo.fast.convolution import conv1d_max_over_time
from zoo.probes.sharpness import Sharpness, filter_normalised, rise, top_eigenvalue
from zoo.probes.subject import loss_of


class Bowl(nn.Module):
    """1/2 t' A t with chosen eigenvalues of A."""

    def __init__(self, eigenvalues: list[float]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        size = len(eigenvalues)
        turn, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
        self.a = turn @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ turn.T
        self.t = nn.Parameter(torch.randn(size, generator=generator, dtype=torch.float64))

    def loss(self) -> Tensor:
        return 0.5 * self.t @ self.a @ self.t


@pytest.mark.parametrize("eigenvalues", [[5.0, 1.0, -2.0], [-5.0, 2.0, 1.0], [-3.0, -1.0, -0.5]])
def test_the_largest_eigenvalue_is_not_the_one_of_largest_size(eigenvalues: list[float]) -> None:
    bowl = Bowl(eigenvalues)
    before = bowl.t.detach().clone()
    found, _ = top_eigenvalue(bowl, bowl.loss, 300, 1e-9)
    assert found == pytest.approx(max(eigenvalues), abs=1e-4)
    assert torch.equal(before, bowl.t)


def test_the_top_eigenvalue_is_that_of_the_dense_hessian_of_a_small_textcnn() -> None:
    """The dense one by autograd twice through the textbook's convolution, over one flat vector."""
    model, batch = tiny.model("textcnn").eval(), tiny.batch((5, 3, 7))
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split([shape.numel() for shape in shapes])
        w = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        x = w["embedding.weight"][batch.tokens] * batch.mask[:, :, None]
        pooled = []
        for i, width in enumerate(model.widths):
            kernel, bias = w[f"convolutions.{i}.weight"], w[f"convolutions.{i}.bias"]
            windows = (batch.mask.sum(1) - width + 1).clamp_min(1)
            pooled.append(conv1d_max_over_time(x, kernel, bias, windows))
        return F.cross_entropy(
            torch.cat(pooled, 1) @ w["classifier.weight"].T + w["classifier.bias"], batch.labels
        )

    torch.testing.assert_close(loss(flat), loss_of(model, batch).detach())
    hessian = torch.autograd.functional.hessian(loss, flat)
    wanted = float(torch.linalg.eigvalsh(hessian)[-1])
    found, taken = top_eigenvalue(model, lambda: loss_of(model, batch), 200, 1e-7)
    assert found == pytest.approx(wanted, rel=1e-3)
    assert taken < 200


def test_a_direction_has_the_lengths_of_the_filters() -> None:
    model = tiny.model("textcnn")
    for p, d in zip(
        model.parameters(), filter_normalised(model, torch.Generator().manual_seed(0)), strict=True
    ):
        if p.dim() < 2:
            assert not d.any()
            continue
        for own, other in zip(p.detach(), d, strict=True):
            assert float(other.norm()) == pytest.approx(float(own.norm()), abs=1e-12)


def test_the_rise_is_that_of_directions_by_hand_and_the_weights_are_put_back() -> None:
    model, batch = tiny.model("bilstm").eval(), tiny.batch()
    before = [p.detach().clone() for p in model.parameters()]
    found = rise(model, batch, (0.3, 1.0), 2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    generator, wanted = torch.Generator().manual_seed(0), [0.0, 0.0]
    here = float(loss_of(model, batch).detach())
    for _ in range(2):
        direction = filter_normalised(model, generator)
        for i, radius in enumerate((0.3, 1.0)):
            for sign in (1, -1):
                away = tiny.model("bilstm").eval()
                with torch.no_grad():
                    for p, old, d in zip(away.parameters(), before, direction, strict=True):
                        p.copy_(old + sign * radius * d)
                wanted[i] += (float(loss_of(away, batch).detach()) - here) / 4
    assert found == pytest.approx(wanted, abs=1e-12)


def test_the_probe_gives_all_of_it(subject) -> None:
    found = Sharpness(rows=30, directions=2, radii=(0.5,), iterations=5).measure(subject())
    assert found["iterations"] <= 10
    assert found["top"] > 0
    assert found["loss"] > 0
    assert len(found["rise"]) == 1
    assert found["gradient"] > 0
