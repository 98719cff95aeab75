"""The methods of Table IV as rows of one table of settings (an ablation is data).

    recipe       clean  adversarial  divergence  dropout   update      Table IV
    standard       1        0           none      none      all        w/o Dropout
    dropout        1        0           none      uniform   all        Dropout
    at             1        1           none      uniform   all        AT
    r_drop         2        0          sym_kl     uniform   all        R-Drop
    r_at           1        2          sym_kl     uniform   all        R-AT
    r_at_su        1        2          sym_kl     uniform   selective  R-AT-SU
    uegr           1        2            js       mean      selective  UEGR

One training step (`zoo.method.step`) reads such a row. Every choice that the paper leaves open is a
field below, with the default that docs/decisions.md argues for; equation numbers are the paper's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.core.errors import UserError
from zoo.core.options import lookup, one_of, parse_setting

CHOICES: dict[str, tuple[str, ...]] = {
    "step": ("bi_stage", "freelb"),
    "divergence": ("none", "js", "js_pairwise", "sym_kl"),
    "divergence_reduction": ("mean", "sum"),
    "adversarial_reduction": ("mean", "sum"),
    "attack": ("fgsm", "fgm", "token_linf"),
    "attack_scope": ("example", "token", "batch", "table"),
    "epsilon_unit": ("rms", "absolute"),
    "dropout": ("none", "uniform", "mean", "rank", "logistic", "inverse", "layer"),
    "statistic": ("gradient", "attribution"),
    "statistic_scope": ("batch", "example"),
    "statistics": ("same_step", "ema", "previous_step"),
    "clean_dropout": ("adaptive", "uniform", "off"),
    "update": ("all", "selective"),
    "keep": ("saliency", "constant"),
    "saliency": ("batch", "ema", "epoch", "per_sample"),
    "normalise": ("rank", "minmax", "log_minmax"),
    "normalise_scope": ("global", "tensor"),
    "resample": ("step", "epoch"),
    "update_scope": ("all", "encoder"),
    "mask_on": ("gradient", "update"),
}


@dataclass(frozen=True)
class Recipe:
    """One method: how many passes, what ties them, which dropout, which update."""

    # --- the four choices of Table IV -------------------------------------------------------------
    clean: int = 1  # passes on the clean input
    adversarial: int = 0  # K passes on the perturbed input
    divergence: str = "none"  # Eq. 4, over the adversarial passes (over the clean ones if there are none)
    dropout: str = "none"  # kind of drop rates at the sites
    update: str = "all"  # all parameters, or the selective update of Eq. 7-9
    step: str = "bi_stage"  # or "freelb", whose inner loop does not fit a row

    # --- forward stage, Eq. 1-6 -------------------------------------------------------------------
    alpha: float = 0.5  # coefficient of the divergence (Eq. 6)
    divergence_reduction: str = "mean"  # over the batch; the ancestors' code sums (a factor B)
    adversarial_reduction: str = "mean"  # over the K passes (Eq. 3)
    attack: str = "fgsm"  # Eq. 2
    attack_scope: str = "example"  # over what fgm takes its norm
    attack_steps: int = 1  # > 1 is PGD: the attack repeated with step epsilon / steps * 1.5
    epsilon: float = 0.1
    epsilon_unit: str = "rms"  # of the batch's word vectors, so that one value serves all vectors

    # --- adaptive dropout (uegr.md section 2) -----------------------------------------------------
    base_rates: tuple[float, ...] = (0.2,)  # of the clean pass, then of pass 1..K; the last one repeats
    sites: tuple[str, ...] = ()  # names of the model's sites to use; empty = the model's default ones
    gamma: float = 1.0  # exponent of the statistic; 0 is ordinary dropout
    q_min: float = 0.0
    q_max: float = 0.95
    statistic: str = "gradient"  # or attribution, |h * gradient|
    statistic_scope: str = "batch"  # one statistic a unit, or one a unit and example
    statistics: str = "same_step"  # what passes 1..K use; the clean pass always uses earlier steps
    statistics_decay: float = 0.9  # of the exponential moving average
    clean_dropout: str = "adaptive"  # mask of the clean pass

    # --- backward stage, Eq. 7-9 ------------------------------------------------------------------
    keep: str = "saliency"  # or constant: the control p = keep_constant for every entry
    keep_constant: float = 0.5
    saliency: str = "batch"  # estimator of Eq. 7
    saliency_decay: float = 0.9  # of saliency = ema
    normalise: str = "rank"  # Eq. 8, exact zeros left out
    normalise_scope: str = "global"
    threshold: float = 0.6  # a of Eq. 9 ("masking ratio")
    sharpness: float = 1.0  # b of Eq. 9 ("smoothness")
    p_floor: float = 0.0  # sampled and rescaled with the same floored p, so still unbiased
    rescale: bool = True  # divide by p (Theorem 1)
    resample: str = "step"
    update_scope: str = "all"  # encoder: word vectors and classifier are always updated
    mask_on: str = "gradient"  # or on the optimizer's update

    # --- FreeLB only ------------------------------------------------------------------------------
    ascent_steps: int = 2
    ascent_rate: float = 0.1
    initial_magnitude: float = 0.1
    maximum_norm: float = 0.3

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (got := getattr(self, name)) not in choices:
                raise UserError(f"recipe setting {name}={got!r}: expected {one_of(got, choices)}")
        bounds = {
            "clean": (1, 2), "adversarial": (0, 64), "attack_steps": (1, 100), "alpha": (0, math.inf),
            "epsilon": (0, math.inf), "gamma": (0, math.inf), "q_min": (0, 0.99), "q_max": (0.01, 0.99),
            "statistics_decay": (0, 1), "saliency_decay": (0, 1), "keep_constant": (1e-9, 1),
            "threshold": (0, 1), "sharpness": (0, 40), "p_floor": (0, 1), "ascent_steps": (1, 100),
            "ascent_rate": (0, math.inf), "initial_magnitude": (0, math.inf), "maximum_norm": (0, math.inf),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high or (isinstance(value, float) and math.isinf(value)):
                raise UserError(f"recipe setting {name}={value}: expected a number from {low} to {high}")
        if not self.base_rates or not all(0 <= rate < 1 for rate in self.base_rates):
            raise UserError(f"recipe setting base_rates={self.base_rates}: expected drop rates in [0, 1)")
        if self.mask_on == "update" and self.saliency == "per_sample":
            raise UserError("recipe setting mask_on=update: only with saliency=batch, ema or epoch")

    def base_rate(self, k: int) -> float:
        """Base drop rate of pass k (0 = clean)."""
        return self.base_rates[min(k, len(self.base_rates) - 1)]


_UNIFORM: dict[str, Any] = {"dropout": "uniform"}
_R_AT: dict[str, Any] = {"adversarial": 2, "divergence": "sym_kl", **_UNIFORM}

RECIPES: dict[str, Recipe] = {
    "standard": Recipe(),
    "dropout": Recipe(**_UNIFORM),
    "at": Recipe(adversarial=1, **_UNIFORM),
    "r_drop": Recipe(clean=2, divergence="sym_kl", **_UNIFORM),
    "r_at": Recipe(**_R_AT),
    "r_at_su": Recipe(**_R_AT, update="selective"),
    "uegr": Recipe(adversarial=2, divergence="js", dropout="mean", update="selective"),
    "freelb": Recipe(step="freelb", **_UNIFORM),
    # Controls: what is left of UEGR when one part is taken out, or replaced by a blind one.
    "uegr_no_mask": Recipe(adversarial=2, divergence="js", dropout="mean"),
    "uegr_blind_mask": Recipe(
        adversarial=2, divergence="js", dropout="mean", update="selective", keep="constant"
    ),
    "uegr_uniform": Recipe(adversarial=2, divergence="js", dropout="uniform", update="selective"),
    "uegr_no_js": Recipe(adversarial=2, dropout="mean", update="selective"),
}

TABLE_IV = ("standard", "dropout", "at", "r_drop", "r_at", "r_at_su", "uegr")

# Presets change settings of the chosen recipes. A divergence summed over the batch of 16 weighs 16 times
# the mean: the ancestors' numbers only make sense with their reduction.
RECIPE_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "rat_code": {
        "attack": "fgm", "attack_scope": "table", "epsilon": 1.0, "epsilon_unit": "absolute",
        "divergence": "sym_kl", "divergence_reduction": "sum", "alpha": 0.5, "dropout": "uniform",
    },
    "roast_code": {
        "attack": "token_linf", "epsilon": 0.1, "epsilon_unit": "absolute",
        "divergence": "sym_kl", "divergence_reduction": "sum", "alpha": 0.01, "dropout": "uniform",
        "saliency": "epoch", "resample": "epoch", "update_scope": "encoder",
        "threshold": 0.9, "sharpness": 10.0,
    },
}  # fmt: skip

# A preset may change how a part works, never switch on a part that the row leaves out.
_SWITCHED_OFF = {"divergence": "none", "dropout": "none"}


def resolve_recipe(name: str, preset: str = "paper", overrides: Mapping[str, str] | None = None) -> Recipe:
    """The recipe `name` under `preset`, with `overrides` (setting name -> text as typed by a user).

    Raises:
        UserError: unknown recipe, preset, setting or value; the message names the near misses.
    """
    recipe = lookup(RECIPES, name, "recipe")
    changes = dict(lookup(RECIPE_PRESETS, preset, "recipe preset"))
    for field, off in _SWITCHED_OFF.items():
        if getattr(recipe, field) == off:
            changes.pop(field, None)
    for key, text in (overrides or {}).items():
        changes[key] = parse_setting(Recipe, key, text)
    return dataclasses.replace(recipe, **changes)
