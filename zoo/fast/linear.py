"""Matrix products and tanh by the faster of the ways that torch has (docs/performance.md).

On a CPU torch hands float32 products to MKL, which takes AVX-512 on Intel's processors alone: on AMD's that
have it oneDNN is the faster one, on those without it the two are alike. torch brings oneDNN along for
convolutions; the one operator of it that takes plain matrices is meant for torch's own compiler, so it is
tried once and MKL stays where it does not work. Its detour costs the more the fewer rows there are: those of
one step of a recurrent layer stay with MKL where that is fast.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from zoo.fast.shapes import fixed_shapes

FEW_ROWS = 64  # below this the product costs less than the detour
INTEL = "GenuineIntel"


@cache
def onednn_product() -> Callable[[Tensor, Tensor], Tensor] | None:
    """(N, K), (C, K) float32 -> (N, C) = a b', through oneDNN; None where this torch cannot."""
    try:
        operator = torch.ops.mkldnn._linear_pointwise

        def product(a: Tensor, b: Tensor) -> Tensor:
            result: Tensor = operator(a, b, None, "none", [], "")
            return result

        a, b = torch.arange(12.0).view(4, 3), torch.arange(6.0).view(3, 2).t()
        return product if torch.equal(product(a, b), a @ b.t()) else None
    except (AttributeError, RuntimeError):
        return None


@cache
def mkl_is_fast() -> bool:
    """Whether MKL computes here as fast as oneDNN: on Intel's processors and on those without AVX-512.

    Not where it is bounded, as by `--portable`.
    """
    fast = _vendor() == INTEL or torch.backends.cpu.get_cpu_capability() == "AVX2"
    return fast and "MKL_CBWR" not in os.environ


def mkl_by_avx2() -> bool:
    """Whether it is fast though the processor is not Intel's: its kernels round otherwise there."""
    return mkl_is_fast() and _vendor() != INTEL


def _vendor(about: str = "/proc/cpuinfo") -> str:
    """The maker of the processor as it names itself; elsewhere than on Linux and Windows empty."""
    try:
        found = re.search(r"^vendor_id\s*:\s*(\S+)", Path(about).read_text(), re.MULTILINE)
    except OSError:
        found = re.search(r"(\w+)$", platform.processor())  # Windows: "Intel64 Family 6 ..., GenuineIntel"
    return found.group(1) if found else ""


def product(a: Tensor, b: Tensor) -> Tensor:
    """(N, K), (C, K) -> (N, C) = a b'; without gradient."""
    if a.dtype == torch.float32 and a.device.type == "cpu" and a.numel() > 0:
        fast = onednn_product()
        if fast is not None:
            return fast(a, b)
    return a @ b.t()


def affine_into(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """(N, C) out = (N, D) x by (C, D) weight + (C,) bias; without gradient."""
    if mkl_is_fast():
        torch.addmm(bias, x, weight.t(), out=out)
    else:
        torch.add(product(x, weight), bias, out=out)


def cross_product(a: Tensor, b: Tensor) -> Tensor:
    """(N, C), (N, K) -> (C, K) = a' b; without gradient."""
    # The first factor is copied into rows, so let that be the smaller one.
    return product(a.t(), b.t()) if a.shape[1] <= b.shape[1] else product(b.t(), a.t()).t()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            product(gradient, weight.t()) if wanted[0] else None,
            cross_product(gradient, x) if wanted[1] else None,
            gradient.sum(0) if wanted[2] else None,
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(..., D), (C, D) weight, (C,) bias -> (..., C) = x weight' + bias."""
    rows = x.reshape(-1, x.shape[-1])
    if fixed_shapes(x) or x.dtype != torch.float32 or len(rows) < FEW_ROWS:
        return F.linear(x, weight, bias)
    result: Tensor = _Linear.apply(rows, weight, bias)
    return result.unflatten(0, x.shape[:-1])


def tanh_(x: Tensor) -> Tensor:
    """tanh in place, to 2 units in the last place of 1: torch's sigmoid is several times as fast."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = tanh_(x.clone())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.addcmul(gradient, gradient * y, y, value=-1)


def tanh(x: Tensor) -> Tensor:
    """tanh with its gradient, on a CPU as `tanh_` computes it."""
    if fixed_shapes(x):
        return torch.tanh(x)
    result: Tensor = _Tanh.apply(x)
    return result
