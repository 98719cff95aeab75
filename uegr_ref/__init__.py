"""UEGR (arXiv 2503.16550) in NumPy alone: the reference, in the order of the paper. Start at `perturb.py`."""

from __future__ import annotations

from .divergence import js, js_grad, js_pairwise, js_pairwise_grad, sym_kl, sym_kl_grad
from .dropout import (
    apply_dropout,
    apply_dropout_grad,
    drop_rates,
    dropout_mask,
    gradient_norm,
    layer_rates,
)
from .losses import (
    adversarial_loss,
    adversarial_loss_grad,
    cross_entropy,
    cross_entropy_grad,
    divergence_loss,
    divergence_loss_grad,
    total_loss,
    total_loss_grad,
)
from .mask import (
    bernoulli_mask,
    hard_keep_probability,
    keep_probability,
    masked_gradient,
    mean_inverse_keep,
    mean_keep,
    unbiased_gradient,
)
from .perturb import fgm, fgsm, perturbation, pgd, relative_epsilon, token_linf
from .saliency import (
    batch_saliency,
    ema_saliency,
    epoch_saliency,
    log_minmax_normalise,
    minmax_normalise,
    per_sample_saliency,
    rank_normalise,
)
from .support.numeric import log_softmax
from .theorem1 import (
    covariance_bound,
    data_dependent_covariance,
    enumerate_masks,
    enumerated_moments,
    two_point_batches,
    update_covariance,
    update_mean,
)

__all__ = [
    "adversarial_loss",
    "adversarial_loss_grad",
    "apply_dropout",
    "apply_dropout_grad",
    "batch_saliency",
    "bernoulli_mask",
    "covariance_bound",
    "cross_entropy",
    "cross_entropy_grad",
    "data_dependent_covariance",
    "divergence_loss",
    "divergence_loss_grad",
    "drop_rates",
    "dropout_mask",
    "ema_saliency",
    "enumerate_masks",
    "enumerated_moments",
    "epoch_saliency",
    "fgm",
    "fgsm",
    "gradient_norm",
    "hard_keep_probability",
    "js",
    "js_grad",
    "js_pairwise",
    "js_pairwise_grad",
    "keep_probability",
    "layer_rates",
    "log_minmax_normalise",
    "log_softmax",
    "masked_gradient",
    "mean_inverse_keep",
    "mean_keep",
    "minmax_normalise",
    "per_sample_saliency",
    "perturbation",
    "pgd",
    "rank_normalise",
    "relative_epsilon",
    "sym_kl",
    "sym_kl_grad",
    "token_linf",
    "total_loss",
    "total_loss_grad",
    "two_point_batches",
    "unbiased_gradient",
    "update_covariance",
    "update_mean",
]
