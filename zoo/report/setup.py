"""What was run: cells, machine, corpora and settings, as the results themselves say it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo.core.names import BASELINE, display, in_order, is_pretrained
from zoo.core.result import NO_ARCH, Result
from zoo.evidence.cells import Cells
from zoo.evidence.settings import ABSENT, as_read, by_name, shown
from zoo.report.blocks import MISSING, Block, List, Table, Text
from zoo.report.origin import counted, named, processors, programs

__all__ = ["changed_settings", "setup"]

_PARTS = {"model": "Model", "train": "Training", "text": "Text"}
# At the default of `zoo.method.sites.Dropout` (a test compares) `uegr.attach` leaves modules their own rates.
_DEFAULT_RATES, _OWN_RATES = [0.2], "each module's own"


def setup(cells: Cells) -> list[Block]:
    """A list of what was run, the corpora, the settings that all cells share, and those of each recipe."""
    every = [result for runs in cells.groups.values() for result in runs.every]
    networks = [result for result in every if result.cell.arch != NO_ARCH]
    return [List(tuple(_overview(cells, every, networks))), _corpora(every), *_settings(cells, networks)]


def changed_settings(cells: Cells, defaults: Cells) -> dict[str, list[str]]:
    """Method -> `setting value (default value), models`, where `cells` differ from `defaults`.

    Groups are matched by model, corpus and recipe.
    """
    changes: dict[str, dict[str, list[str]]] = {}
    for key, runs in cells.groups.items():
        lines = changes.setdefault(key.method.name, {})
        base = _first(defaults.get(*key))
        own = _first(runs)
        for name, value in own.items() if base and key.arch != NO_ARCH else ():
            if shown(value) != shown(base.get(name)):
                change = f"{name} {shown(value)} (default {shown(base.get(name))})"
                archs = lines.setdefault(change, [])
                archs += [display(key.arch)] if display(key.arch) not in archs else []
    return {
        method: [f"{change}, {' and '.join(archs)}" for change, archs in lines.items()]
        for method, lines in changes.items()
    }


def _first(runs: Any) -> dict[str, Any]:
    return next((as_read(result.settings) for result in runs.every), {})


def _overview(cells: Cells, every: Sequence[Result], networks: Sequence[Result]) -> Iterable[str]:
    failed = sum(not result.done for result in networks)
    corpora = in_order(result.cell.corpus for result in networks)
    methods = [m for m in cells.methods() if any(k.method == m and k.arch != NO_ARCH for k in cells.groups)]
    seeds = sorted({result.cell.seed for result in networks})
    folds = {result.cell.fold for result in networks} - {None}
    names = {
        "models": map(display, cells.archs()),
        "recipes": (method.name for method in methods),
        "corpora": map(display, corpora),
        "seeds": map(str, seeds),
    }
    said = "; ".join(f"{what} {', '.join(own)}" for what, own in names.items())
    fold = f"; {len(folds)} folds" if folds else ""
    yield f"{len(networks)} cells, {failed} of them failed: {said}{fold}."
    if len(every) > len(networks):
        yield f"{len(every) - len(networks)} cells of the reference row, {display(BASELINE)}."
    done = [result for result in networks if result.done]
    threads = sorted({str(r.machine.threads) for r in done if r.machine.threads})
    if done:
        yield f"Processor: {counted(processors(done))}; threads a cell: {', '.join(threads) or MISSING}."
        yield f"Program: {named(programs(r for r in every if r.done))}."
    seconds = sum(result.seconds.get("total", 0.0) for result in every)
    yield (
        f"Time of all cells together, each counted by itself: {_duration(seconds)}; CPU time of the training "
        f"steps in it: {_duration(sum(map(_step_cpu_seconds, networks)))}."
    )
    versions: dict[str, dict[str, None]] = {}
    for result in every:
        for name, version in result.versions.items():
            versions.setdefault(name, {})[version] = None
    if versions:
        yield "Versions: " + ", ".join(f"{n} {' and '.join(sorted(v))}" for n, v in versions.items()) + "."


def _corpora(results: Sequence[Result]) -> Table:
    found = dict.fromkeys(result.corpus for result in results if result.corpus)
    order = in_order(corpus.name for corpus in found)
    rows = (
        (
            display(c.name),
            *(f"{n:,}" for n in (c.labels, c.train_rows, c.validation_rows, c.test_rows, c.words)),
            "; ".join(c.notes) or MISSING,
        )
        for c in sorted(found, key=lambda corpus: order.index(corpus.name))
    )
    header = ("Corpus", "Classes", "Training texts", "Validation", "Test", "Vocabulary", "Notes")
    return Table(header, tuple(rows), numbers=5)


def _settings(cells: Cells, networks: Sequence[Result]) -> Iterable[Block]:
    lines = []
    for part, title in _PARTS.items():
        labels = {"model": "arch"}.get(part, "corpus")
        groups: dict[str, list[dict[str, Any]]] = {}
        for result in networks:
            groups.setdefault(getattr(result.cell, labels), []).append(by_name(result.settings, part))
        shared, varying = _split({display(name): groups[name] for name in in_order(groups)})
        if shared:
            lines.append(f"{title}: " + ", ".join(f"{name} {value}" for name, value in shared.items()) + ".")
        for name, values in varying.items():
            said = ", ".join(f"{label} {value}" for label, value in values.items() if value != ABSENT)
            lines.append(f"{title}, {name}: {said}.")
    yield Text("Settings of all cells:")
    yield List(tuple(lines))
    recipes: dict[str, list[dict[str, Any]]] = {}
    for key, runs in cells.groups.items():
        if key.arch != NO_ARCH:
            own = [_recipe(r.settings, is_pretrained(key.arch)) for r in runs.every]
            recipes.setdefault(key.method.name, []).extend(own)
    shared, varying = _split(recipes)
    if varying:
        yield Text("What makes the recipes (docs/decisions.md says what each setting means):")
        rows = tuple((name, *(values[name] for values in varying.values())) for name in recipes)
        yield Table(("Recipe", *varying), rows, numbers=0)
    if shared:
        what = ", ".join(f"{name} {value}" for name, value in shared.items())
        yield Text(f"The same in every recipe that has it: {what}.")


def _recipe(settings: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    own = as_read(settings, "recipe")
    if pretrained and list(own.get("base_rates", ())) == _DEFAULT_RATES:
        own["base_rates"] = _OWN_RATES
    return own


def _split(
    settings: Mapping[str, Sequence[Mapping[str, Any]]],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Settings (label -> those of its cells) that all who have them share; name -> label -> value."""
    names = dict.fromkeys(name for cells in settings.values() for cell in cells for name in cell)
    table = {
        name: {
            label: " or ".join(sorted({shown(cell[name]) for cell in cells if name in cell})) or ABSENT
            for label, cells in settings.items()
        }
        for name in names
    }
    values = {name: set(row.values()) - {ABSENT} for name, row in table.items()}
    shared = {name: next(iter(found)) for name, found in values.items() if len(found) == 1}
    return shared, {name: row for name, row in table.items() if name not in shared and values[name]}


def _step_cpu_seconds(result: Result) -> float:
    """CPU time of a cell's training steps: their recorded mean times their number; 0 where not recorded."""
    batch = by_name(result.settings, "train").get("batch_size")
    if not (result.step_cpu_seconds and result.corpus and batch):
        return 0.0
    return result.step_cpu_seconds * math.ceil(result.corpus.train_rows / batch) * len(result.curve)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
