"""Eq. 10-14: to first order, training on perturbed inputs adds a gradient penalty; what of it can be checked.

All five equations are rebuilt, only the words around them survive:

    (10) min_theta L(x; m_0) + (1/K) sum_k max_{delta in S} L(x + delta; m_k)
    (11)   subject to equal output distributions of the K passes
    (12) L(x + delta; m_k) = L(x; m_k) + <delta, grad_x L(x; m_k)> + O(||delta||^2)
    (13) max_{delta in S} <delta, g> = eps ||g||_q         q = 1 for the sign form, 2 for the l2 form
    (14) min_theta L + L + eps ||grad_x L(x; m)||_q

What holds, for smooth activations and fixed dropout masks (A-D), and on average over masks (E, inferred):

    A  [L(x + delta) - L(x)] / (eps ||g||_q) -> 1 as eps -> 0                     `gain`, `gradient_penalty`
    B  the remainder is O(eps^2): half the eps, a quarter of it                   `remainder`
    C  a perturbation from mask m_0 gains eps <g_k, u(g_0)> under m_k, at most    `gain_across_masks`
       eps ||g_k||_q: the paper's step to a single mask takes g_k = g_0
    D  JS of two passes dz apart is (1/8) dz' (diag P - P P') dz + O(|dz|^3)      `js_second_order`
    E  E_m L(h') - L(h) = (1/2) sum_u q_u / (1 - q_u) h_u^2 d2L/dh_u^2 + ..       `dropout_penalty`

    g    gradient    (B, T, D)    dL/dx for a loss over the batch; norms are each example's own, and summed
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Floats
from .numeric import log_softmax, total
from .perturb import fgm, fgsm

NORMS = ("linf", "l2")


def steepest(gradient: ArrayLike, epsilon: float, norm: str = "linf") -> Floats:
    """The delta that attains the maximum of Eq. 13: fgsm for "linf", fgm by example for "l2". (B, T, D)."""
    attack = {"linf": fgsm, "l2": fgm}[checks.choice("norm", norm, NORMS)]
    return attack(gradient, epsilon)


def gradient_penalty(gradient: ArrayLike, epsilon: float, norm: str = "linf") -> float:
    """Eq. 13-14: eps * sum over examples of ||g_b||_q, q = 1 for "linf", 2 for "l2". (B, T, D) -> number."""
    g = checks.floats("gradient", gradient, ("B", "T", "D"))
    size = np.abs(g) if checks.choice("norm", norm, NORMS) == "linf" else np.sqrt(total(g * g, axis=(1, 2)))
    return checks.number("epsilon", epsilon, 0) * float(size.sum())


def gain(
    loss: Callable[[Floats], float], x: Floats, gradient: Floats, epsilon: float, norm: str = "linf"
) -> float:
    """L(x + delta) - L(x) for the steepest delta; its quotient with `gradient_penalty` is statement A."""
    return loss(x + steepest(gradient, epsilon, norm)) - loss(x)


def remainder(
    loss: Callable[[Floats], float], x: Floats, gradient: Floats, epsilon: float, norm: str = "linf"
) -> float:
    """What Eq. 12 leaves out at the steepest delta: gain - penalty, of order eps^2. Statement B."""
    return gain(loss, x, gradient, epsilon, norm) - gradient_penalty(gradient, epsilon, norm)


def gain_across_masks(
    gradient_k: ArrayLike, gradient_0: ArrayLike, epsilon: float, norm: str = "linf"
) -> float:
    """Statement C: first-order gain under m_k of the delta that is steepest under m_0, <g_k, delta(g_0)>.

    At most `gradient_penalty(gradient_k)`; with "l2" and one example the quotient is cos(g_k, g_0).
    """
    g_k = checks.floats("gradient_k", gradient_k, ("B", "T", "D"))
    g_0 = checks.floats("gradient_0", gradient_0, g_k.shape)
    return float(np.sum(g_k * steepest(g_0, epsilon, norm)))


def js_second_order(logits: ArrayLike, gap: ArrayLike) -> float:
    """Statement D: (1/8) dz' (diag P - P P') dz, mean over n, of two passes `gap` apart. Both (N, C)."""
    z = checks.floats("logits", logits, ("N", "C"))
    dz = checks.floats("gap", gap, z.shape)
    p: Floats = np.exp(log_softmax(z))
    variance = np.sum(p * dz * dz, axis=1) - np.sum(p * dz, axis=1) ** 2
    return float(variance.sum() / (8 * max(len(z), 1)))


def dropout_penalty(h: ArrayLike, curvature: ArrayLike, rates: ArrayLike) -> float:
    """Statement E: (1/2) sum_u q_u / (1 - q_u) h_u^2 d2L/dh_u^2. h, curvature (N, U), rates (U,)."""
    h = checks.floats("h", h, ("N", "U"))
    c = checks.floats("curvature", curvature, h.shape)
    q = checks.within("rates", rates, 0, 1, (h.shape[1],))
    return float(0.5 * np.sum(q / (1 - q) * h * h * c))


def output_curvature(logits: ArrayLike, output_weight: ArrayLike) -> Floats:
    """d2 CE / dh_u^2 where z = h W + b: variance of row u of W under P, over N. (N, C), (U, C) -> (N, U)."""
    z = checks.floats("logits", logits, ("N", "C"))
    w = checks.floats("output_weight", output_weight, ("U", z.shape[1]))
    p: Floats = np.exp(log_softmax(z))
    return (p @ (w * w).T - (p @ w.T) ** 2) / max(len(z), 1)
