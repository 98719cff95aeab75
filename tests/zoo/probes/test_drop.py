"""Accuracy under attack by hand, and the checks that make an attack believable."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import tiny
from zoo.probes.drop import Drop, attacked, outcome


def test_the_attack_is_fgsm_by_hand() -> None:
    model, batch = tiny.model("textcnn").eval(), tiny.batch()
    x = model.embed(batch.tokens).detach().requires_grad_()
    F.cross_entropy(model.classify(x, batch.mask), batch.labels).backward()
    assert x.grad is not None
    entries = torch.cat([x[b, : int(n)].flatten() for b, n in enumerate(batch.mask.sum(1))]).detach()
    away = x.detach() + 0.3 * entries.square().mean().sqrt() * x.grad.sign() * batch.mask[:, :, None]
    logits = model.classify(away, batch.mask)
    accuracy, loss = outcome(model, batch, attacked(model, 0.3, 1))
    assert accuracy == float((logits.argmax(1) == batch.labels).double().mean())
    wanted = F.cross_entropy(logits, batch.labels).detach()
    assert loss == pytest.approx(float(wanted), abs=1e-12)


@pytest.mark.parametrize("arch", ["textcnn", "bilstm"])
def test_an_attack_hurts_more_the_stronger_it_is_and_more_than_noise(subject, arch: str) -> None:
    found = Drop(rows=60, strengths=(0.02, 0.1, 0.5), pgd_steps=5).measure(subject(arch, "dropout"))
    assert found["rows"] == 60
    for name in ("fgsm", "pgd"):
        losses = [found["loss"], *found[f"{name}_loss"]]
        assert losses == sorted(losses)
        assert losses[-1] > losses[0] + 1e-3
    for weak, strong in zip(found["fgsm_loss"], found["pgd_loss"], strict=True):
        assert strong > weak - 1e-4
    assert found["pgd_loss"][-1] > found["fgsm_loss"][-1] + 1e-6
    for random, strong in zip(found["noise_loss"], found["fgsm_loss"], strict=True):
        assert abs(random - found["loss"]) < (strong - found["loss"]) / 2
    assert found["accuracy"] >= max(found["pgd"])
