"""Recorded steps: fixed shapes and no look at a number, so that a GPU can replay them; the same training.

Without a GPU a stand-in records a function and calls it again. What needs one is skipped by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recorded import OPTIONS, RECORDED, SETTINGS, line, split
from stand_in import StandIn
from torch.utils._python_dispatch import TorchDispatchMode

import tiny
from zoo.fast.ranks import searched_ranks, sorted_ranks
from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes, first_places
from zoo.method.backward.selective import SelectiveUpdate
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.method.forward.attack import perturbation
from zoo.method.step import prepare, train_step
from zoo.recipes import RECIPES, TABLE_IV, Recipe
from zoo.text import Corpus, Split, TextSettings, batches
from zoo.text.batching import batch_rows
from zoo.training.graphs import ORDINARY, CudaRecorder, GraphedSteps, _stream, why_not_recorded
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.resident import Resident, bucket
from zoo.training.run import Run
from zoo.training.settings import CellSettings

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch sees none here")


# --- the parts, against their twins -------------------------------------------------------------------


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_first_places_are_the_first_ones(ids: list[int]) -> None:
    assert first_places(torch.tensor(ids)).tolist() == [ids.index(i) for i in ids]


@given(st.lists(st.sampled_from([0.0, 1e-38, 1e-20, 0.5, 1.0, 3.0, 1e30]), max_size=40), st.booleans())
def test_searched_ranks_are_the_sorted_ones(values: list[float], double: bool) -> None:
    saliency = torch.tensor(values, dtype=torch.float64 if double else torch.float32)
    torch.testing.assert_close(searched_ranks(saliency), sorted_ranks(saliency), rtol=1e-6, atol=0)


def test_rows_that_stand_there_twice_count_once() -> None:
    table = torch.arange(12.0).view(6, 2)
    ids = torch.tensor([[4, 1], [4, 0]])
    with demand_fixed_shapes():
        rows = Rows.of(ids)
    assert rows.take(table).tolist() == [[8, 9], [2, 3], [0, 0], [0, 1]]
    rows.put(table, torch.tensor([[40.0, 41], [10, 11], [-1, -1], [5, 6]]))
    assert table.tolist() == [[5, 6], [10, 11], [4, 5], [6, 7], [40, 41], [10, 11]]


def test_the_shift_of_a_word_is_the_same_in_fixed_shapes() -> None:
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(2, 5, 3, generator=generator)
    tokens = torch.tensor([[1, 2, 1, 3, 0], [2, 2, 4, 0, 0]])
    arguments = (gradient, tokens != 0, 0.5, "fgm", "table", tokens)
    expected = perturbation(*arguments)
    with demand_fixed_shapes():
        torch.testing.assert_close(perturbation(*arguments), expected)


@pytest.mark.parametrize("length", [1, 8, 9, 64, 65, 100, 129, 256, 257, 400])
def test_a_bucket_holds_its_texts_and_is_its_own_bucket(length: int) -> None:
    assert length <= bucket(length) <= max(length + 7, 1.25 * length)
    assert bucket(bucket(length)) == bucket(length)


def test_resident_batches_are_the_ordinary_ones_with_more_padding(arch: str) -> None:
    part = split()
    resident = Resident.of(part, CPU, line(arch))
    kwargs = {"seed": 3, "epoch": 2, "bucketed": True}
    plain = list(batches(part, 4, words_per_sentence=line(arch), **kwargs))
    plan = list(resident.plan(4, **kwargs))
    assert len(plain) == len(plan)
    for batch, (index, width) in zip(plain, plan, strict=True):
        ours = resident.batch(index, width)
        length = batch.tokens.shape[1]
        assert torch.equal(ours.tokens[:, :length], batch.tokens)
        assert torch.equal(ours.mask[:, :length], batch.mask)
        assert not ours.mask[:, length:].any()
        assert torch.equal(ours.labels, batch.labels)
        assert torch.equal(ours.index, batch.index)


# --- the whole step -----------------------------------------------------------------------------------


class Watch(TorchDispatchMode):
    """Notes operators that a graph cannot hold: sizes that depend on values, numbers read or sent."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = any(isinstance(a, (list, tuple)) and _has_mask(a) for a in args)
        if func.name() == "aten::index.Tensor":  # numbers of rows have a fixed size, masks have not
            dynamic = by_mask
        else:
            tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
            dynamic = by_mask or bool(tags & set(func.tags))
        if dynamic or func.name().startswith("aten::lift_fresh"):  # a Python number sent to the device
            self.found.add(func.name())
        return func(*args, **(kwargs or {}))


def _has_mask(indices: Any) -> bool:
    return any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in indices)


def looked_at(arch: str, recipe: Recipe, fixed: bool = True) -> set[str]:
    """Operators of the third step of a recipe that a graph cannot hold."""
    model = tiny.model(arch, double=False).train()
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    steps = GraphedSteps(trainee, SETTINGS, split(), 0, CPU, None)
    index = torch.arange(4)
    with demand_fixed_shapes() if fixed else nullcontext():
        for _ in range(2):
            steps.step(index, 32)
        with Watch() as watch:
            steps.step(index, 32)
    return watch.found


@pytest.mark.parametrize("name", RECORDED)
def test_no_operator_of_a_step_waits_for_a_number(arch: str, name: str) -> None:
    assert looked_at(arch, RECORDED[name]) == set()


@pytest.mark.parametrize("name", OPTIONS)
def test_nor_under_the_options(name: str) -> None:
    assert why_not_recorded(OPTIONS[name]) is None
    assert looked_at("texthan", OPTIONS[name]) == set()


def test_the_watch_sees_what_the_other_forms_do() -> None:
    assert {"aten::_unique2", "aten::nonzero"} & looked_at("han", RECIPES["uegr"], fixed=False)


def test_every_method_of_table_iv_is_recorded() -> None:
    assert set(TABLE_IV) <= set(RECORDED)


@pytest.mark.parametrize(
    "changes",
    [
        {"saliency": "epoch"},
        {"saliency": "per_sample"},
        {"resample": "epoch"},
        {"statistics": "previous_step"},
    ],
)
def test_what_the_host_keeps_track_of_is_not_recorded(changes: dict[str, str]) -> None:
    (value,) = changes.values()
    assert value in str(why_not_recorded(RECIPES["uegr"].changed(**changes)))


@contextmanager
def steady_noise(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All masks from one number, as the two paths draw for different sizes: 0.3 is dropped where q > 0.3
    and kept where p > 0.3."""
    with monkeypatch.context() as patch:
        patch.setattr(SelectiveUpdate, "uniform", lambda self, like: torch.full_like(like, 0.3))
        patch.setattr(AdaptiveDropout, "noise", lambda self, shape, like, _: like.new_full(shape, 0.3))
        yield


def without_twins(arch: str) -> TextClassifier:
    """A model without weights of one gradient but for rounding, as a recurrent layer's two biases are.

    Which of two such ranks above the other differs from processor to processor, and so do their masks.
    """
    model = tiny.model(arch).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias_hh" not in name)
    return model


def ordinary(arch: str, recipe: Recipe, part: Split, epochs: int = 2) -> tuple[TextClassifier, list[float]]:
    """The CPU's own path, as `zoo.training.run` goes it."""
    model = without_twins(arch)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, SETTINGS)
    schedule = make_schedule(optimizer, 7 * epochs, SETTINGS.warmup)
    losses = []
    for epoch in range(epochs):
        total = []
        for batch in batches(part, 4, seed=1, epoch=epoch, words_per_sentence=line(arch)):
            total.append(float(train_step(trainee, batch, optimizer)["loss"]))
            schedule.step()
        losses.append(float(np.mean(total)))
    return model, losses


@pytest.mark.parametrize("name", [*TABLE_IV, "uegr_blind_mask"])
def test_recorded_training_is_ordinary_training(
    arch: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs, weights and losses, in float64."""
    part, recipe = split(), RECIPES[name]
    with steady_noise(monkeypatch):
        expected, losses = ordinary(arch, recipe, part)
        model = without_twins(arch)
        trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
        recorder = StandIn(torch.Generator())
        steps = GraphedSteps(trainee, SETTINGS, part, 1, CPU, recorder)
        found = [steps.epoch(epoch)[1]["loss"] for epoch in range(2)]
    assert found == pytest.approx(losses, rel=1e-9)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


def test_a_shape_is_recorded_once_after_a_few_ordinary_steps() -> None:
    part = split(texts=400)
    trainee = prepare(tiny.model("textcnn", double=False).train(), RECIPES["uegr"], torch.Generator())
    recorder = StandIn(torch.Generator())
    steps = GraphedSteps(trainee, SETTINGS, part, 0, CPU, recorder)
    for epoch in range(2):
        steps.epoch(epoch)
    shapes: dict[int, int] = {}
    for epoch in range(2):
        for rows in batch_rows(part.lengths, 4, seed=0, epoch=epoch):
            width = bucket(int(part.lengths[rows].max()))
            shapes[width] = shapes.get(width, 0) + 1
    often = {width: count for width, count in shapes.items() if count > ORDINARY}
    assert recorder.recorded == len(often) > 1
    assert recorder.replayed == sum(count - ORDINARY for count in often.values())
    assert steps.done == 200
    assert int(steps.number) == 200


def test_a_tail_batch_stays_an_ordinary_step() -> None:
    """However often it comes: a graph for it would be one a size, used once an epoch."""
    part = split()
    trainee = prepare(tiny.model("textcnn", double=False).train(), RECIPES["standard"])
    longer = dataclasses.replace(SETTINGS, epochs=3 * ORDINARY)
    steps = GraphedSteps(trainee, longer, part, 0, CPU, StandIn(torch.Generator()))
    for epoch in range(longer.epochs):
        steps.epoch(epoch)
    assert len(part) % SETTINGS.batch_size, "there is a tail"
    assert steps.replays
    assert {size for size, _ in steps.replays} == {SETTINGS.batch_size}


def test_the_schedule_on_the_device_is_the_schedule() -> None:
    trainee = prepare(tiny.model("textcnn", double=False).train(), RECIPES["standard"])
    steps = GraphedSteps(trainee, SETTINGS, split(), 0, CPU, StandIn(torch.Generator()))
    optimizer = make_optimizer(tiny.model("textcnn"), SETTINGS)
    schedule = make_schedule(optimizer, 14, SETTINGS.warmup)
    for number, (index, width) in enumerate(steps.split.plan(4)):
        steps.step(index, width)
        assert float(steps.rate) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6)
        assert steps.learning_rates[number] == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        assert all(group["lr"] is steps.rate for group in steps.optimizer.param_groups)
        optimizer.step()
        schedule.step()


def test_a_run_can_be_recorded(arch: str) -> None:
    """The run around it: curve, selection, predictions."""
    part = split(texts=60)
    corpus = Corpus(
        "made", "en", ("a", "b", "c"), part, split(9, 1), split(9, 2), ("x",) * tiny.WORDS, "f", ()
    )
    settings = CellSettings(RECIPES["uegr"], tiny.sizes(arch), SETTINGS, TextSettings())
    curves = []
    for recorder in (None, StandIn):
        run = Run(tiny.model(arch, double=False), 0, settings, corpus, CPU, recorder)
        run.fit(lambda share, entry: None)
        assert run.steps.recorded == (recorder is not None)
        assert run.predict(corpus.test).probabilities.shape == (9, 3)
        curves.append(run.curve)
    assert [entry.keys() for entry in curves[0]] == [entry.keys() for entry in curves[1]]
    assert curves[0][0]["learning_rate"] == pytest.approx(curves[1][0]["learning_rate"])
    assert curves[0][0]["loss"] == pytest.approx(curves[1][0]["loss"], rel=0.2)  # other masks


def test_a_recorded_run_can_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves the schedule where it is, and its curve is the beginning of the whole run's."""
    part = split(texts=60)
    corpus = Corpus(
        "made", "en", ("a", "b", "c"), part, split(9, 1), split(9, 2), ("x",) * tiny.WORDS, "f", ()
    )
    curves = []
    for patience in (0, 2):
        tiny.scores(monkeypatch, 0.5, 0.4, 0.3, 0.2, 0.1)
        train = dataclasses.replace(SETTINGS, epochs=5, patience=patience)
        settings = CellSettings(RECIPES["uegr"], tiny.sizes("textcnn"), train, TextSettings())
        run = Run(tiny.model("textcnn", double=False), 0, settings, corpus, CPU, StandIn)
        run.fit(lambda share, entry: None)
        assert run.steps.recorded
        assert run.best_epoch == 1
        curves.append(run.curve)
    assert curves[1] == curves[0][:3]


def test_a_cuda_graph_is_made_in_the_order_that_torch_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generator registered first, work inside the capture on the recorder's stream, and only there."""
    calls: list[Any] = []

    class Graph:
        def register_generator_state(self, generator: torch.Generator) -> None:
            calls.append(("register", generator))

        def replay(self) -> None:
            calls.append("replay")

    @contextmanager
    def capture(graph: Graph, pool: object, stream: object) -> Iterator[None]:
        calls.append(("capture", pool, stream))
        yield
        calls.append("captured")

    class Stream:
        def __init__(self, device: torch.device) -> None:
            self.device = device

    here = [Stream(CPU), Stream(CPU)]
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: here[0])
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    generator = torch.Generator()
    _stream.cache_clear()
    recorder = CudaRecorder(CPU, generator)
    assert CudaRecorder(CPU, generator).stream is recorder.stream, "one for all cells of a lane"
    here.reverse()
    assert CudaRecorder(CPU, generator).stream is not recorder.stream, "another lane, another stream"
    _stream.cache_clear()
    replay = recorder.record(lambda: calls.append("work"))
    assert calls == [("register", generator), ("capture", "pool", recorder.stream), "work", "captured"]
    replay()
    assert calls[-1] == "replay"


class Fails(StandIn):
    """A recorder whose second recording fails, as a capture does that meets what a graph cannot hold."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        if self.recorded == 1:
            raise RuntimeError("CUDA error: operation not permitted\nwhen stream is capturing")
        return super().record(work)


def test_a_recording_that_fails_leaves_ordinary_steps_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training goes on as if nothing had been recorded: the same losses."""
    part, losses = split(texts=400), []
    with steady_noise(monkeypatch):
        for recorder in (None, Fails(torch.Generator())):
            trainee = prepare(tiny.model("textcnn").train(), RECIPES["uegr"], torch.Generator())
            steps = GraphedSteps(trainee, SETTINGS, part, 0, CPU, recorder)
            losses.append([steps.epoch(epoch)[1]["loss"] for epoch in range(2)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert not steps.recorded
    said = "recording failed: CUDA error: operation not permitted when stream is capturing"
    assert steps.not_recorded == said


def test_memory_that_ends_while_recording_is_no_such_thing() -> None:
    class Full(StandIn):
        def record(self, work: Callable[[], None]) -> Callable[[], None]:
            raise torch.cuda.OutOfMemoryError("out of memory")

    trainee = prepare(tiny.model("textcnn", double=False).train(), RECIPES["standard"])
    steps = GraphedSteps(trainee, SETTINGS, split(texts=400), 0, CPU, Full(torch.Generator()))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        steps.epoch(0)


def test_a_result_says_why_steps_are_not_replayed() -> None:
    part = split(texts=60)
    corpus = Corpus(
        "made", "en", ("a", "b", "c"), part, split(9, 1), split(9, 2), ("x",) * tiny.WORDS, "f", ()
    )
    for changes, why in (({"saliency": "epoch"}, "saliency=epoch"), ({}, "")):
        settings = CellSettings(
            RECIPES["uegr"].changed(**changes), tiny.sizes("textcnn"), SETTINGS, TextSettings()
        )
        run = Run(tiny.model("textcnn", double=False), 0, settings, corpus, CPU, StandIn)
        assert (run.steps.recorded, run.not_recorded) == (not why, why)
    run = Run(tiny.model("textcnn", double=False), 0, settings, corpus, CPU, None)
    assert (run.steps.recorded, run.not_recorded) == (False, ""), "nobody asked for it"


# --- on a GPU -----------------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("name", TABLE_IV)
def test_graphs_give_the_losses_of_ordinary_steps(arch: str, name: str) -> None:
    """The same seeds, recorded and not: the same random numbers, so float32 rounding is all there is."""
    device, losses = torch.device("cuda"), []
    for record in (False, True):
        model = tiny.model(arch, double=False).train().to(device)
        generator = torch.Generator(device).manual_seed(0)
        trainee = prepare(model, RECIPES[name], generator)
        recorder = CudaRecorder(device, generator) if record else None
        steps = GraphedSteps(trainee, replace(SETTINGS, epochs=3), split(400), 1, device, recorder)
        losses.append([steps.epoch(e)[1]["loss"] for e in range(3)])
        assert bool(steps.replays) == record
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
