"""A card for each method, model and corpus, made from the tables of the code and from the committed results.

No number is typed here: passes come from the recipe, times from `results/performance/steps.json`, accuracies
and differences from the folders of results, by the functions that make docs/results.md.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from formula import latex
from zoo.core.cards import cards_folder, known_corpora
from zoo.core.measures import measure
from zoo.core.names import BASELINE, NO_ARCH, display, in_order
from zoo.core.records import Settings
from zoo.evidence.settings import shown
from zoo.grid.store import Store
from zoo.ideas import IDEAS, SOURCES
from zoo.models import MODELS
from zoo.recipes import RECIPES, TABLE_IV
from zoo.report.grids import GRIDS
from zoo.report.panels import difference_text, value_text
from zoo.report.tables import ArchTable, Row, build_tables

ATTACKED = "attacked_accuracy"


@cache
def tables(results: Path, folder: str) -> tuple[ArchTable, ...]:
    """The tables of a folder of results; none where it is not there."""
    path = results / folder
    cells = list(Store(path).cells()) if path.is_dir() else []
    return build_tables(cells) if cells else ()


@cache
def steps(results: Path) -> list[dict[str, Any]]:
    """What a step costs, as it was measured; none where nothing was."""
    path = results / "performance" / "steps.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    return [row for row in rows if not row["changes"]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; numbers, which all columns but the first are, to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def texts(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same with text in all columns."""
    return table(head, rows).replace(" ---: |", " --- |")


def method_card(name: str, results: Path) -> str:
    """The card of a recipe."""
    recipe, idea = RECIPES[name], IDEAS.get(name)
    parts = [f"(method-{name})=", f"# {display(name)}", f"`{name}`" + (f" · {idea.source}" if idea else "")]
    if idea:
        parts.append(idea.idea)
        parts += [f"```{{math}}\n{latex(formula)}\n```" for formula in idea.formulas]
    passes = f"{recipe.passes} forward-backward pass{'es' if recipe.passes > 1 else ''} a step"
    parts += ["## Cost", f"It needs {passes}; K passes that differ only behind the trunk share it."]
    if found := [row for row in steps(results) if row["recipe"] == name]:
        parts += [
            "Measured on one CPU core, batch 16 ([how, and on what machine](../performance.md)):",
            table(
                ("Model, length", "ms a step", "in plain steps", "straightforward code"),
                (
                    (
                        f"{display(row['arch'])}, {row['length']}",
                        f"{row['step_ms']:.1f}",
                        f"{row['ratio_to_plain']:.2f}",
                        f"{row['straightforward_ms']:.0f} ms" if row.get("straightforward_ms") else "–",
                    )
                    for row in found
                ),
            ),
        ]
    else:
        parts.append("Its step has not been measured on its own.")
    parts += ["## Settings", settings_of(name)]
    if idea and idea.traps:
        parts += ["## Traps", "\n".join(f"- {trap}" for trap in idea.traps)]
    parts += ["## Where it helped here", *where_it_helped(name, results)]
    recipes = " ".join(dict.fromkeys(("dropout", name)))
    command = f"$ python -m zoo.ablate --arch texthan --recipe {recipes}"
    parts += ["## Run it", f"```console\n{command}\n```"]
    return "\n\n".join(parts) + "\n"


def settings_of(name: str) -> str:
    """The settings that a recipe reads, their values, what they may be, and where the value is from.

    `SOURCES` speaks of UEGR's values: another one of a setting that UEGR reads is what makes this method.
    """
    rows = []
    not_read = {one for part in RECIPES["uegr"].parts().values() for one in part.unread()}
    uegr = {key: value for key, value in RECIPES["uegr"].flat().items() if key not in not_read}
    for part, record in RECIPES[name].parts().items():
        unread = set(record.unread())
        for field in dataclasses.fields(record):
            if field.name == "kind" or field.name in unread:
                continue
            value = getattr(record, field.name)
            own = uegr.get(field.name, value) != value
            source = "what makes this method" if own else SOURCES.get(field.name, "")
            rows.append(
                [f"`{field.name}`", part, f"`{shown(value)}`" if shown(value) else "", may_be(field), source]
            )
    if not rows:
        return "None of its own."
    return texts(("Setting", "Part", "Value", "May be", "The value is from"), rows)


def may_be(field: Any) -> str:
    """The bounds of a setting in words."""
    if choices := field.metadata.get("choices"):
        return ", ".join(f"`{one}`" for one in choices)
    bounds = {key: value for key, value in field.metadata.get("bounds", {}).items() if value is not None}
    signs = {"low": "≥", "high": "≤", "above": "\\>", "below": "\\<"}
    if isinstance(field.default, bool):
        return "on, off"
    return ", ".join(f"{signs[key]} {value:g}" for key, value in bounds.items())


def where_it_helped(name: str, results: Path) -> list[str]:
    """Its average over corpora in each folder, beside Dropout, with the interval of the difference."""
    rows = []
    for folder in GRIDS:
        for found in tables(results, folder):
            for row in found.rows:
                if row.method.recipe == name and (cells := average_cells(found, row)):
                    variant = f", {row.method.variant}" if row.method.variant else ""
                    rows.append([f"`{folder}`{variant}", found.name, *cells])
    if not rows:
        return ["Not compared yet: no committed result has it."]
    said = "; ".join(
        f"`{folder}`: {grid.sentence}"
        for folder, grid in GRIDS.items()
        if any(f"`{folder}`" in row[0] for row in rows)
    )
    return [
        texts(("Results", "Model", "Test accuracy, %", "less Dropout, points", "under FGSM, %"), rows),
        "Means over the corpora of a table; in brackets the 95% interval, a star where p is below 0.05 "
        "after Holm's "
        f"correction. An interval that holds 0 says that nothing was told apart; where no ± stands it "
        f"is from one seed "
        f"and covers other texts alone. {said}.",
    ]


def average_cells(found: ArchTable, row: Row) -> list[str] | None:
    """Accuracy, difference to the reference and accuracy under attack, over all corpora of a table."""
    score = found.places(row)[-1]
    if score.main is None:
        return None
    p_holm = score.comparison.p_holm if score.comparison else None
    less = difference_text(score.estimate, p_holm, 1 - found.confidence) if score.estimate else "–"
    attacked = score.values.get(ATTACKED)
    return [
        value_text(score.main, found.main),
        less.replace("*", r"\*"),
        value_text(attacked, measure(ATTACKED)) if attacked else "–",
    ]


def model_card(name: str, results: Path) -> str:
    """The card of a model."""
    kind = MODELS[name]
    doc = (kind.__doc__ or "").strip().replace("\n    ", "\n")
    module = __import__(kind.__module__, fromlist=["_"])
    parts = [f"(model-{name})=", f"# {display(name)}", f"`{name}` · `{kind.__module__.replace('.', '/')}.py`"]
    lead = (module.__doc__ or "").strip()
    parts += [as_paragraphs(lead), as_paragraphs(doc), "## Sizes", sizes(kind.Sizes)]
    if found := [
        row for row in steps(results) if row["arch"] == name and row["recipe"] in ("standard", "uegr")
    ]:
        parts += [
            "## What a step costs",
            "One CPU core, batch 16, the sizes of the goals ([how](../performance.md)):",
            table(
                ("Method, length", "ms a step", "in plain steps", "MiB at its peak"),
                (
                    (
                        f"{display(row['recipe'])}, {row['length']}", f"{row['step_ms']:.1f}",
                        f"{row['ratio_to_plain']:.2f}", f"{row['peak_memory_mb']:.0f}",
                    )
                    for row in found
                ),
            ),
        ]  # fmt: skip
    parts += ["## What it reached here", *reached(name, results)]
    return "\n\n".join(parts) + "\n"


def as_paragraphs(doc: str) -> str:
    """A docstring: blocks set in by four spaces stay as they are."""
    blocks = doc.split("\n\n")
    return "\n\n".join(f"```text\n{block}\n```" if block.startswith("    ") else block for block in blocks)


def sizes(kind: type[Settings]) -> str:
    """The sizes of a model, their defaults and bounds."""
    rows = [[f"`{f.name}`", f"`{shown(f.default)}`", may_be(f)] for f in dataclasses.fields(kind)]
    return texts(("Size", "Default", "May be"), rows)


def reached(name: str, results: Path) -> list[str]:
    """Averages of the rows of Table IV with a model, folder by folder."""
    rows = []
    for folder in GRIDS:
        for found in tables(results, folder):
            for row in found.rows if found.arch == name else ():
                if row.method.recipe in TABLE_IV and (cells := average_cells(found, row)):
                    rows.append([f"`{folder}`", row.method.name, *cells])
    if not rows:
        return ["No committed result has it."]
    return [texts(("Results", "Method", "Test accuracy, %", "less Dropout, points", "under FGSM, %"), rows)]


def corpus_card(name: str, results: Path) -> str:
    """The card of a corpus."""
    data = tomllib.loads((cards_folder() / f"{name}.toml").read_text("utf-8"))
    classes = data.get("classes", {}).get("names", [])
    answers = f"{len(classes)} classes" if classes else "a score"
    if 0 < len(classes) <= 20:
        answers += ": " + ", ".join(f"`{one}`" for one in classes)
    published = ", ".join(f"{part} {rows:,}" for part, rows in data.get("rows", {}).items())
    facts = {
        "Language": {"en": "English", "zh": "Chinese"}[data["language"]],
        "Answers": answers,
        "Published rows": published or "no published split",
        "Split": data.get("splits", "as published"),
        "Texts are cut at": f"{data['length']} tokens" if "length" in data else "no length of its own",
        "Measure": data.get("measure", "accuracy"),
        "Licence": data.get("licence", ""),
        "Source": f"<{data['homepage']}>" if "homepage" in data else "",
        "Cite": data.get("citation", ""),
        "Comes from": data["published"].get("package", "") if "published" in data else "",
    }
    rows = [[key, str(value).replace("|", "\\|")] for key, value in facts.items() if value]
    parts = [f"(corpus-{name})=", f"# {data.get('full_title', data['title'])}", f"`{name}`"]
    parts += [data.get("description", ""), texts(("", ""), rows), "## What was reached on it here"]
    return "\n\n".join([*filter(None, parts), *on_corpus(name, results)]) + "\n"


def on_corpus(name: str, results: Path) -> list[str]:
    """Test accuracy of Dropout, UEGR and the baseline on a corpus, model by model."""
    rows = []
    for folder in GRIDS:
        for found in tables(results, folder):
            if name not in found.corpora:
                continue
            place = found.corpora.index(name)
            cells = {row.method.recipe: row.scores[place].main for row in found.rows}
            three = [value_text(cells.get(recipe), found.main) for recipe in ("dropout", "uegr", BASELINE)]
            if any(cells.get(recipe) for recipe in ("dropout", "uegr", BASELINE)) and found.arch != NO_ARCH:
                rows.append([f"`{folder}`", found.name, *three])
    if not rows:
        return ["No committed result has it."]
    return [table(("Results", "Model", "Dropout", "UEGR", display(BASELINE)), rows)]


def index_page() -> str:
    """The list of all cards."""
    order = in_order(RECIPES)
    methods = texts(("Method", "Passes", "Idea"), (
        [f"[{display(name)}](method_{name}.md)", str(RECIPES[name].passes), idea.idea if idea else ""]
        for name, idea in ((name, IDEAS.get(name)) for name in order)
    ))  # fmt: skip
    corpora = known_corpora()
    pages = [f"method_{name}" for name in order] + [f"model_{name}" for name in MODELS]
    pages += [f"corpus_{name}" for name in corpora]
    return "\n\n".join([
        "# Cards",
        "One page for each method, model and corpus, made from the tables of the code and the committed "
        "results.",
        "## Methods",
        methods,
        "## Models",
        "\n".join(f"- [{display(name)}](model_{name}.md)" for name in MODELS),
        "## Corpora",
        "\n".join(f"- [{display(name)}](corpus_{name}.md)" for name in corpora),
        "```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```",
    ]) + "\n"  # fmt: skip


def pages(results: Path) -> Mapping[str, str]:
    """All of them by the name of their file."""
    made = {f"method_{name}": method_card(name, results) for name in RECIPES}
    made |= {f"model_{name}": model_card(name, results) for name in MODELS}
    made |= {f"corpus_{name}": corpus_card(name, results) for name in known_corpora()}
    return made | {"index": index_page()}
