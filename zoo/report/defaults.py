"""The answer to the question of the defaults, from its committed cells: `python -m zoo.study defaults`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from zoo.core.names import display
from zoo.core.result import Result
from zoo.evidence.answers import Row
from zoo.evidence.questions import Owners, Question, owners, question
from zoo.grid.store import Store
from zoo.report.answers import blocks, parts_of
from zoo.report.blocks import Block, Text
from zoo.report.planned import listed, numbers
from zoo.settings import PRESETS

__all__ = ["defaults", "whole_rows"]

_CHOSEN = """\
A setting is chosen by the validation part; the test part of the same networks is shown to see whether the \
choice holds, and nothing is chosen by it."""


def defaults(folder: Path, name: str = "defaults") -> list[Block]:
    """How much of the study is there, and its tables from what is whole of it; empty without a cell.

    A seed is whole on a corpus where every variant has a result under every learning rate, with every model.
    The answer is from the seeds that are whole on every corpus; without one, from as many corpora as one
    seed has whole, and says so: no mean is over other corpora than its neighbours'.

    Raises:
        UserError: two results for one place.
    """
    asked = question(name)
    results = {result.id: result for result in Store(folder).cells()}
    owned = owners(asked, results.values())
    ids = dict.fromkeys(id for own in owned.values() for id in own)
    if not ids:
        return []
    corpora = _corpora(asked)
    seeds, parts, within = _within(asked, owned, results)
    networks = len(owned) * len(asked.archs) * len(corpora) * len(asked.seeds)
    done = sum(_planned(asked, corpora, results[id]) for id in ids)
    models = listed(map(display, asked.archs))
    said = f"{done} of {networks} networks are there ({len(owned)} rows, {models} on "
    said += f"{listed(map(display, corpora))}, seeds {numbers(asked.seeds)}). "
    if not seeds:
        return [Text(asked.asks), Text(f"{said}Nothing is whole yet, so there is no answer yet.")]
    on = "." if len(parts) == len(corpora) else f" on {listed(map(display, parts))}, and AVG is over these."
    said += f"The answer is from what is whole: {numbers(seeds, 'seed')}{on}"
    asks, *answer = blocks(parts_of(asked, within, results, test=True), asked)
    return [asks, Text(said), *answer, Text(_CHOSEN)]


def whole_rows(folder: Path, name: str) -> Sequence[Row]:
    """The rows of the validation accuracy from what is whole; none where nothing is.

    Raises:
        UserError: two results for one place.
    """
    asked = question(name)
    results = {result.id: result for result in Store(folder).cells()}
    seeds, _, within = _within(asked, owners(asked, results.values()), results)
    return parts_of(asked, within, results, test=False)[0].rows if seeds else []


def _corpora(asked: Question) -> Sequence[str]:
    return asked.corpora or PRESETS[asked.preset]["corpora"]


def _within(
    asked: Question, owned: Owners, results: Mapping[str, Result]
) -> tuple[list[int], Sequence[str], Owners]:
    """The seeds and the corpora that are whole, and the cells of these among the owned ones."""
    corpora = _corpora(asked)
    seeds = [seed for seed in asked.seeds if _whole(asked, corpora, owned, results, seed)]
    if not seeds:
        parts = {
            seed: [name for name in corpora if _whole(asked, [name], owned, results, seed)]
            for seed in asked.seeds
        }
        most = max(parts, key=lambda seed: len(parts[seed]))
        corpora, seeds = parts[most], [most] if parts[most] else []
    kept = {
        key: [id for id in own if results[id].cell.seed in seeds and _planned(asked, corpora, results[id])]
        for key, own in owned.items()
    }
    return seeds, corpora, kept


def _planned(asked: Question, corpora: Iterable[str], result: Result) -> bool:
    cell = result.cell
    axes = ((cell.arch, asked.archs), (cell.corpus, corpora), (cell.seed, asked.seeds))
    return result.done and all(value in values for value, values in axes)


def _whole(
    asked: Question, corpora: Sequence[str], owned: Owners, results: Mapping[str, Result], seed: int
) -> bool:
    wanted = {(arch, corpus, seed) for arch, corpus in itertools.product(asked.archs, corpora)}
    for own in owned.values():
        cells = (results[id].cell for id in own if results[id].done)
        if not wanted <= {(cell.arch, cell.corpus, cell.seed) for cell in cells}:
            return False
    return True
