"""The gradient penalty of Section V-A on a real network.

    A  L(x + delta) - L(x) = epsilon ||g||_q + remainder,   g = dL/dx; q = 1 (sign form) or 2 (l2 form)
    C  another dropout mask k gains epsilon <g_k, u(g_0)> from the perturbation of mask 0,
       at most epsilon ||g_k||_q

Sums over texts, each with its own norm; double precision, dropout off but for C, where the pooled features of
each pass have a mask of their own. epsilon is in units of the root mean square of the word vectors; the l2
form has the length that the sign form has.

Index letters: B texts, T tokens, D vector size, U units.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.forward.attack import perturbation
from zoo.method.rates import embedding_rms

STRENGTHS = (0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625)
_RATE, _MASKS = 0.2, 8


def gradient_penalty(model: TextClassifier, batch: Batch) -> dict[str, Any]:
    """`fgsm` and `fgm`: by strength the gain over the penalty and the remainder over it; `across` masks."""
    model = copy.deepcopy(model).double().eval()
    x = model.embed(batch.tokens).detach()
    found: dict[str, Any] = {"strengths": list(STRENGTHS), "rows": len(x)}
    here, g = _losses_and_gradient(model, x, batch, None)
    rms = embedding_rms(x, batch.mask)
    size = (batch.mask.sum(1) * x.shape[2]).double().sqrt()  # (B,) of signs
    for form in ("fgsm", "fgm"):
        ratios, rests = [], []
        for strength in STRENGTHS:
            epsilon = strength * rms
            each = epsilon if form == "fgsm" else epsilon * size[:, None, None]
            delta = perturbation(g, batch.mask, each, form)
            gain = _losses(model, x + delta, batch, None).detach() - here
            penalty = epsilon * _dual(g, form) * (1 if form == "fgsm" else size)
            ratios.append(float(gain.sum() / penalty.sum()))
            rests.append(float((gain - penalty).abs().sum() / penalty.sum()))
        found[form] = {"gain": ratios, "remainder": rests, "across": _across(model, x, batch, form)}
    return found


def _across(model: TextClassifier, x: Tensor, batch: Batch, form: str) -> float:
    """Linear gain under masks k of the perturbation from mask 0, over the most that they could lose."""
    generator = torch.Generator().manual_seed(0)
    units = model.trunk(x, batch.mask).shape[1]

    def gradient() -> Tensor:
        keep = torch.rand(len(x), units, generator=generator, dtype=torch.float64) >= _RATE
        return _losses_and_gradient(model, x, batch, keep / (1 - _RATE))[1]

    first = perturbation(gradient(), batch.mask, 1.0, form)
    felt = most = 0.0
    for _ in range(_MASKS):
        own = gradient()
        felt += float((own * first).sum())
        most += float(_dual(own, form).sum())
    return felt / most


def _dual(g: Tensor, form: str) -> Tensor:
    """(B,) norm of each text's gradient that the form's steepest step climbs by."""
    flat = g.flatten(1)
    return flat.abs().sum(1) if form == "fgsm" else flat.norm(dim=1)


def _losses(model: TextClassifier, x: Tensor, batch: Batch, scale: Tensor | None) -> Tensor:
    """(B,) losses; `scale` (B, U) m / (1 - q) of the pooled features."""
    features = model.trunk(x, batch.mask)
    return F.cross_entropy(
        model.head(features if scale is None else features * scale), batch.labels, reduction="none"
    )


def _losses_and_gradient(
    model: TextClassifier, x: Tensor, batch: Batch, scale: Tensor | None
) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    losses = _losses(model, x, batch, scale)
    return losses.detach(), torch.autograd.grad(losses.sum(), x)[0]
