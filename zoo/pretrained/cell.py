"""One cell of a model of Hugging Face: from labelled texts to a result, as `zoo.training.cell` does it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from zoo.core.errors import UserError
from zoo.core.result import DONE, CorpusInfo, Result, answers_json, measures_of
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.folders import caution, config_of, folder_of, short_name
from zoo.pretrained.run import PretrainedRun
from zoo.text.examples import Examples
from zoo.training.device import begin_cell, peak_memory_mb, work_of
from zoo.training.environment import machine, made_by, versions
from zoo.training.loop import Progress
from zoo.training.settings import CellSettings
from zoo.training.turns import Turns


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
    length = settings.text.max_length  # type: ignore[attr-defined]
    try:
        with work_of(settings.train):
            run.fit(progress, turns.of() if turns else None)
            test = encoder.encode(examples.test, length)
            answers = {"test": run.predict(test)}
            for on, part in examples.further.items():
                answers[on] = run.predict(encoder.encode(part, length))
            answers["attacked"], how = run.attacked(test)
    finally:
        run.close()
    keep(run)
    wall, cpu = run.times.mean_step()
    return replace(
        head,
        status=DONE,
        measures=measures_of(answers, (examples.measure, *examples.measures)),
        validation_accuracy=run.best_score,
        best_epoch=run.best_epoch,
        curve=tuple(run.curve),
        **answers_json(answers["test"]),
        attacked={**how, **answers_json(answers["attacked"])},
        further={on: answers_json(answers[on]) for on in examples.further},
        parameters=sum(p.numel() for p in run.model.parameters()),
        machine=machine(device),
        seconds={
            "total": time.perf_counter() - started + run.earlier_seconds,
            "train": run.train_seconds,
            "evaluate": run.evaluate_seconds,
        },
        step_seconds=wall,
        step_cpu_seconds=cpu if device.type == "cpu" else None,
        peak_memory_mb=peak_memory_mb(device),
        made_by=made_by(),
        versions={**versions(), "transformers": _transformers()},
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
    rows = itertools.cycle(run._rows(run.data, settings.train.batch_size, epoch=1, shuffle=True))
    for number in itertools.islice(rows, warm + timed):
        run.step(run._labelled(run.data, number))
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


def _transformers() -> str:
    import transformers

    return str(transformers.__version__)
