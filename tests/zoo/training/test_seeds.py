"""The seeds of a setting trained as one model: the cells that each seed gives alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from stand_in import StandIn
from torch import Tensor

import tiny
from zoo.core.errors import OutOfTime
from zoo.core.result import Cell, Result
from zoo.text import Corpus
from zoo.training import seeds
from zoo.training.cell import fresh_model, make_model
from zoo.training.run import Run
from zoo.training.seeds import StackedSteps, train_seeds, why_not_stacked
from zoo.training.settings import CellSettings
from zoo.training.steps import silent

SEEDS = (3, 0, 5)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    """Rounding then decides nothing."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def heads(arch: str = "textcnn", recipe: str = "uegr") -> list[Result]:
    return [Result(f"cell {seed}", Cell("toy", arch, recipe, seed), "failed") for seed in SEEDS]


def alone(seed: int, settings: CellSettings, corpus: Corpus, arch: str = "textcnn") -> Run:
    """The same training by itself, with steps in fixed shapes as a GPU has them."""
    model, _ = fresh_model(arch, seed, settings, corpus, CPU)
    own = Run(model, seed, settings, corpus, CPU, recorder=lambda generator: None)
    own.fit()
    return own


def close(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """One entry of a curve is another, to rounding."""
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, dict):
            close(found[key], value)
        else:
            assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key


def same_as_alone(results: list[Result], settings: CellSettings, corpus: Corpus, arch: str) -> None:
    for result, seed in zip(results, SEEDS, strict=True):
        single = alone(seed, settings, corpus, arch)
        assert result.done
        assert result.cell.seed == seed
        assert (result.best_epoch, len(result.curve)) == (single.best_epoch, len(single.curve))
        assert result.validation_accuracy == pytest.approx(single.best_score)
        for entry, wanted in zip(result.curve, single.curve, strict=True):
            close(dict(entry), wanted)
        test = single.predict(corpus.test)
        answers = result.answers()
        assert answers is not None
        np.testing.assert_array_equal(answers[1], test.probabilities.argmax(1))


def test_each_seed_gives_the_cell_that_it_gives_alone() -> None:
    """Curves with all terms, rates and shares; the epoch chosen; the answers."""
    settings, corpus = tiny.cell_settings(epochs=4, batch_size=10), tiny.corpus()
    same_as_alone(train_seeds(heads(), settings, corpus, CPU), settings, corpus, "textcnn")


@pytest.mark.parametrize("arch", ["bilstm", "han"])
def test_batches_of_other_widths_and_a_smaller_last_one(arch: str) -> None:
    """Without masks, of which a wider batch draws others: what fills up counts for nothing."""
    settings = tiny.cell_settings("standard", arch, epochs=2, batch_size=13)
    corpus = tiny.corpus()
    same_as_alone(train_seeds(heads(arch, "standard"), settings, corpus, CPU), settings, corpus, arch)


def test_a_seed_that_patience_stops_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on, and it with them, but its result is of its end."""
    coming = {seed: iter(values) for seed, values in zip(SEEDS, SCORES, strict=True)}
    monkeypatch.setattr(Run, "validate", lambda own: next(coming[own.seed]))
    settings, kept = tiny.cell_settings(epochs=5, patience=1, batch_size=10), dict[int, Tensor]()
    told: list[tuple[int, float]] = []

    def progress(number: int, share: float, entry: dict[str, Any]) -> None:
        if entry:
            told.append((number, share))

    def keep(number: int, trained: Any) -> None:
        kept[number] = trained.run.model.classifier.weight.detach().clone()

    results = train_seeds(heads(), settings, tiny.corpus(), CPU, progress, keep=keep)
    assert [(len(r.curve), r.best_epoch) for r in results] == [(2, 1), (5, 5), (3, 2)]
    assert [share for number, share in told if number == 0] == [0.2, 1.0]
    assert [share for number, share in told if number == 1] == [0.2, 0.4, 0.6, 0.8, 1.0]
    # The schedule runs over all epochs, so the first one alone is that of a cell of its own.
    first = tiny.cell_settings(epochs=5, patience=1, batch_size=10)
    coming[SEEDS[0]] = iter(SCORES[0])
    torch.testing.assert_close(
        kept[0], alone(SEEDS[0], first, tiny.corpus()).model.classifier.weight, rtol=1e-9, atol=1e-12
    )


SCORES = ((0.5, 0.4), (0.1, 0.2, 0.3, 0.4, 0.5), (0.5, 0.6, 0.1))


def test_the_best_weights_are_no_more_than_those_of_a_seed() -> None:
    """A copy of a view must not bring all that it is a view of."""
    settings, corpus = tiny.cell_settings(epochs=1, batch_size=10), tiny.corpus()
    sizes: list[bool] = []

    def keep(number: int, trained: Any) -> None:
        sizes.extend(
            one.untyped_storage().nbytes() == one.nbytes for one in trained.run.best_weights.values()
        )

    train_seeds(heads(), settings, corpus, CPU, keep=keep)
    assert sizes
    assert all(sizes)


def test_one_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def ruined(arch: str, seed: int, *rest: Any) -> Any:
        model, about = fresh_model(arch, seed, *rest)
        if seed == 0:
            with torch.no_grad():
                model.classifier.bias.fill_(math.nan)
        return model, about

    monkeypatch.setattr(seeds, "fresh_model", ruined)
    results = train_seeds(heads(), tiny.cell_settings(), tiny.corpus(), CPU)
    assert [result.done for result in results] == [True, False, True]
    assert results[1].reason == "the loss is nan in epoch 1"
    assert results[1].machine.device.startswith("cpu")


def test_times_are_parts_of_all() -> None:
    began = time.perf_counter()
    results = train_seeds(heads(), tiny.cell_settings(), tiny.corpus(), CPU)
    took = time.perf_counter() - began
    assert 0.5 * took < sum(result.seconds["total"] for result in results) <= took
    for result in results:
        assert 0 < result.seconds["train"] < result.seconds["total"]
        assert result.step_seconds is not None
        steps = len(result.curve) * 8  # 120 texts in batches of 16
        assert result.step_seconds * steps == pytest.approx(result.seconds["train"], rel=0.5)


def test_it_ends_when_the_time_is_over() -> None:
    with pytest.raises(OutOfTime):
        train_seeds(heads(), tiny.cell_settings(), tiny.corpus(), CPU, until=time.monotonic())


def test_why_not() -> None:
    assert why_not_stacked(tiny.cell_settings()) == ""
    assert why_not_stacked(tiny.cell_settings(members=2)) == "members=2"
    assert why_not_stacked(tiny.cell_settings("sam")) == "forward stage sam"


def test_recorded_steps_are_ordinary_ones() -> None:
    """Two epochs with a stand-in for a GPU's recorder: the same weights and terms."""
    settings, corpus = tiny.cell_settings(epochs=2, batch_size=13), tiny.corpus()
    found = []
    for recorder in (None, StandIn(torch.Generator())):
        trainees = [
            Run(make_model("textcnn", seed, settings, corpus, None), seed, settings, corpus, CPU).trainee
            for seed in SEEDS
        ]
        steps = StackedSteps(trainees, settings.recipe, settings.train, corpus.train, SEEDS, CPU, recorder)
        terms = [steps.epoch_of(number, 1, silent) for number in (0, 1, 2)]
        weights = [p.detach().clone() for p in steps.trainee.model.parameters()]
        found.append((terms, weights, [number for number, _ in steps.replays]))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))
    assert found[0][2] == []
    assert set(found[1][2]) == {3 * 13}


def test_the_recorder_knows_every_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that it does not know would draw the same numbers with each replay."""
    seen: list[torch.Generator] = []

    class Recorder:
        def __init__(self, device: torch.device, *generators: torch.Generator) -> None:
            seen.extend(generators)

    monkeypatch.setattr(seeds, "CudaRecorder", Recorder)
    settings, corpus = tiny.cell_settings(), tiny.corpus()
    trainees = [
        Run(make_model("textcnn", seed, settings, corpus, None), seed, settings, corpus, CPU).trainee
        for seed in SEEDS
    ]
    seeds._recorder(trainees, CPU)
    assert seen == [trainee.generator for trainee in trainees]
