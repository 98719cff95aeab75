"""What happens where there is no oneDNN product, and when it is used."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from zoo.fast import linear as module
from zoo.fast.linear import FEW_ROWS, affine_into, linear, mkl_by_avx2, mkl_is_fast, onednn_product
from zoo.training.environment import machine


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


@pytest.mark.parametrize(
    ("vendor", "vectors", "bounded", "fast", "other"),
    [
        ("GenuineIntel", "AVX512", "", True, False),
        ("GenuineIntel", "AVX2", "", True, False),
        ("GenuineIntel", "AVX2", "COMPATIBLE", False, False),
        ("AuthenticAMD", "AVX512", "", False, False),
        ("AuthenticAMD", "AVX2", "", True, True),
        ("AuthenticAMD", "AVX2", "COMPATIBLE", False, False),
        ("", "DEFAULT", "", False, False),
    ],
)
def test_where_mkl_is_taken_for_fast(
    vendor: str, vectors: str, bounded: str, fast: bool, other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    monkeypatch.setenv("MKL_CBWR", bounded) if bounded else monkeypatch.delenv("MKL_CBWR", raising=False)
    mkl_is_fast.cache_clear()
    try:
        assert (mkl_is_fast(), mkl_by_avx2()) == (fast, other)
        assert ("not Intel's MKL" in machine(torch.device("cpu")).fast_paths) is other
    finally:
        mkl_is_fast.cache_clear()


def test_who_made_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text("processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: GenuineIntel's rival\n")
    assert module._vendor(str(about)) == "AuthenticAMD"
    about.write_text("processor : 0\nCPU implementer : 0x41\n")
    assert module._vendor(str(about)) == ""
    name = "Intel64 Family 6 Model 143 Stepping 8, GenuineIntel"
    for said, maker in ((name, "GenuineIntel"), ("arm", "arm"), ("", "")):
        monkeypatch.setattr(module.platform, "processor", lambda said=said: said)
        assert module._vendor(str(tmp_path / "none")) == maker


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("rows", [3, FEW_ROWS])
def test_an_affine_map_into_its_place(rows: int, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mkl_is_fast", lambda: fast)
    x, weight, bias = torch.randn(rows, 5), torch.randn(4, 5), torch.randn(4)
    out = torch.empty(2, rows, 4)
    affine_into(out[1], x, weight, bias)
    torch.testing.assert_close(out[1].double(), x.double() @ weight.double().t() + bias, rtol=1e-5, atol=1e-5)
