"""Attacks on the word vectors, by strength; and what must hold of them before anybody believes the figures.

    fgsm   every entry by epsilon, up the sign of the gradient       epsilon in RMS of the vectors' entries
    pgd    several such steps, projected to the same box             likewise
    fgm    the whole text by epsilon along its gradient              epsilon in norms of a word vector
    noise  as fgsm, fgm_noise as fgm, along a random direction: what a shift of the same size does by itself

Dropout is off, the loss is the text's own cross-entropy, parameters stay. The checks are those of Athalye,
Carlini & Wagner (arXiv 1802.00420, section 3.1) and Carlini et al. (arXiv 1902.06705): an attack that fails
them says nothing of a network.

Index letters: n texts, B examples, T tokens, D vector size, C classes, S strengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.core.classes import encode_classes
from zoo.method.forward.attack import Attack, attack
from zoo.robustness.target import Target
from zoo.text import Part
from zoo.training.words import Words

ROWS = 64  # texts at a time
_SIGN = Attack("fgsm", epsilon_unit="rms")
_NORM = Attack("fgm", epsilon_unit="norm")
# Of the noise; of a seed that a network may have, it would be that network's first word vectors once more.
NOISE_SEED = 2**61 - 1
BEYOND = 2.0  # RMS: far more than any text can bear
_FLAT = 0.01  # share of the texts that may be without a gradient
_BEYOND_LEFT = 0.05  # accuracy that may be left by PGD of BEYOND
_WEAKER = 0.5  # of the attack's rise of the loss, what noise may reach

Report = Callable[[str], None]


@dataclass(frozen=True)
class Ladder:
    """Strengths that are tried, ascending from above 0: `sign` of fgsm, pgd and noise, `norm` of fgm's."""

    sign: tuple[float, ...]
    norm: tuple[float, ...]
    steps: int

    def rungs(self) -> list[tuple[str, Attack]]:
        """Every attack at every strength; the noises' gradient is random. The last one is beyond."""
        pgd = replace(_SIGN, attack_steps=self.steps)
        found = [
            (name, replace(kind, epsilon=strength))
            for name, kind in (("fgsm", _SIGN), ("pgd", pgd), ("noise", _SIGN))
            for strength in self.sign
        ]
        found += [(name, replace(_NORM, epsilon=e)) for name in ("fgm", "fgm_noise") for e in self.norm]
        return [*found, ("beyond", replace(pgd, epsilon=BEYOND))]


def climbed(target: Target, part: Part, ladder: Ladder, report: Report = lambda line: None) -> dict[str, Any]:
    """Accuracy, loss and predictions by attack and strength, areas, and the checks; plain JSON types.

    A curve begins at strength 0, the clean texts. Its area is the mean accuracy over the strengths from 0 to
    the largest, by trapezoids; in [0, 1].
    """
    rungs = ladder.rungs()
    logits = {i: np.zeros((len(part), len(target.classes))) for i in range(-1, len(rungs))}
    flat = zero = entries = 0
    random = torch.Generator().manual_seed(NOISE_SEED)
    done = 0
    for words in target.words(part, ROWS):
        index, x = words.batch.index.numpy(), words.vectors
        up = uphill(words)
        gradient = up(x)
        own = gradient[words.batch.mask]
        zero, entries = zero + int((own == 0).sum()), entries + own.numel()
        flat += int((gradient.flatten(1) == 0).all(1).sum())
        logits[-1][index] = _classified(words, x)
        for i, (name, settings) in enumerate(rungs):
            first = gradient
            if name.endswith("noise"):
                first = torch.randn(x.shape, generator=random).to(x)
            logits[i][index] = _classified(words, x + attack(settings, x, first, words.batch, up))
        done += len(index)
        report(f"attacks on word vectors: {done:,} of {len(part):,} texts")
    return _told(ladder, rungs, logits, part.labels, flat / len(part), zero / max(entries, 1))


def uphill(words: Words) -> Callable[[Tensor], Tensor]:
    """The gradient of the sum of the texts' cross-entropies (nats) at vectors (B, T, D), of their shape."""

    def gradient(point: Tensor) -> Tensor:
        point = point.detach().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(words.classify(point), words.batch.labels, reduction="sum")
        return torch.autograd.grad(loss, point)[0]

    return gradient


def _classified(words: Words, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = words.classify(x).double().numpy()
    return found


def _told(
    ladder: Ladder,
    rungs: Sequence[tuple[str, Attack]],
    logits: dict[int, np.ndarray],
    truth: np.ndarray,
    flat: float,
    zero: float,
) -> dict[str, Any]:
    curves: dict[str, Any] = {}
    clean = logits[-1]
    for name in dict.fromkeys(name for name, _ in rungs if name != "beyond"):
        own = [clean, *(logits[i] for i, (other, _) in enumerate(rungs) if other == name)]
        strengths = [0.0, *(s.epsilon for other, s in rungs if other == name)]
        accuracy = [float((each.argmax(1) == truth).mean()) for each in own]
        curves[name] = {
            "strengths": strengths,
            "accuracy": accuracy,
            "loss": [mean_loss(each, truth) for each in own],
            "area": area(strengths, accuracy),
            "predictions": [encode_classes(each.argmax(1)) for each in own],
        }
    beyond = float((logits[len(rungs) - 1].argmax(1) == truth).mean())
    checks = checked(curves, len(truth), flat, zero, beyond)
    return {
        "rows": len(truth), "truth": encode_classes(truth), "steps": ladder.steps, "curves": curves,
        "zero_gradients": {"texts": flat, "entries": zero}, "beyond": beyond, "checks": checks,
    }  # fmt: skip


def mean_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean cross-entropy of (n, C) logits, nats."""
    top = logits.max(1, keepdims=True)
    logs = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return float((logs - logits[np.arange(len(truth)), truth]).mean())


def area(strengths: Sequence[float], values: Sequence[float]) -> float:
    """Mean of a curve over its strengths, linear in between."""
    width = strengths[-1] - strengths[0]
    pairs = zip(strengths[1:], strengths, values[1:], values, strict=False)
    return sum((b - a) * (y + x) / 2 for b, a, y, x in pairs) / width


def checked(
    curves: dict[str, Any], rows: int, flat: float, zero: float, beyond: float
) -> list[dict[str, Any]]:
    """What makes the figures believable: `check`, `passed`, and `found` in words."""
    loss = {name: own["loss"] for name, own in curves.items()}
    falls = [name for name in ("fgsm", "pgd", "fgm") if _falls(loss[name])]
    said = f"it falls under {', '.join(falls)}" if falls else "under fgsm, pgd and fgm"
    found = [("the loss rises with the strength", not falls, said)]
    lag = max(f - p for f, p in zip(loss["fgsm"], loss["pgd"], strict=True))
    worse = max(p - f for f, p in zip(curves["fgsm"]["accuracy"], curves["pgd"]["accuracy"], strict=True))
    found.append((
        "PGD is at least as strong as FGSM", lag <= 1e-4 and worse <= 1 / rows + 1e-12,
        f"PGD leaves {100 * worse:+.1f} points of accuracy more at most, its loss lags by {max(lag, 0):.3f}",
    ))  # fmt: skip
    for noise, real in (("noise", "fgsm"), ("fgm_noise", "fgm")):
        share = max(
            (n - loss[real][0]) / max(r - loss[real][0], 1e-12)
            for n, r in zip(loss[noise][1:], loss[real][1:], strict=True)
        )
        found.append((
            f"noise of the same size is far weaker than {real.upper()}", share <= _WEAKER,
            f"it raises the loss by {100 * share:.0f} % of what the attack does",
        ))  # fmt: skip
    found.append((
        "gradients are not masked", flat <= _FLAT,
        f"{100 * flat:.1f} % of the texts have none; {100 * zero:.0f} % of the entries are 0",
    ))  # fmt: skip
    found.append((
        "an attack without bounds succeeds", beyond <= _BEYOND_LEFT,
        f"PGD of {BEYOND:g} RMS leaves {100 * beyond:.1f} % accuracy",
    ))  # fmt: skip
    return [{"check": name, "passed": bool(good), "found": said} for name, good, said in found]


def _falls(losses: Sequence[float]) -> bool:
    return any(after < before - 1e-6 for before, after in pairwise(losses))
