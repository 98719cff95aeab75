"""Members of a cell: each is the cell of its own seed, and the vote is the mean of their probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tiny import batch, cell_settings, corpus, model, run_cell
from zoo.core.classes import decode_classes
from zoo.core.result import Cell, Result
from zoo.method.contract import TextClassifier
from zoo.training import cell
from zoo.training.ensemble import Ensemble
from zoo.training.robustness import attacked_logits


@pytest.mark.parametrize("arch", ["textcnn", "bilstm"])
def test_the_vote_is_the_mean_of_the_probabilities(arch: str) -> None:
    members = [model(arch, seed).eval() for seed in (0, 1, 2)]
    texts = batch()
    wanted = torch.stack([m(texts.tokens, texts.mask).softmax(1) for m in members]).mean(0)
    vote = Ensemble(members)
    found = vote.classify(vote.embed(texts.tokens), texts.mask)
    torch.testing.assert_close(found.softmax(1), wanted)
    torch.testing.assert_close(found.exp(), wanted)


def test_one_member_alone_is_the_model() -> None:
    member, texts = model("textcnn").eval(), batch()
    torch.testing.assert_close(
        attacked_logits(Ensemble([member]), texts).log_softmax(1),
        attacked_logits(member, texts).log_softmax(1),
    )


def test_an_attack_moves_the_vectors_of_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        "zoo.training.robustness.perturbation",
        lambda gradient, *rest: seen.append(gradient) or torch.zeros_like(gradient),
    )
    attacked_logits(Ensemble([model("textcnn", seed) for seed in (0, 1)]), batch())
    (gradient,) = seen
    for own in gradient.chunk(2, -1):
        assert float(own.abs().max()) > 0


def test_each_member_is_the_cell_of_its_own_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their weights are those of two single cells bit for bit, and the vote is made of their predictions."""
    monkeypatch.setattr(cell, "MEMBER_SEEDS", 5)
    both = run_cell("dropout", seed=3, members=2, keep=tmp_path / "both.safetensors")
    weights = load_file(tmp_path / "both.safetensors")
    voters = list[TextClassifier]()
    for number, seed in enumerate((3, 8)):
        alone = run_cell("dropout", seed=seed, keep=tmp_path / f"{seed}.safetensors")
        own = load_file(tmp_path / f"{seed}.safetensors")
        for name, tensor in own.items():
            assert torch.equal(weights[f"members.{number}.{name}"], tensor), name
        assert both.parameters == 2 * (alone.parameters or 0)
        voters.append(model("textcnn", double=False))
        voters[-1].load_state_dict(own)
    texts = corpus().test
    vote = Ensemble(voters).eval()
    for row in range(len(texts)):
        tokens = torch.tensor(texts.row(row), dtype=torch.long)[None]
        found = vote.classify(vote.embed(tokens), tokens > 0).argmax(1)
        assert int(found) == decode_classes(both.predictions)[row]


def test_progress_goes_on_over_the_members_and_the_curve_is_the_firsts() -> None:
    shares: list[float] = []
    head = Result("name", Cell("toy", "textcnn", "dropout", 0), "failed")
    settings = cell_settings("dropout", members=2)
    result = cell.train_cell(
        head, settings, corpus(), torch.device("cpu"), lambda share, entry: shares.append(share)
    )
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert result.curve == run_cell("dropout").curve
