"""Every choice of the method is a field here, so that an ablation is data. The defaults are UEGR."""

from __future__ import annotations

from typing import NamedTuple

from .divergence import DIVERGENCES
from .dropout import KINDS
from .losses import REDUCTIONS
from .model import POOLINGS
from .perturb import ATTACKS, SCOPES
from .saliency import NORMALISERS
from .support.contract import Spec, one_of


class Settings(NamedTuple):
    """The inputs of Algorithm 1 and its options."""

    # --- forward stage, Eq. 1-6
    adversarial: int = 2  # K, the number of passes on the perturbed input
    divergence: str = "js"  # Eq. 4
    alpha: float = 0.5  # coefficient of the divergence, Eq. 6
    divergence_reduction: str = "mean"  # over the batch
    adversarial_reduction: str = "mean"  # over the K passes, Eq. 3
    attack: str = "fgm"  # Eq. 2
    attack_scope: str = "example"  # over what fgm takes its norm
    attack_steps: int = 1  # > 1 is PGD, with steps of 1.5 epsilon / attack_steps
    epsilon: float = 0.5  # for fgm the norm of an example's delta, for the others the size of an entry
    epsilon_unit: str = "norm"  # epsilon is a share of a word vector's norm, or of the RMS of its entries

    # --- adaptive dropout
    dropout: str = "mean"  # a kind of `drop_rates`; "layer", one rate a site; or "none"
    base_rates: tuple[float, ...] = (0.2,)  # of the clean pass, then of pass 1 .. K; the last one repeats
    gamma: float = 1.0
    q_min: float = 0.0
    q_max: float = 0.95
    statistics: str = "same_step"  # norms that pass 1 .. K use; or their running mean, or the last step's
    statistics_decay: float = 0.9  # of the running mean of norms that m_0 is drawn with
    clean_dropout: str = "adaptive"  # of the clean pass

    # --- backward stage, Eq. 7-9
    update: str = "selective"
    keep: str = "saliency"  # or constant: the control p = keep_constant for every entry
    keep_constant: float = 0.5
    saliency: str = "batch"  # estimator of Eq. 7
    saliency_decay: float = 0.9  # of saliency = ema
    normalise: str = "rank"  # Eq. 8
    normalise_scope: str = "global"  # all parameters jointly, or each tensor for itself
    threshold: float = 0.6  # a of Eq. 9
    sharpness: float = 1.0  # b of Eq. 9
    p_floor: float = 0.0
    rescale: bool = True  # by 1/p
    resample: str = "step"  # when a new mask is drawn
    mask_on: str = "update"  # the optimizer's, or its first moment alone, or the gradient it is handed

    # --- training
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    adam_epsilon: float = 1e-8
    warmup: float = 0.06  # share of the steps
    steps: int = 0  # of the whole training, for the schedule; 0: a constant rate
    epoch_steps: int = 0  # of an epoch, for what changes once an epoch; 0: one endless epoch
    pooling: str = "mean"

    def base_rate(self, k: int) -> float:
        """r_k, the base rate of pass k; pass 0 is the clean one."""
        return self.base_rates[min(k, len(self.base_rates) - 1)]


SETTINGS: dict[str, Spec] = {
    "adversarial": "natural",
    "divergence": one_of(DIVERGENCES),
    "alpha": "number in [0, inf)",
    "divergence_reduction": one_of(REDUCTIONS),
    "adversarial_reduction": one_of(REDUCTIONS),
    "attack": one_of(ATTACKS),
    "attack_scope": one_of(SCOPES),
    "attack_steps": "count",
    "epsilon": "number in [0, inf)",
    "epsilon_unit": "one of norm, rms, absolute",
    "dropout": one_of((*KINDS, "layer", "none")),
    "q_max": "number in [0, 1)",
    "q_min": "number in [0, q_max]",
    "base_rates": "some number in [q_min, q_max]",
    "gamma": "number in [0, inf)",
    "statistics": "one of same_step, ema, previous_step",
    "statistics_decay": "number in [0, 1]",
    "clean_dropout": "one of adaptive, uniform, off",
    "update": "one of all, selective",
    "keep": "one of saliency, constant",
    "keep_constant": "number in (0, 1]",
    "saliency": "one of batch, ema, epoch, per_sample",
    "saliency_decay": "number in [0, 1]",
    "normalise": one_of(NORMALISERS),
    "normalise_scope": "one of global, tensor",
    "threshold": "number in [0, 1]",
    "sharpness": "number in (0, inf)",
    "p_floor": "number in [0, 1]",
    "rescale": "flag",
    "resample": "one of step, epoch",
    "mask_on": "one of gradient, update, first_moment",
    "optimizer": "one of adamw, sgd",
    "learning_rate": "number in [0, inf)",
    "weight_decay": "number in [0, inf)",
    "beta1": "number in [0, 1)",
    "beta2": "number in [0, 1)",
    "adam_epsilon": "number in [0, inf)",
    "warmup": "number in [0, 1]",
    "steps": "natural",
    "epoch_steps": "natural",
    "pooling": one_of(POOLINGS),
}
