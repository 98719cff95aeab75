"""One training run: selection on validation, predictions in order, what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import tiny
from zoo.core.measures import Outcome, accuracy, macro_f1
from zoo.core.result import decode_classes
from zoo.training.run import Run
from zoo.training.settings import CellFailed, CellSettings

CPU = torch.device("cpu")


def test_a_cell_is_a_function_of_its_seed(arch: str) -> None:
    first, again, other = (tiny.run_cell(arch=arch, seed=s) for s in (0, 0, 1))
    assert first.curve == again.curve
    assert first.predictions == again.predictions
    assert first.curve != other.curve


def test_predictions_stand_in_the_order_of_the_split() -> None:
    result = tiny.run_cell("standard", epochs=12, learning_rate=0.05)
    truth = decode_classes(result.truth)
    assert (truth == tiny.corpus().test.labels).all()
    predictions = decode_classes(result.predictions)
    assert float((predictions == truth).mean()) == result.measures["accuracy"]
    assert result.measures["accuracy"] > 0.6, "scrambled rows would stay near one third"


def test_selection_reads_validation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test part is read once, after the last epoch; the best validation epoch gives the weights."""
    read: list[int] = []
    original = Run.predict
    monkeypatch.setattr(
        Run, "predict", lambda self, split: (read.append(len(split)), original(self, split))[1]
    )
    result = tiny.run_cell(epochs=4)
    assert read == [40, 40, 40, 40, 60]
    accuracies = [entry["validation_accuracy"] for entry in result.curve]
    assert result.validation_accuracy == max(accuracies)
    assert result.best_epoch == accuracies.index(max(accuracies)) + 1
    tiny.scores(monkeypatch, 0.9, 0.5, 0.4, 0.3)
    assert tiny.run_cell(epochs=4, selection="last").best_epoch == 4


def test_a_run_that_stops_early_is_the_beginning_of_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: masks, batches and the learning rates of the schedule over all epochs."""
    curves = []
    for patience in (0, 2):
        tiny.scores(monkeypatch, 0.5, 0.6, 0.4, 0.3, 0.2, 0.1)
        result = tiny.run_cell(epochs=6, patience=patience)
        assert (result.best_epoch, result.validation_accuracy) == (2, 0.6)
        curves.append((result.curve, result.predictions))
    (whole, predictions), (stopped, of_stopped) = curves
    assert (len(whole), len(stopped)) == (6, 4)
    assert stopped == whole[:4]
    assert of_stopped == predictions


@pytest.mark.parametrize("unread", [{"selection": "last", "patience": 1}, {"patience": 3}, {"patience": 99}])
def test_patience_that_stops_nothing_is_in_no_name(
    monkeypatch: pytest.MonkeyPatch, unread: dict[str, Any]
) -> None:
    """As `unread` says it: the cell has the name and the numbers of one without."""
    without = {name: value for name, value in unread.items() if name != "patience"}
    results = []
    for train in (unread, without):
        tiny.scores(monkeypatch, 0.9, 0.5, 0.4, 0.3)
        results.append(tiny.run_cell(epochs=4, **train))
    assert results[0].curve == results[1].curve
    assert len(results[0].curve) == 4
    assert results[0].best_epoch == results[1].best_epoch
    assert results[0].predictions == results[1].predictions
    named = [tiny.cell_settings(epochs=4, **train).named() for train in (unread, without)]
    assert named[0] == named[1]
    assert tiny.cell_settings(epochs=4, patience=2).named() != named[0]


def test_recipes_of_one_seed_share_weights_and_batches() -> None:
    chosen = tiny.cell_settings("standard"), tiny.cell_settings("uegr")
    first = [Run(_model(s), 0, s, tiny.corpus(), CPU) for s in chosen]
    weights = [torch.cat([p.detach().flatten() for p in run.model.parameters()]) for run in first]
    assert torch.equal(*weights)
    orders = [[b.index.tolist() for b in run.steps.batches(run.corpus.train, 16, 1)] for run in first]
    assert orders[0] == orders[1]


def _model(chosen: CellSettings):
    from zoo.models import build_model

    return build_model("textcnn", tiny.WORDS, tiny.CLASSES, chosen.model, seed=0)


def test_every_term_is_recorded_each_epoch() -> None:
    for entry in tiny.run_cell().curve:
        assert entry["loss"] == pytest.approx(
            entry["loss_clean"] + entry["loss_adversarial"] + 0.5 * entry["divergence"], rel=1e-5
        )
        assert entry["kept_share"] == pytest.approx(0.45, abs=0.08)
        assert entry["drop_rate"]["pooled"] == pytest.approx(0.2, abs=1e-6)
        assert 0 < entry["perturbation"] <= 0.5 + 1e-6
        assert 0 <= entry["learning_rate"] <= 0.02
    assert "kept_share" not in tiny.run_cell("dropout").curve[0]
    assert "drop_rate" not in tiny.run_cell("standard").curve[0]


def test_a_loss_that_is_not_finite_fails_the_cell() -> None:
    with pytest.raises(CellFailed, match="the loss is"):
        tiny.run_cell(learning_rate=1e30)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 4, 50), rng.integers(0, 5, 50)
    wanted = f1_score(truth, guess, average="macro", labels=np.union1d(truth, guess))
    assert macro_f1(Outcome(np.eye(7)[guess], truth)) == pytest.approx(wanted)


def test_the_attack_can_only_find_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """epsilon 0 is the clean accuracy; a real attack lowers it on a model that is right."""
    from zoo.training import robustness

    chosen = tiny.cell_settings("standard", epochs=12, learning_rate=0.05)
    run = Run(_model(chosen), 0, chosen, tiny.corpus(), CPU)
    run.fit(lambda share, entry: None)
    clean = accuracy(run.predict(run.corpus.test))

    def attacked(epsilon: float) -> float:
        monkeypatch.setitem(robustness.ATTACK, "epsilon", epsilon)
        return accuracy(run.attacked(run.corpus.test)[0])

    assert attacked(0.0) == pytest.approx(clean)
    assert attacked(1.0) < clean - 0.1
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in run.model.parameters())


def test_han_gets_its_sentences() -> None:
    chosen = tiny.cell_settings("standard")
    run = Run(tiny.model("han", double=False), 0, chosen, tiny.corpus(), CPU)
    for batch in run.steps.batches(run.corpus.train, 16, epoch=1):
        assert batch.tokens.shape[1] % tiny.LINE == 0
