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

from .perturb import fgm, fgsm
from .support.checks import Floats
from .support.contract import contract, one_of
from .support.numeric import log_softmax, sum_over

NORMS = ("linf", "l2")


@contract(gradient="floats (B, T, D)", epsilon="number in [0, inf)", norm=one_of(NORMS))
def steepest(gradient: Floats, epsilon: float, norm: str = "linf") -> Floats:
    """The delta that attains the maximum of Eq. 13: fgsm for "linf", fgm by example for "l2". (B, T, D)."""
    return {"linf": fgsm, "l2": fgm}[norm](gradient, epsilon)


@contract(gradient="floats (B, T, D)", epsilon="number in [0, inf)", norm=one_of(NORMS))
def gradient_penalty(gradient: Floats, epsilon: float, norm: str = "linf") -> float:
    """Eq. 13-14: eps * sum over examples of ||g_b||_q, q = 1 for "linf", 2 for "l2". (B, T, D) -> number."""
    size = np.abs(gradient) if norm == "linf" else np.sqrt(sum_over(gradient * gradient, axis=(1, 2)))
    return epsilon * float(size.sum())


GAIN = {
    "loss": "function",
    "x": "floats (B, T, D)",
    "gradient": "floats (B, T, D)",
    "epsilon": "number in [0, inf)",
    "norm": one_of(NORMS),
}


@contract(**GAIN)
def gain(
    loss: Callable[[Floats], float], x: Floats, gradient: Floats, epsilon: float, norm: str = "linf"
) -> float:
    """L(x + delta) - L(x) for the steepest delta; its quotient with `gradient_penalty` is statement A."""
    return loss(x + steepest(gradient, epsilon, norm)) - loss(x)


@contract(**GAIN)
def remainder(
    loss: Callable[[Floats], float], x: Floats, gradient: Floats, epsilon: float, norm: str = "linf"
) -> float:
    """What Eq. 12 leaves out at the steepest delta: gain - penalty, of order eps^2. Statement B."""
    return gain(loss, x, gradient, epsilon, norm) - gradient_penalty(gradient, epsilon, norm)


@contract(
    gradient_k="floats (B, T, D)",
    gradient_0="floats (B, T, D)",
    epsilon="number in [0, inf)",
    norm=one_of(NORMS),
)
def gain_across_masks(gradient_k: Floats, gradient_0: Floats, epsilon: float, norm: str = "linf") -> float:
    """Statement C: first-order gain under m_k of the delta that is steepest under m_0, <g_k, delta(g_0)>.

    At most `gradient_penalty(gradient_k)`; with "l2" and one example the quotient is cos(g_k, g_0).
    """
    return float(np.sum(gradient_k * steepest(gradient_0, epsilon, norm)))


@contract(logits="floats (N, C > 0)", gap="floats (N, C)")
def js_second_order(logits: Floats, gap: Floats) -> float:
    """Statement D: (1/8) dz' (diag P - P P') dz, mean over n, of two passes `gap` apart. Both (N, C)."""
    p: Floats = np.exp(log_softmax(logits))
    variance = np.sum(p * gap * gap, axis=1) - np.sum(p * gap, axis=1) ** 2
    return float(variance.sum() / (8 * max(len(logits), 1)))


@contract(h="floats (N, U)", curvature="floats (N, U)", rates="floats (U) in [0, 1)")
def dropout_penalty(h: Floats, curvature: Floats, rates: Floats) -> float:
    """Statement E: (1/2) sum_u q_u / (1 - q_u) h_u^2 d2L/dh_u^2. h, curvature (N, U), rates (U,)."""
    return float(0.5 * np.sum(rates / (1 - rates) * h * h * curvature))


@contract(logits="floats (N, C > 0)", output_weight="floats (U, C)")
def output_curvature(logits: Floats, output_weight: Floats) -> Floats:
    """d2 CE / dh_u^2 where z = h W + b: variance of row u of W under P, over N. (N, C), (U, C) -> (N, U)."""
    p: Floats = np.exp(log_softmax(logits))
    w = output_weight
    return (p @ (w * w).T - (p @ w.T) ** 2) / max(len(logits), 1)
