"""Losses and divergences by what the labels are, for logits (K, B, C).

    labels              logits      loss of an example                  divergence of the K passes
    whole (B,)          C > 1       cross-entropy                       the recipe's, over the C classes
    float (B,) (B, 1)   C = 1       (s - y)^2                           mean_k (s_k - mean s)^2
    float (B, C), 0/1   C > 1       mean over C of binary CE            the recipe's, Bernoulli, mean over C
    0/1 (B,) (B, 1)     C = 1       binary CE, if problem="binary"      the recipe's, Bernoulli

One output has no distribution to compare. Of two normal ones of variance 1 the JS is half the squared
distance to their mean up to higher orders, and half of (s - y)^2 is the negative log-likelihood: so the mean
squared distance is to the squared error what JS is to cross-entropy.

Labels of 0 and 1 beside one output may be a class or a number, which no type tells: `problem` must. The
configuration of a model of transformers says it too: `multi_label_classification` is binary, and one output
without a word is regression, as it is there.

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
from zoo.core.options import lookup
from zoo.method.forward.divergence import DIVERGENCES
from zoo.method.forward.objective import Objective

Loss = Callable[[Tensor, Tensor], Tensor]
BINARY, REGRESSION = PROBLEMS = ("binary", "regression")


def wide(x: Tensor) -> Tensor:
    """In float32 at least: a divergence of logits in 16 bits may come out negative."""
    return x if x.dtype.itemsize >= 4 else x.float()


class Labelled(Objective):
    """Classes, one number, or several labels at once, as the labels say.

    Args:
        label_smoothing: of cross-entropy, in [0, 1).
        class_weights: (C,) of cross-entropy; the mean is over weights, as in torch.
        loss: in place of all these: logits (R, C), labels (R, ...) -> (R,), or the mean as a scalar.
        problem: "binary", where each output is a label of 0 and 1, or "regression", where one output is a
            number; None: as the labels say, which labels of 0 and 1 beside one output do not.

    Raises:
        UserError: another problem, or options that do not go together.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        loss: Loss | None = None,
        problem: str | None = None,
    ) -> None:
        if problem is not None:
            lookup(dict.fromkeys(PROBLEMS), problem, "problem")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing={label_smoothing}: expected a number in [0, 1)")
        if loss is not None and (label_smoothing or class_weights is not None):
            raise UserError("loss= with label_smoothing or class_weights: expected one of them")
        self.label_smoothing, self.class_weights, self.loss = label_smoothing, class_weights, loss
        self.problem = problem
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
        kind = kind_of(labels, rows, outputs, self.problem)
        if kind != "classes" and (self.label_smoothing or self.class_weights is not None):
            raise UserError(f"label_smoothing and class_weights beside {kind}: they are for classes alone")
        if kind == "regression":
            if self.problem is None:
                self._check_numbers(labels)
            return (logits.squeeze(-1) - labels.view(-1).to(logits)).square()
        if kind == "several labels":
            self._check_coins(labels)
            wanted = labels.view(rows, outputs).to(logits).expand_as(logits)
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
        binary = self.problem == BINARY
        if logits.shape[-1] == 1 and not binary:
            return (logits - logits.mean(0)).square().mean(0).squeeze(-1)
        if binary or (labels.dim() == 2 and labels.is_floating_point()):
            self._check_coins(labels)
            # The sigmoid is the softmax beside a logit of 0.
            each = torch.stack([logits, torch.zeros_like(logits)], -1).flatten(1, 2)
            return DIVERGENCES[kind](each).view(logits.shape[1:]).mean(-1)
        return DIVERGENCES[kind](logits)

    def _check_coins(self, labels: Tensor) -> None:
        """Refuse numbers and soft classes."""
        if (self._first() or labels.device.type == "cpu") and not _all_coins(labels):
            found = f"{tuple(labels.shape)} from {float(labels.min()):g} to {float(labels.max()):g}"
            raise UserError(
                f"float labels {found}: expected several labels of 0 and 1, or, for numbers or soft classes, "
                "loss= and a recipe with divergence=none"
            )

    def _check_numbers(self, labels: Tensor) -> None:
        """Refuse what may be a class, at first alone: a later batch may happen to hold no other numbers."""
        if self._first() and _all_coins(labels):
            raise UserError(
                f"float labels {tuple(labels.shape)} of 0 and 1 beside one output: expected "
                'problem="binary" (cross-entropy) or problem="regression" (squared error)'
            )

    def _first(self) -> bool:
        """Whether no labels were looked at yet: off the CPU a look waits for the device, so one must do."""
        first, self._looked = not self._looked, True
        return first


def _all_coins(labels: Tensor) -> bool:
    return not bool(((labels != 0) & (labels != 1)).any())


def problem_of(model: nn.Module) -> str | None:
    """What the configuration of a model of transformers says of its outputs; None where nothing is said."""
    config = getattr(model, "config", None)
    match getattr(config, "problem_type", None), getattr(config, "num_labels", None):
        case "multi_label_classification", _:
            return BINARY
        case ("regression", _) | (None, 1):
            return REGRESSION
    return None


def kind_of(labels: Tensor, rows: int, outputs: int, problem: str | None = None) -> str:
    """`classes`, `regression` or `several labels`.

    Raises:
        UserError: none of them.
    """
    whole = not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool
    if whole and labels.shape == (rows,) and outputs > 1:
        return "classes"
    if problem == BINARY and outputs == 1 and labels.numel() == rows:
        return "several labels"
    if labels.is_floating_point() and outputs == 1 and labels.numel() == rows:
        return "regression"
    if labels.is_floating_point() and labels.shape == (rows, outputs):
        return "several labels"
    got = f"labels of {str(labels.dtype).removeprefix('torch.')} and shape {tuple(labels.shape)}"
    raise UserError(
        f"{got} beside logits of ({rows}, {outputs}): expected whole numbers ({rows},) for classes, float "
        f"({rows},) beside one output (problem='binary' for 0 and 1), or float ({rows}, C) of 0 and 1 beside "
        "C outputs"
    )
