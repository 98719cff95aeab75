"""What happens where there is no oneDNN product, and when it is used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from zoo.fast import linear as module
from zoo.fast.linear import FEW_ROWS, linear, onednn_product


def test_a_torch_without_the_operator_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("not compiled with oneDNN")

    for operators in (SimpleNamespace(), SimpleNamespace(_linear_pointwise=broken)):
        onednn_product.cache_clear()
        monkeypatch.setattr(torch.ops, "mkldnn", operators, raising=False)
        assert onednn_product() is None
    monkeypatch.undo()
    onednn_product.cache_clear()


@pytest.mark.parametrize(
    ("rows", "dtype", "used"),
    [(FEW_ROWS, torch.float32, True), (FEW_ROWS - 1, torch.float32, False), (FEW_ROWS, torch.float64, False)],
)
def test_it_is_used_for_many_rows_in_float32(
    rows: int, dtype: torch.dtype, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    plain = module.product
    monkeypatch.setattr(module, "product", lambda a, b: calls.append(a.shape) or plain(a, b))
    linear(torch.ones(rows, 3, dtype=dtype), torch.ones(2, 3, dtype=dtype), torch.ones(2, dtype=dtype))
    assert bool(calls) == used
