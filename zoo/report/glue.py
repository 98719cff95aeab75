"""Models of Hugging Face on GLUE: what was run of it, and the paper's Tables I and II beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.core.names import display, in_order, is_pretrained
from zoo.evidence.cells import Cells
from zoo.evidence.compare import REFERENCE
from zoo.evidence.paper import glue
from zoo.report.blocks import MISSING, Block, Table, Text
from zoo.report.panels import difference_text, value_text
from zoo.report.tables import ArchTable, build_tables

__all__ = ["beside_the_paper", "glue_tables"]

_TABLES = {
    1: "Table I (pre-trained)",
    2: "Table II (called not pre-trained; its numbers are those of pre-trained models)",
}
_PAPER = """\
The paper's models are others than those here, and larger, trained on the whole of each task: its numbers \
are a scale and no target. It states neither seeds nor spread; its vanilla stands under {reference}."""


def glue_tables(cells: Cells) -> tuple[ArchTable, ...]:
    """The tables of the models of Hugging Face among the cells."""
    return build_tables(Cells({k: runs for k, runs in cells.groups.items() if _belongs(k.arch)}))


def _belongs(arch: str) -> bool:
    return is_pretrained(arch) or not arch.strip("-")  # the reference row has no arch


def beside_the_paper(tables: Sequence[ArchTable]) -> list[Block]:
    """Ours and the paper's on the corpora of both: main measure, then differences to the reference."""
    corpora = in_order(corpus for table in tables for corpus in table.corpora)
    recipes = in_order(row.method.recipe for table in tables for row in table.rows)
    blocks: list[Block] = []
    for number, title in _TABLES.items():
        printed = glue(number)
        rows = list(_rows(printed, corpora, recipes))
        if rows:
            header = ("Model and recipe", *map(display, corpora))
            own = list(_own(tables, corpora))
            blocks += [
                Table(header, (*own, *rows), f"Main measure, % [difference to {display(REFERENCE)}]: {title}")
            ]
    return [Text(_PAPER.format(reference=display(REFERENCE))), *blocks] if blocks else []


def _rows(
    printed: dict[tuple[str, str, str], float], corpora: Sequence[str], recipes: Sequence[str]
) -> Iterable[tuple[str, ...]]:
    for model, recipe in dict.fromkeys((model, recipe) for model, recipe, _ in printed):
        if recipe not in recipes:
            continue
        texts = []
        for corpus in corpora:
            value, base = (printed.get((model, r, corpus)) for r in (recipe, REFERENCE))
            less = "" if recipe == REFERENCE or None in (value, base) else f" [{value - base:+.2f}]"  # type: ignore[operator]
            texts.append(MISSING if value is None else f"{value:.2f}{less}")
        if set(texts) != {MISSING}:
            yield (f"{model}, {display(recipe)} (the paper)", *texts)


def _own(tables: Sequence[ArchTable], corpora: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for table in tables:
        for row in table.rows:
            places = dict(zip(table.corpora, row.scores, strict=True))
            texts = []
            for corpus in corpora:
                score = places.get(corpus)
                text = value_text(score.main, table.main) if score else MISSING
                if score and score.estimate:
                    p_holm = score.comparison.p_holm if score.comparison else None
                    text += f" [{difference_text(score.estimate, p_holm, 1 - table.confidence)}]"
                texts.append(text)
            yield (f"{table.name}, {row.method.name}", *texts)
