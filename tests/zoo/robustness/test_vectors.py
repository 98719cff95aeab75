"""Attacks on vectors against closed forms and a slow loop; and checks that fail where they must."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from zoo.core.classes import decode_classes
from zoo.method.rates import embedding_rms
from zoo.robustness import vectors
from zoo.robustness.target import ZooTarget
from zoo.robustness.vectors import Ladder, area, checked, climbed, mean_loss
from zoo.text import Part
from zoo.text.encode import Encoder

from .linear import Linear, part  # type: ignore[import-not-found]

LADDER = Ladder((0.1, 0.4), (0.5, 1.0), 5)
TEXTS = part(
    "good film the", "bad plot", "fine plot a film", "poor film", "good bad film", labels=[1, 0, 1, 0, 0]
)


def test_fgsm_and_fgm_on_a_linear_network_are_their_closed_forms() -> None:
    """The score falls by epsilon RMS (|w_1| + |w_2|) a word, or by epsilon RMS sqrt(D) |w| sqrt(T) a text."""
    target = Linear((2.0, -1.0))
    found = climbed(target, TEXTS, LADDER)
    x, mask = target.vectors(TEXTS.texts)
    rms = float(embedding_rms(x, mask))
    score = (x.sum(1) * target.weight).sum(1)
    sign = torch.from_numpy(2 * TEXTS.labels - 1)
    words = mask.sum(1)
    for i, (weak, norm) in enumerate(zip(LADDER.sign, LADDER.norm, strict=True), 1):
        for name, fall in (
            ("fgsm", weak * rms * 3 * words),
            ("pgd", weak * rms * 3 * words),  # the gradient's sign is the same everywhere
            ("fgm", norm * rms * math.sqrt(2) * math.sqrt(5) * words.sqrt()),
        ):
            margin = sign * score - fall
            wanted = float(F.softplus(-2 * margin).mean())
            assert found["curves"][name]["loss"][i] == pytest.approx(wanted, rel=1e-6), name
            assert found["curves"][name]["accuracy"][i] == float((margin > 0).double().mean()), name
            said = decode_classes(found["curves"][name]["predictions"][i])
            assert ((said == TEXTS.labels) == (margin > 0).numpy()).all()
    assert all(check["passed"] for check in found["checks"]), found["checks"]
    assert found["zero_gradients"] == {"texts": 0.0, "entries": 0.0}


def zoo_target(arch: str = "textcnn") -> tuple[ZooTarget, Part]:
    reader = Encoder(("<pad>", "<unk>", *(f"w{chr(97 + i)}" for i in range(18))), "en", "words", 16)
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{chr(97 + int(i))}" for i in rng.integers(0, 18, n)) for n in rng.integers(3, 9, 70)]
    return ZooTarget(tiny.model(arch, double=True), reader, ("a", "b", "c")), Part(
        texts, [], rng.integers(0, 3, 70)
    )


@pytest.mark.parametrize("arch", ["textcnn", "bilstm"])
def test_pgd_is_a_direct_slow_loop_batch_by_batch(arch: str) -> None:
    target, texts = zoo_target(arch)
    found = climbed(target, texts, Ladder((0.3,), (0.5,), 4))["curves"]["pgd"]
    losses = np.zeros(len(texts))
    for words in target.words(texts, vectors.ROWS):
        x, mask, labels = words.vectors, words.batch.mask, words.batch.labels
        entries = x[mask]
        limit = 0.3 * float(entries.square().mean().sqrt())
        moved = x.clone()
        for _ in range(4):
            point = moved.clone().requires_grad_()
            F.cross_entropy(words.classify(point), labels, reduction="sum").backward()
            assert point.grad is not None
            moved = moved + limit * 1.5 / 4 * point.grad.sign() * mask[:, :, None]
            moved = x + (moved - x).clamp(-limit, limit)
        with torch.no_grad():
            own = F.cross_entropy(words.classify(moved), labels, reduction="none")
        losses[words.batch.index.numpy()] = own.numpy()
    assert found["loss"][1] == pytest.approx(losses.mean(), rel=1e-6)


def test_noise_has_the_size_of_the_attack_and_is_no_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    target, texts = zoo_target()
    sizes: dict[str, list[float]] = {}
    real = vectors.attack

    def seen(settings, x, gradient, batch, up):
        delta = real(settings, x, gradient, batch, up)
        sizes.setdefault(settings.attack, []).append(float(delta.square().sum()))
        return delta

    monkeypatch.setattr(vectors, "attack", seen)
    climbed(target, texts, Ladder((0.3,), (0.5,), 2))
    fgsm, _, noise, _ = sizes["fgsm"][:4]  # fgsm, pgd, noise, beyond; of the first batch
    assert noise == pytest.approx(fgsm, rel=0.05)  # where the gradient is 0 only the noise moves
    fgm, own = sizes["fgm"][:2]
    assert own == pytest.approx(fgm, rel=1e-9)


def test_area_and_loss_by_hand() -> None:
    assert area([0, 1, 3], [1.0, 0.5, 0.1]) == pytest.approx((0.75 + 2 * 0.3) / 3)
    logits = np.array([[1.0, 0.0], [1e4, 0.0]])
    assert mean_loss(logits, np.array([0, 1])) == pytest.approx((math.log(1 + math.exp(-1)) + 1e4) / 2)


def curves(**changes: list[float]) -> dict:
    """Losses of an attack that is believable; accuracy is the same for all."""
    loss = {
        "fgsm": [1, 2, 3],
        "pgd": [1, 2, 4],
        "fgm": [1, 2, 3],
        "noise": [1, 1, 1.1],
        "fgm_noise": [1, 1, 1],
    }
    return {name: {"loss": own, "accuracy": [0.9, 0.5, 0.2]} for name, own in (loss | changes).items()}


@pytest.mark.parametrize(
    ("changed", "flat", "beyond", "failed"),
    [
        ({}, 0.0, 0.0, []),
        ({"fgsm": [1, 2, 1.9]}, 0.0, 0.0, ["the loss rises with the strength"]),
        ({"fgm": [1, 0.9, 3]}, 0.0, 0.0, ["the loss rises with the strength"]),
        ({"pgd": [1, 1.5, 4]}, 0.0, 0.0, ["PGD is at least as strong as FGSM"]),
        ({"noise": [1, 1.6, 2]}, 0.0, 0.0, ["noise of the same size is far weaker than FGSM"]),
        ({"fgm_noise": [1, 1, 2.5]}, 0.0, 0.0, ["noise of the same size is far weaker than FGM"]),
        ({}, 0.02, 0.0, ["gradients are not masked"]),
        ({}, 0.0, 0.3, ["an attack without bounds succeeds"]),
    ],
)
def test_each_check_fails_alone(changed: dict, flat: float, beyond: float, failed: list[str]) -> None:
    found = checked(curves(**changed), 100, flat, 0.5, beyond)
    wrong = [check["check"] for check in found if not check["passed"]]
    assert wrong == failed


def test_pgd_that_leaves_more_accuracy_than_fgsm_fails_its_check() -> None:
    own = copy.deepcopy(curves())
    own["pgd"]["accuracy"] = [0.9, 0.52, 0.2]
    assert not checked(own, 100, 0.0, 0.0, 0.0)[1]["passed"]
    own["pgd"]["accuracy"] = [0.9, 0.51, 0.2]  # one text of a hundred is chance
    assert checked(own, 100, 0.0, 0.0, 0.0)[1]["passed"]


def test_a_network_that_hides_its_gradient_is_found_out() -> None:
    class Steps(Linear):
        def classify(self, x: torch.Tensor) -> torch.Tensor:
            return super().classify((x * 4).round() / 4 + 0 * x)  # flat almost everywhere

    found = climbed(Steps(), TEXTS, LADDER)
    assert found["zero_gradients"]["texts"] == 1.0
    assert "gradients are not masked" in [c["check"] for c in found["checks"] if not c["passed"]]


def test_noise_is_not_the_numbers_that_made_the_word_vectors() -> None:
    """A network of seed 0 begins with torch's normal numbers of seed 0: such noise would point at words."""
    own = torch.randn(8, generator=torch.Generator().manual_seed(vectors.NOISE_SEED))
    for seed in range(20):
        assert not torch.equal(own, torch.randn(8, generator=torch.Generator().manual_seed(seed)))
