"""Accuracy under the attack that the methods train with: FGSM on the word vectors of the test texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.forward.attack import perturbation
from zoo.method.forward.divergence import cross_entropy
from zoo.method.rates import embedding_rms
from zoo.training.ensemble import Ensemble

ATTACK: dict[str, Any] = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms"}
MOST_ROWS = 1_000  # of the test part: an estimate beside the accuracy, at a small share of a run's time


def attacked_logits(model: TextClassifier | Ensemble, batch: Batch) -> Tensor:
    """(B, C) logits after one FGSM step against the texts' own loss; leaves the model in evaluation mode.

    The same strength for every recipe, whatever it trained with: epsilon 0.1 in units of the RMS of the
    model's word vectors. One step from the clean point, so an upper bound of the accuracy under attack.
    """
    model.eval()
    # cuDNN's recurrent layers give no gradient in evaluation mode.
    with without_cudnn(), constant(model):
        x = model.embed(batch.tokens).detach().requires_grad_()
        loss = cross_entropy(model.classify(x, batch.mask)[None], batch.labels).sum()
        (gradient,) = torch.autograd.grad(loss, x)
        with torch.inference_mode():
            return model.classify(x + shift(gradient, x, batch.mask), batch.mask)


def shift(gradient: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """What ATTACK adds to the word vectors x (B, T, D) where the loss has this gradient; mask (B, T)."""
    return perturbation(gradient, mask, ATTACK["epsilon"] * embedding_rms(x, mask), ATTACK["attack"])


def attacked_rows(count: int) -> np.ndarray:
    """(n,) the numbers of the attacked rows: a seeded sample of `count`, the same for every model."""
    return np.sort(np.random.default_rng(0).permutation(count)[:MOST_ROWS])


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Without cuDNN; what else is set of it, TF32 above all, stays."""
    with torch.backends.cudnn.flags(enabled=False, allow_tf32=torch.backends.cudnn.allow_tf32):
        yield


@contextmanager
def constant(model: nn.Module) -> Iterator[None]:
    """Parameters without gradients, which nobody reads here and which cost a third of the attack."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
