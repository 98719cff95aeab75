"""What a training is, by its kind: of a cell by itself, of the seeds of one, of one model on several corpora.

Each tells of its progress and gives results; nothing is written here but weights that are to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.classifier import own
from zoo.classifier.families import Made
from zoo.classifier.network import Network
from zoo.core.errors import UserError
from zoo.core.names import is_pretrained
from zoo.core.result import Result
from zoo.grid.jobs import Job, Places, Send
from zoo.text import Examples, load_corpus, load_examples
from zoo.training.baseline import BaselineSettings, run_baseline
from zoo.training.cell import Trained, train_cell, write_weights
from zoo.training.environment import who
from zoo.training.lanes import aside
from zoo.training.seeds import train_seeds
from zoo.training.settings import CellSettings
from zoo.training.turns import Turns

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zoo.pretrained.cell import Fitted
    from zoo.pretrained.run import PretrainedRun


def result_of(job: Job, places: Places, send: Send, number: int) -> Result:
    """The result of a cell that is trained by itself.

    Raises:
        CellFailed, OutOfTime, UserError: as `zoo.training.cell.train_cell`; a corpus that has changed.
    """
    settings, progress = job.settings, partial(_told, send, number)
    turns = turns_of(job, places, lambda share: send(("resumed", number, {"share": share})))
    device = device_of(places)
    if is_pretrained(job.model):
        from zoo.classifier.pretrained import made_of
        from zoo.pretrained.cell import train_pretrained

        assert not isinstance(settings, BaselineSettings)
        examples = _examples(job, places)

        def keep(run: PretrainedRun) -> None:
            _keep(job, places, run.model, lambda: made_of(run, job.model, settings, examples))

        return train_pretrained(job.head, settings, job.model, examples, device, progress, keep, turns)
    corpus = load_corpus(job.source, settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(job, corpus.fingerprint)
    if isinstance(settings, BaselineSettings):
        with aside():
            return run_baseline(job.head, corpus, settings)
    return train_cell(
        job.head,
        settings,
        corpus,
        device,
        progress,
        places.graphs,
        cache_dir=places.cache,
        keep=lambda trained: _keep(job, places, trained.run.model, lambda: own.made_of(trained)),
        turns=turns,
    )


def of_seeds(jobs: Sequence[Job], places: Places, send: Send, tell: Mapping[str, int]) -> list[Result]:
    """The results of cells that differ in their seeds alone, trained as one model."""
    settings = jobs[0].settings
    assert isinstance(settings, CellSettings)
    corpus = load_corpus(jobs[0].source, settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(jobs[0], corpus.fingerprint)

    def progress(number: int, share: float, entry: dict[str, Any]) -> None:
        _told(send, tell[jobs[number].id], share, entry)

    def keep(number: int, trained: Trained) -> None:
        _keep(jobs[number], places, trained.run.model, lambda: own.made_of(trained))

    heads = [job.head for job in jobs]
    return train_seeds(
        heads, settings, corpus, device_of(places), progress, places.graphs, places.cache, keep, places.until
    )


def of_corpora(jobs: Sequence[Job], places: Places, send: Send, tell: Mapping[str, int]) -> list[Result]:
    """The results of one training of all these cells; of its progress those in `tell` are told."""
    from zoo.classifier.pretrained import made_of
    from zoo.pretrained.cell import train_together

    parts = [_examples(job, places) for job in jobs]
    settings = [job.settings for job in jobs if isinstance(job.settings, CellSettings)]

    def progress(share: float, entries: Sequence[dict[str, Any]]) -> None:
        for job, entry in zip(jobs, entries, strict=True):
            if job.id in tell:
                _told(send, tell[job.id], share, entry)

    def keep(number: int, fitted: Fitted) -> None:
        job, own, examples = jobs[number], settings[number], parts[number]
        if job.id in tell:
            _keep(job, places, fitted.model, lambda: made_of(fitted, job.model, own, examples))

    def resumed(share: float) -> None:
        for number in tell.values():
            send(("resumed", number, {"share": share}))

    heads = [job.head for job in jobs]
    turns = turns_of(jobs[0], places, resumed)
    return train_together(heads, settings, jobs[0].model, parts, device_of(places), progress, keep, turns)


def device_of(places: Places) -> torch.device:
    """The device of the places, on a GPU from now on torch's own."""
    import torch

    device = torch.device(places.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    return device


def _examples(job: Job, places: Places) -> Examples:
    """The labelled texts of a cell of a model of Hugging Face, as they were when the run began."""
    assert isinstance(job.settings, CellSettings)
    examples = load_examples(job.source, job.settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(job, examples.fingerprint)
    return examples


def turns_of(job: Job, places: Places, resumed: Callable[[float], None] = lambda share: None) -> Turns:
    """Where the state of a training is kept, and who may go on with it; `resumed`: see `Turns`."""
    import torch

    device = torch.device(places.device)
    # Replayed and ordinary steps keep their states in unlike forms.
    steps = {"graphs": places.graphs} if device.type == "cuda" else {}
    return Turns(places.begun, job.claim, who(device) | steps, places.until, resumed)


def _told(send: Send, number: int, share: float, entry: dict[str, Any]) -> None:
    send(("epoch", number, {"share": share, "entry": entry}))


def _check_same(job: Job, fingerprint: str) -> None:
    if fingerprint != job.corpus.fingerprint:
        raise UserError(f"corpus {job.source} has changed since the run began; run again")


def _keep(job: Job, places: Places, model: nn.Module, made: Callable[[], Made]) -> None:
    """Write the weights and the network of a cell where they are wanted."""
    if (path := places.weights(job.id)) is not None:
        write_weights(model.state_dict(), path)
    if (folder := places.model(job.id)) is not None:
        Network.of(made(), job.cell.recipe).save(folder)
