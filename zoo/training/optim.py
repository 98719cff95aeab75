"""AdamW with linear warm-up and linear decay."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.training.settings import TrainSettings


def make_optimizer(
    model: nn.Module, settings: TrainSettings, rate: Tensor | None = None, stacked: bool = False
) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, none on biases and other vectors.

    Args:
        rate: scalar on the model's device that holds the learning rate, for steps that a GPU replays.
        stacked: the parameters are those of several models, one axis more.
    """
    most = 2 if stacked else 1
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > most]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() <= most]
    return torch.optim.AdamW(
        [
            # What a schedule starts from; set here since a recorded step has a schedule of its own.
            {"params": matrices, "weight_decay": settings.weight_decay, "initial_lr": settings.learning_rate},
            {"params": vectors, "weight_decay": 0.0, "initial_lr": settings.learning_rate},
        ],
        lr=settings.learning_rate if rate is None else rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.adam_epsilon,
        fused=True,  # one kernel over all tensors (docs/performance.md)
        capturable=rate is not None and rate.device.type == "cuda",
    )


def device_schedule(settings: TrainSettings, steps: int) -> Tensor:
    """(steps,) the learning rate of every step of a run, as `make_schedule` sets it."""
    factors = [learning_rate_factor(step, steps, settings.warmup) for step in range(steps)]
    return settings.learning_rate * torch.tensor(factors, dtype=torch.float64)


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate in step 0 .. steps - 1: up over warmup * steps, then down to 0."""
    rising = max(1, math.ceil(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising + 1)


def make_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule as a torch scheduler, stepped once after each training step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: learning_rate_factor(s, steps, warmup))
