"""Losses and divergences by what the labels are, for logits (K, B, C).

    labels              logits      loss of an example                  divergence of the K passes
    whole (B,)          C > 1       cross-entropy                       the recipe's, over the C classes
    float (B,) (B, 1)   C = 1       (s - y)^2                           mean_k (s_k - mean s)^2
    float (B, C), 0/1   C > 1       mean over C of binary CE            the recipe's, Bernoulli, mean over C

One output has no distribution to compare. Of two normal ones of variance 1 the JS is half the squared
distance to their mean up to higher orders, and half of (s - y)^2 is the negative log-likelihood: so the mean
squared distance is to the squared error what JS is to cross-entropy.

Where a model of transformers says `problem_type="multi_label_classification"`, one output is one label of 0
and 1, as it is there, and the last row holds for C = 1 too.

Float labels (B, C) may mean several numbers or soft classes just as well, which no type tells: they are
refused unless each is 0 or 1.

Index letters: K passes, B examples, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.core.errors import UserError
from zoo.method.forward.divergence import DIVERGENCES
from zoo.method.forward.objective import Objective

Loss = Callable[[Tensor, Tensor], Tensor]


def wide(x: Tensor) -> Tensor:
    """In float32 at least: a divergence of logits in 16 bits may come out negative."""
    return x if x.dtype.itemsize >= 4 else x.float()


class Labelled(Objective):
    """Classes, one number, or several labels at once, as the labels say.

    Args:
        label_smoothing: of cross-entropy, in [0, 1).
        class_weights: (C,) of cross-entropy; the mean is over weights, as in torch.
        loss: in place of all these: logits (R, C), labels (R, ...) -> (R,), or the mean as a scalar.
        coins: whether float labels (B, 1) beside one output are 0 and 1, not a number.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        loss: Loss | None = None,
        coins: bool = False,
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing={label_smoothing}: expected a number in [0, 1)")
        if loss is not None and (label_smoothing or class_weights is not None):
            raise UserError("loss= with label_smoothing or class_weights: expected one of them")
        self.label_smoothing, self.class_weights, self.loss = label_smoothing, class_weights, loss
        self.coins = coins
        self._looked = False  # whether labels were looked at

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(K, B, C), labels -> (K, B).

        Raises:
            UserError: labels that none of the three fits, or of several labels one that is not 0 or 1.
        """
        passes, rows, outputs = logits.shape
        logits = wide(logits)
        if self.loss is not None:
            every = labels.repeat(passes, *[1] * (labels.dim() - 1))
            own = self.loss(logits.flatten(0, 1), every)
            if own.dim() > 0 and own.shape != (passes * rows,):
                raise UserError(f"loss= gave {tuple(own.shape)}: expected ({passes * rows},) or a scalar")
            return own.expand(passes, rows) if own.dim() == 0 else own.view(passes, rows)
        kind = kind_of(labels, rows, outputs, self.coins)
        if kind != "classes" and (self.label_smoothing or self.class_weights is not None):
            raise UserError(f"label_smoothing and class_weights beside {kind}: they are for classes alone")
        if kind == "regression":
            return (logits.squeeze(-1) - labels.view(-1).to(logits)).square()
        if kind == "several labels":
            self._check_coins(labels)
            wanted = labels.to(logits).expand_as(logits)
            return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(-1)
        return self._cross_entropy(logits, labels.long())

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        passes, rows, outputs = logits.shape
        if labels.device.type == "cpu" and bool((labels < 0).any() or (labels >= outputs).any()):
            found = f"{int(labels.min())} to {int(labels.max())}"
            raise UserError(
                f"labels from {found}: expected 0 to {outputs - 1}, as the model has {outputs} logits"
            )
        weights = self.class_weights
        if weights is not None:
            if weights.shape != (outputs,):
                raise UserError(f"class_weights of shape {tuple(weights.shape)}: expected ({outputs},)")
            weights = weights.to(logits)
        own = F.cross_entropy(
            logits.flatten(0, 1), labels.repeat(passes), weights, reduction="none",
            label_smoothing=self.label_smoothing,
        ).view(passes, rows)  # fmt: skip
        return own if weights is None else own * (rows / weights[labels].sum())

    def divergence(self, kind: str, logits: Tensor, labels: Tensor) -> Tensor:
        """(K, B, C) of K > 1 passes -> (B,).

        Raises:
            UserError: float labels (B, C) that are not 0 or 1, beside a loss of one's own.
        """
        logits = wide(logits)
        if logits.shape[-1] == 1 and not self.coins:
            return (logits - logits.mean(0)).square().mean(0).squeeze(-1)
        if labels.dim() == 2 and labels.is_floating_point():
            self._check_coins(labels)
            # The sigmoid is the softmax beside a logit of 0.
            each = torch.stack([logits, torch.zeros_like(logits)], -1).flatten(1, 2)
            return DIVERGENCES[kind](each).view(logits.shape[1:]).mean(-1)
        return DIVERGENCES[kind](logits)

    def _check_coins(self, labels: Tensor) -> None:
        """Refuse numbers and soft classes. Off the CPU a look waits for the device: the first one must do."""
        if self._looked and labels.device.type != "cpu":
            return
        self._looked = True
        if bool(((labels != 0) & (labels != 1)).any()):
            found = f"{tuple(labels.shape)} from {float(labels.min()):g} to {float(labels.max()):g}"
            raise UserError(
                f"float labels {found}: expected several labels of 0 and 1, or, for numbers or soft classes, "
                "loss= and a recipe with divergence=none"
            )


def has_coins(model: nn.Module) -> bool:
    """Whether the configuration of a model of transformers says that each output is a label of 0 and 1."""
    return getattr(getattr(model, "config", None), "problem_type", None) == "multi_label_classification"


def kind_of(labels: Tensor, rows: int, outputs: int, coins: bool = False) -> str:
    """`classes`, `regression` or `several labels`.

    Raises:
        UserError: none of them.
    """
    whole = not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool
    if whole and labels.shape == (rows,) and outputs > 1:
        return "classes"
    if labels.is_floating_point() and outputs == 1 and labels.numel() == rows and not coins:
        return "regression"
    if labels.is_floating_point() and labels.shape == (rows, outputs):
        return "several labels"
    got = f"labels of {str(labels.dtype).removeprefix('torch.')} and shape {tuple(labels.shape)}"
    raise UserError(
        f"{got} beside logits of ({rows}, {outputs}): expected whole numbers ({rows},) for classes, float "
        f"({rows},) beside one output, or float ({rows}, C) of 0 and 1 beside C outputs"
    )
