"""One cell as text: its result first, then how it learned, what it was, and its settings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from zoo.core import measures
from zoo.core.names import display
from zoo.core.result import NO_ARCH, Result
from zoo.evidence.compare import processor
from zoo.evidence.settings import ABSENT, by_name, shown
from zoo.evidence.statistics import Spread
from zoo.report.blocks import MISSING, Block, Heading, List, Table, Text, terminal
from zoo.report.origin import named, programs
from zoo.report.panels import value_text

__all__ = ["show_cell"]

_PARTS = {
    "recipe": "of the recipe", "model": "of the model", "train": "of training", "text": "of the text",
    "baseline": "of the baseline",
}  # fmt: skip


def show_cell(result: Result, defaults: Mapping[str, Any] | None = None, width: int = 80) -> str:
    """One cell, no line longer than `width`.

    Args:
        defaults: settings to hold those of the cell against, in the form of `Result.settings`; what differs
            is named first.
    """
    cell = result.cell
    arch = "" if cell.arch == NO_ARCH else f"{display(cell.arch)}, "
    where = f"seed {cell.seed}" + ("" if cell.fold is None else f", fold {cell.fold}")
    blocks: list[Block] = [
        Heading(result.id),
        Text(f"{arch}{display(cell.recipe)} on {display(cell.corpus)}, {where}: {result.status}."),
        *_outcome(result),
        *_curve(result),
        List(tuple(_facts(result))),
        *_settings(result.settings, defaults or {}),
    ]
    text = terminal(blocks, width)
    if result.traceback:
        text += "\n" + textwrap.indent(result.traceback.rstrip(), "  ") + "\n"
    return text


def _outcome(result: Result) -> Iterator[Block]:
    if not result.done:
        yield Text(f"It failed: {result.reason or 'no reason given'}")
        return
    rows = [
        (
            row.heading,
            value_text(Spread(result.measures[row.name], None, 1), row),
        )
        for row in measures.MEASURES
        if row.name in result.measures
    ]
    if result.validation_accuracy is not None:
        epoch = f" (best epoch, {result.best_epoch})" if result.best_epoch else ""
        title = measures.measure(result.measure).title.replace("Test ", "Validation ")
        rows.append((f"{title}, %{epoch}", f"{100 * result.validation_accuracy:.2f}"))
    yield Table(("Result", ""), tuple(rows))
    if result.cell.arch != NO_ARCH and (what := result.without_skill):
        yield Text(f"Caution: it {what}.")


def _curve(result: Result) -> Iterator[Block]:
    epochs = [_flat(epoch) for epoch in result.curve]
    names = tuple(dict.fromkeys(name for epoch in epochs for name in epoch))
    if names:
        rows = tuple(tuple(_text(epoch.get(name)) for name in names) for epoch in epochs)
        yield Table(names, rows, "Learning curve: means over the steps of an epoch")


def _facts(result: Result) -> Iterator[str]:
    if c := result.corpus:
        yield (
            f"{display(c.name)} ({c.language}): {c.labels} classes, {c.train_rows:,} training, "
            f"{c.validation_rows:,} validation and {c.test_rows:,} test texts, {c.words:,} words."
        )
        yield from c.notes
    yield from result.notes
    machine = result.machine
    fast = f"; fast paths {', '.join(machine.fast_paths)}" if machine.fast_paths else ""
    yield f"Processor: {processor(result)}; threads {machine.threads or MISSING}{fast}."
    yield f"Program: {named(programs([result]))}."
    if result.recorded:
        yield "Steps: replayed as CUDA graphs."
    elif result.not_recorded:
        yield f"Steps: not replayed as CUDA graphs; {result.not_recorded}."
    pairs = {
        "Attack": result.attacked,
        "Word vectors": result.vectors,
        "Seconds": result.seconds,
        "Cost": {
            "parameters": result.parameters,
            "seconds a step": result.step_seconds,
            "CPU seconds a step": result.step_cpu_seconds,
            "MiB at most": result.peak_memory_mb,
        },
        "Versions": result.versions,
    }
    for name, values in pairs.items():
        known = {
            k: v for k, v in (values or {}).items() if v is not None and k not in ("predictions", "truth")
        }
        if known:
            yield f"{name}: " + ", ".join(f"{key} {_text(value)}" for key, value in known.items()) + "."
    for tried in result.strengths:
        yield "Tried: " + ", ".join(f"{key} {_text(value)}" for key, value in tried.items()) + "."


def _settings(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Block]:
    base = by_name(defaults)
    changed = {n: v for n, v in by_name(settings).items() if base and shown(v) != shown(base.get(n))}
    if changed:
        yield Text(f"Settings that differ from the defaults: {_listed(changed.items())}.")
    for part, title in _PARTS.items():
        rest = {name: value for name, value in by_name(settings, part).items() if name not in changed}
        if rest:
            yield Text(f"{'Other settings' if changed else 'Settings'} {title}: {_listed(rest.items())}.")


def _listed(settings: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {text}" for name, value in settings if (text := shown(value)) != ABSENT)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key} ") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(value)
