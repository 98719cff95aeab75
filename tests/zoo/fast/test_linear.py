"""Products through oneDNN against torch's own, and what happens where there is no oneDNN."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from zoo.fast.linear import cross_product, linear, onednn_product, product, tanh, tanh_
from zoo.fast import linear as module


@pytest.fixture(params=["oneDNN", "without"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without":
        monkeypatch.setattr(module, "onednn_product", lambda: None)
    elif onednn_product() is None:
        pytest.skip("this torch has no oneDNN product for plain matrices")
    return request.param


@pytest.mark.parametrize("shape", [(200, 7), (5, 40, 7), (3, 7), (0, 7), (64, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_is_torchs_linear(path: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(*s, dtype=dtype, requires_grad=True) for s in (shape, (4, 7), (4,))]
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    ours, theirs = linear(*inputs), F.linear(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    weights = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad(ours, inputs, weights), torch.autograd.grad(theirs, inputs, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=10 * tolerance, atol=10 * tolerance)


def test_products_of_transposed_and_strided_matrices(path: str) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(9, 5), torch.randn(7, 5)
    torch.testing.assert_close(product(a, b), a @ b.t())
    torch.testing.assert_close(
        product(a.t(), torch.randn(3, 9).fill_(2.0)), 2 * a.t().sum(1, keepdim=True).expand(-1, 3)
    )
    torch.testing.assert_close(product(a[:, 1:4], b[:, 1:4]), a[:, 1:4] @ b[:, 1:4].t())
    c = torch.randn(9, 6)
    torch.testing.assert_close(cross_product(a, c), a.t() @ c)
    torch.testing.assert_close(cross_product(c, a), c.t() @ a)


def test_a_torch_without_the_operator_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("not compiled with oneDNN")

    for operators in (SimpleNamespace(), SimpleNamespace(_linear_pointwise=broken)):
        onednn_product.cache_clear()
        monkeypatch.setattr(torch.ops, "mkldnn", operators, raising=False)
        assert onednn_product() is None
    monkeypatch.undo()
    onednn_product.cache_clear()


def test_tanh() -> None:
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([0.0, 1e-30, 200.0, -200.0])])
    torch.testing.assert_close(tanh_(x.clone()), torch.tanh(x), rtol=0, atol=2.4e-7)
    torch.testing.assert_close(tanh_(x.double()), torch.tanh(x.double()), rtol=0, atol=5e-16)


def test_the_gradient_of_tanh() -> None:
    x = torch.linspace(-9, 9, 301, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(301, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad(f(x), x, weights)[0] for f in (tanh, torch.tanh))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
