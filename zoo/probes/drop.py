"""How much accuracy an attack costs, at several strengths (Fig. 2b), with what makes an attack believable.

    drop = accuracy on clean texts - accuracy under attack

FGSM and PGD on the word vectors in the max norm, in units of their root mean square, against the network's
own loss, dropout off. `noise` has random signs of the same size: an attack that costs no more finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.core.batch import Batch
from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.method.forward.attack import Attack, attack
from zoo.method.rates import embedding_rms
from zoo.probes.subject import Subject, pieces
from zoo.robustness.vectors import uphill
from zoo.training.words import Words

_ROWS = 100  # texts at a time


@dataclass(frozen=True)
class Drop(Settings):
    """How strongly it is attacked."""

    what: ClassVar[str] = "measurement setting"

    rows: int = setting(500, low=1)  # texts of the test part
    strengths: tuple[float, ...] = setting((0.025, 0.05, 0.1), above=0)  # weak, medium, strong
    pgd_steps: int = setting(10, low=2, high=100)

    def measure(self, subject: Subject) -> dict[str, Any]:
        """`accuracy` on clean texts; `fgsm`, `pgd`, `noise`: accuracy by strength, and the mean loss."""
        model = subject.fitted()
        batch = subject.sample(subject.corpus.test, self.rows)
        steps = {"fgsm": 1, "pgd": self.pgd_steps}
        found: dict[str, Any] = {"rows": len(batch.labels), "strengths": list(self.strengths)}
        found |= dict(zip(("accuracy", "loss"), outcome(model, batch, lambda x, part: x), strict=True))
        for name in ("fgsm", "pgd", "noise"):
            scores = []
            for strength in self.strengths:
                moved = noise(strength) if name == "noise" else attacked(model, strength, steps[name])
                scores.append(outcome(model, batch, moved))
            found[name] = [accuracy for accuracy, _ in scores]
            found[f"{name}_loss"] = [loss for _, loss in scores]
        return found


def outcome(model: TextClassifier, batch: Batch, moved: Any) -> tuple[float, float]:
    """Accuracy and mean loss (nats) on the word vectors that `moved` makes of the clean ones."""
    right, loss = 0, 0.0
    for part in pieces(batch, _ROWS):
        x = moved(model.embed(part.tokens).detach(), part)
        with torch.no_grad():
            logits = model.classify(x, part.mask)
        right += int((logits.argmax(1) == part.labels).sum())
        loss += float(F.cross_entropy(logits, part.labels, reduction="sum"))
    return right / len(batch.labels), loss / len(batch.labels)


def attacked(model: TextClassifier, strength: float, steps: int) -> Any:
    """What moves (B, T, D) word vectors of a batch uphill: by FGSM, or by PGD of several steps."""
    settings = Attack("fgsm", epsilon=strength, epsilon_unit="rms", attack_steps=steps)

    def moved(x: Tensor, batch: Batch) -> Tensor:
        up = uphill(Words(batch, x, lambda vectors: model.classify(vectors, batch.mask)))
        return x + attack(settings, x, up(x), batch, up)

    return moved


def noise(strength: float) -> Any:
    """What adds random signs of the size of the attack."""
    generator = torch.Generator().manual_seed(0)

    def moved(x: Tensor, batch: Batch) -> Tensor:
        signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
        return x + strength * embedding_rms(x, batch.mask) * signs * batch.mask[:, :, None]

    return moved
