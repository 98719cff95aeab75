"""Squared gradients of single examples: the slow, exact estimator of Eq. 7 (saliency = per_sample)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.method.trainee import Trainee


def squares_of_examples(trainee: Trainee, losses: Tensor) -> list[Tensor]:
    """(1/B) sum_b g_b^2 for every selected parameter that has a gradient, from the B example losses.

    One backward pass an example over the graph of the step.
    """
    parameters = [p for p in trainee.selected if p.grad is not None]
    squares = [torch.zeros_like(p) for p in parameters]
    for loss in losses:
        grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        for square, gradient in zip(squares, grads, strict=True):
            if gradient is not None:
                square.addcmul_(gradient, gradient, value=1 / len(losses))
    return squares
