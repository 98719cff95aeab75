"""What was run: cells, machine, corpora and settings, as the results themselves say it. Text in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo.core.names import BASELINE, display, in_order
from zoo.grid.store import canonical_json
from zoo.report.render import MISSING, markdown_list, markdown_table

__all__ = ["changed_settings", "setup_text"]

Result = Mapping[str, Any]
_PARTS = {"model": "Model", "train": "Training", "text": "Text"}


def setup_text(results: Sequence[Result]) -> str:
    """A list of what was run, the corpora, the settings that all cells share, and those of each recipe."""
    networks = [result for result in results if result["cell"]["recipe"] != BASELINE]
    parts = [markdown_list(_overview(results, networks)), _corpora(results), *_settings(networks)]
    return "\n\n".join(parts)


def changed_settings(
    results: Iterable[Result], defaults: Iterable[Result]
) -> dict[str, dict[str, list[str]]]:
    """recipe -> `setting value (default value)` -> archs, where cells of `results` differ from `defaults`.

    Cells are matched by arch, corpus and recipe.
    """
    plain = {_place(result): _flat(result.get("settings", {})) for result in defaults}
    changes: dict[str, dict[str, list[str]]] = {}
    for result in results:
        own, base = _flat(result.get("settings", {})), plain.get(_place(result))
        recipe = changes.setdefault(result["cell"]["recipe"], {})
        for name in own if base is not None else ():
            if base is not None and own[name] != base.get(name):
                change = f"{name} {_text(own[name])} (default {_text(base.get(name))})"
                archs = recipe.setdefault(change, [])
                if result["cell"]["arch"] not in archs:
                    archs.append(result["cell"]["arch"])
    return {recipe: changes[recipe] for recipe in in_order(changes)}


def _overview(results: Sequence[Result], networks: Sequence[Result]) -> Iterable[str]:
    failed = sum(result["status"] == "failed" for result in networks)
    archs, recipes, corpora = (_names(networks, part) for part in ("arch", "recipe", "corpus"))
    seeds = sorted({result["cell"]["seed"] for result in networks})
    folds = {result["cell"].get("fold") for result in networks} - {None}
    yield (
        f"{len(networks)} cells, {failed} of them failed: models {', '.join(archs)}; recipes "
        f"{', '.join(recipes)}; corpora {', '.join(corpora)}; seeds {', '.join(map(str, seeds))}"
        + (f"; {len(folds)} folds." if folds else ".")
    )
    if len(results) > len(networks):
        yield f"{len(results) - len(networks)} cells of the reference row, {display(BASELINE)}."
    devices = _values(result.get("device") for result in networks)
    threads = _values(str(result["threads"]) for result in networks if "threads" in result)
    seconds = sum((result.get("seconds") or {}).get("total", 0.0) for result in results)
    yield f"Machine: {', '.join(devices) or 'not recorded'}; threads a cell: {', '.join(threads) or MISSING}."
    yield (
        f"Time of all cells together, each counted by itself: {_duration(seconds)}; CPU time of the training "
        f"steps in it: {_duration(sum(map(_step_cpu_seconds, networks)))}."
    )
    versions: dict[str, list[str]] = {}
    for result in results:
        for name, version in (result.get("versions") or {}).items():
            versions.setdefault(name, []).append(version)
    yield "Versions: " + ", ".join(f"{n} {' and '.join(_values(v))}" for n, v in versions.items()) + "."


def _corpora(results: Sequence[Result]) -> str:
    found = {canonical_json(r["corpus"]): r["corpus"] for r in results if r.get("corpus")}
    order = in_order(corpus["name"] for corpus in found.values())
    numbers = ("labels", "train_rows", "validation_rows", "test_rows", "words")
    rows = [
        (
            display(corpus["name"]),
            *(f"{corpus[key]:,}" if key in corpus else MISSING for key in numbers),
            "; ".join(corpus.get("notes", ())) or MISSING,
        )
        for corpus in sorted(found.values(), key=lambda corpus: order.index(corpus["name"]))
    ]
    header = ("Corpus", "Classes", "Training texts", "Validation", "Test", "Vocabulary", "Notes")
    return markdown_table(header, rows, numbers=len(numbers))


def _settings(networks: Sequence[Result]) -> Iterable[str]:
    by_corpus, by_recipe = dict[str, list[dict[str, Any]]](), dict[str, list[dict[str, Any]]]()
    for result in networks:
        parts = result.get("settings", {})
        common = {part: value for part, value in parts.items() if part != "recipe"}
        by_corpus.setdefault(result["cell"]["corpus"], []).append(_flat(common))
        by_recipe.setdefault(result["cell"]["recipe"], []).append(_flat({"recipe": parts.get("recipe", {})}))
    shared, varying = _split(by_corpus)
    lines = [
        f"{_PARTS.get(part, part)}: "
        + ", ".join(
            f"{name.split('.', 1)[1]} {value}" for name, value in shared.items() if _part(name) == part
        )
        + "."
        for part in dict.fromkeys(map(_part, shared))
    ]
    lines += [
        f"{name.split('.', 1)[-1]}: "
        + ", ".join(f"{display(c)} {value}" for c, value in values.items())
        + "."
        for name, values in varying.items()
    ]
    yield "Settings of all cells:"
    yield markdown_list(lines)
    shared, varying = _split(by_recipe)
    if varying:
        yield "What makes the recipes (docs/decisions.md says what each setting means):"
        names = [name.split(".", 1)[-1] for name in varying]
        rows = [(display(r), *(values[r] for values in varying.values())) for r in in_order(by_recipe)]
        yield markdown_table(("Recipe", *names), rows, numbers=0)
    if shared:
        what = ", ".join(f"{name.split('.', 1)[-1]} {value}" for name, value in shared.items())
        yield f"The same in every recipe, where the recipe has the part: {what}."


def _step_cpu_seconds(result: Result) -> float:
    """CPU time of a cell's training steps: their recorded mean times their number; 0 where not recorded."""
    mean, rows = result.get("step_cpu_seconds"), (result.get("corpus") or {}).get("train_rows")
    batch = result.get("settings", {}).get("train", {}).get("batch_size")
    if not (mean and rows and batch):
        return 0.0
    return float(mean * math.ceil(rows / batch) * len(result.get("curve", ())))


def _split(
    settings: Mapping[str, Sequence[Mapping[str, Any]]],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Settings (label -> those of its cells) that all labels share, and label -> value of the others."""
    names = dict.fromkeys(name for cells in settings.values() for cell in cells for name in cell)
    table = {
        name: {
            label: " or ".join(_values(_text(cell.get(name)) for cell in settings[label]))
            for label in in_order(settings)
        }
        for name in names
    }
    shared = {name: next(iter(row.values())) for name, row in table.items() if len(set(row.values())) == 1}
    return shared, {name: row for name, row in table.items() if name not in shared}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for part, own in settings.items() for name, value in own.items()}


def _part(name: str) -> str:
    return name.split(".", 1)[0]


def _place(result: Result) -> tuple[str, str, str]:
    cell = result["cell"]
    return cell["arch"], cell["corpus"], cell["recipe"]


def _names(results: Iterable[Result], part: str) -> list[str]:
    return [display(name) for name in in_order(result["cell"][part] for result in results)]


def _values(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value)) or "(default)"
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: MISSING}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
