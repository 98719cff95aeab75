"""Steps under given masks, by the reference: what the second picture draws."""

from __future__ import annotations

import numpy as np

from uegr_ref import unbiased_gradient
from uegr_ref.optimizer import adamw, no_moments


def steps_of(g, p, masks, rule: str, rescale: bool) -> np.ndarray:
    """Each step under its mask, by the reference: what is subtracted at learning rate 1."""
    theta, moments, steps = {"w": np.zeros_like(g)}, no_moments({"w": np.zeros_like(g)}), []
    for m in masks:
        masked = unbiased_gradient(g, m, p) if rescale else np.where(m, g, 0)
        step = masked
        if rule != "sgd":
            handed = masked if rule == "adam" else g
            after, moments = adamw(theta, {"w": handed}, moments, 1.0, weight_decay=0.0)
            step = -after["w"]
            if rule == "adam_update":
                step = unbiased_gradient(step, m, p) if rescale else np.where(m, step, 0)
        steps.append(step)
    return np.array(steps)
