"""One cell of a model of Hugging Face: from labelled texts to a result, as `zoo.training.cell` does it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from zoo.core.errors import UserError
from zoo.core.result import DONE, CorpusInfo, Result, answers_json, measures_of
from zoo.pretrained.answers import Answering
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.folders import caution, config_of, folder_of, short_name
from zoo.pretrained.multitask import MultiTask, MultiTaskRun, Task
from zoo.pretrained.run import PretrainedRun
from zoo.text.examples import Examples
from zoo.training.device import begin_cell, peak_memory_mb, work_of
from zoo.training.environment import machine, made_by, versions
from zoo.training.loop import Progress
from zoo.training.settings import CellSettings
from zoo.training.turns import Turns

# Between the seeds of the heads of one cell: far from those of other cells.
HEAD_SEEDS = 1_000_000


def train_pretrained(
    head: Result,
    settings: CellSettings,
    arch: str,
    examples: Examples,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
    keep: Callable[[PretrainedRun], None] = lambda run: None,
    turns: Turns | None = None,
) -> Result:
    """Train and evaluate one cell; the arguments as those of `zoo.training.cell.train_cell`.

    Args:
        arch: the model as it was asked for, `hf:` and where it is.
        keep: called with the run after the evaluation, its hooks taken out, to write it where it is wanted.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
        OutOfTime: the turn was too short.
    """
    started = time.perf_counter()
    begin_cell(device)
    encoder = Encoder(folder_of(arch))
    run = make_run(head.cell.seed, settings, encoder, examples, device)
    try:
        with work_of(settings.train):
            run.fit(progress, turns.of() if turns else None)
            answered = _answered(head, run.answering, settings, examples)
    finally:
        run.close()
    keep(run)
    wall, cpu = run.times.mean_step()
    return replace(
        answered,
        validation_accuracy=run.best_score,
        best_epoch=run.best_epoch,
        curve=tuple(run.curve),
        machine=machine(device),
        seconds={
            "total": time.perf_counter() - started + run.earlier_seconds,
            "train": run.train_seconds,
            "evaluate": run.answering.seconds,
        },
        step_seconds=wall,
        step_cpu_seconds=cpu if device.type == "cpu" else None,
        peak_memory_mb=peak_memory_mb(device),
        made_by=made_by(),
        versions={**versions(), "transformers": _transformers()},
    )


@dataclass(frozen=True)
class Fitted:
    """What a training of several tasks leaves of one: its classifier, with the weights that it selects."""

    model: nn.Module
    encoder: Encoder
    seed: int
    device: torch.device
    validates: bool
    best_score: float
    best_epoch: int
    curve: Sequence[Mapping[str, Any]]


def train_together(
    heads: Sequence[Result],
    settings: Sequence[CellSettings],
    arch: str,
    parts: Sequence[Examples],
    device: torch.device,
    progress: Callable[[float, Sequence[dict[str, Any]]], None] = lambda share, entries: None,
    keep: Callable[[int, Fitted], None] = lambda number, fitted: None,
    turns: Turns | None = None,
) -> list[Result]:
    """Train one model on all tasks, and evaluate it on each: a result a task (`zoo.pretrained.multitask`).

    Seconds of a result are its part of the training, by its steps; the seconds of a step are those of all.

    Args:
        heads, settings, parts: one a task, in the same order; settings are equal but for the text.
        arch: the model as it was asked for, `mtdnn:` and where it is.
        progress: as `Progress`, with an entry of the curve for each task (empty ones within an epoch).
        keep: called with the number of a task and what is left of it, after its evaluation.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
        OutOfTime: the turn was too short.
    """
    started = time.perf_counter()
    begin_cell(device)
    run = make_run_together(heads[0].cell.seed, settings, Encoder(folder_of(arch)), parts, device)
    numbers = range(len(heads))
    results = []
    with work_of(settings[0].train):
        try:
            run.fit(
                lambda share, entry: progress(share, [run.entry_of(n, entry) for n in numbers]),
                turns.of() if turns else None,
            )
        finally:
            run.close()
        for number, (head, own, examples) in enumerate(zip(heads, settings, parts, strict=True)):
            answering, best = run.select(number), run.best[number]
            answered = _answered(head, answering, own, examples)
            curve = [run.entry_of(number, entry) for entry in run.curve]
            keep(number, Fitted(answering.model, run.encoder, run.seed, device, run.validates,
                                best.score, best.epoch, curve))  # fmt: skip
            results.append(
                replace(answered, validation_accuracy=best.score, best_epoch=best.epoch, curve=tuple(curve))
            )
    wall, cpu = run.times.mean_step()
    seconds = {
        "total": time.perf_counter() - started + run.earlier_seconds,
        "train": run.train_seconds,
        "evaluate": sum(answering.seconds for answering in run.answering),
    }
    return [
        replace(
            result,
            machine=machine(device),
            seconds={what: value * steps / run.steps for what, value in seconds.items()},
            step_seconds=wall,
            step_cpu_seconds=cpu if device.type == "cpu" else None,
            peak_memory_mb=peak_memory_mb(device),
            made_by=made_by(),
            versions={**versions(), "transformers": _transformers()},
        )
        for result, steps in zip(results, run.steps_of_task, strict=True)
    ]


def _answered(head: Result, answering: Answering, settings: CellSettings, examples: Examples) -> Result:
    """The result with all that the trained model says of the test parts."""
    length = settings.text.max_length  # type: ignore[attr-defined]
    test = answering.encoder.encode(examples.test, length)
    answers = {"test": answering.predict(test)}
    for on, part in examples.further.items():
        answers[on] = answering.predict(answering.encoder.encode(part, length))
    answers["attacked"], how = answering.attacked(test)
    return replace(
        head,
        status=DONE,
        measures=measures_of(answers, (examples.measure, *examples.measures)),
        **answers_json(answers["test"]),
        attacked={**how, **answers_json(answers["attacked"])},
        further={on: answers_json(answers[on]) for on in examples.further},
        parameters=sum(p.numel() for p in answering.model.parameters()),
    )


def check_settings(arch: str, settings: CellSettings) -> None:
    """Refuse what these models do not do.

    Raises:
        UserError: several members, or word vectors that are not the model's own.
    """
    if settings.train.members > 1:
        raise UserError(f"members={settings.train.members}: {arch} is trained alone; expected 1")
    if settings.train.vectors != "random":
        raise UserError(f"vectors={settings.train.vectors}: {arch} has its own; expected none to be named")


def examples_info(examples: Examples, arch: str) -> CorpusInfo:
    """What a result says of its corpus; `words` counts the pieces that the model knows."""
    return CorpusInfo(
        examples.name, examples.language, examples.fingerprint, examples.outputs, len(examples.train),
        len(examples.validation), len(examples.test), int(config_of(folder_of(arch)).get("vocab_size", 0)),
        (*examples.notes, *caution(short_name(arch), examples.name)), examples.measure,
    )  # fmt: skip


def seconds_a_step(
    seed: int,
    settings: CellSettings,
    arch: str,
    examples: Examples,
    device: torch.device,
    warm: int,
    timed: int,
) -> float:
    """Mean wall seconds of a few real steps, for an estimate."""
    run = make_run(seed, settings, Encoder(folder_of(arch)), examples, device)
    run.model.train()
    batches = itertools.chain.from_iterable(map(run.batches, itertools.count(1)))
    for batch in itertools.islice(batches, warm + timed):
        run.step(batch)
    run.close()
    return sum(run.times.wall[warm:]) / timed


def make_run(
    seed: int, settings: CellSettings, encoder: Encoder, examples: Examples, device: torch.device
) -> PretrainedRun:
    """A run that is about to begin, on the training and the validation part."""
    length = settings.text.max_length  # type: ignore[attr-defined]
    model = encoder.model(examples.outputs, seed, settings.model.pretrained)  # type: ignore[attr-defined]
    train, validation = (encoder.encode(part, length) for part in (examples.train, examples.validation))
    return PretrainedRun(
        model, encoder, settings.recipe, settings.train, train, validation, seed, device, examples.measure
    )


def make_run_together(
    seed: int,
    settings: Sequence[CellSettings],
    encoder: Encoder,
    parts: Sequence[Examples],
    device: torch.device,
) -> MultiTaskRun:
    """A run of several tasks that is about to begin; the encoder is that of the first one's seed."""
    pretrained = settings[0].model.pretrained  # type: ignore[attr-defined]
    classifiers, tasks = [], []
    for number, (own, examples) in enumerate(zip(settings, parts, strict=True)):
        length = own.text.max_length  # type: ignore[attr-defined]
        classifiers.append(encoder.model(examples.outputs, seed + HEAD_SEEDS * number, pretrained))
        train, validation = (encoder.encode(part, length) for part in (examples.train, examples.validation))
        tasks.append(Task(train, validation, examples.measure))
    return MultiTaskRun(
        MultiTask(classifiers), encoder, settings[0].recipe, settings[0].train, tasks, seed, device
    )


def _transformers() -> str:
    import transformers

    return str(transformers.__version__)
