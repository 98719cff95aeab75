"""The tables of the README, from the committed results: `python -m zoo.report.readme` puts them in place.

The first one is Table IV on every row that there is (results/full), once a model is whole under a seed; until
then it is the demo's. The answer in a few sentences stands before it, what was found further down, and the
demo's numbers beside its command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zoo.core.names import AVERAGE, BASELINE, display
from zoo.evidence.cells import Cells, Method
from zoo.evidence.compare import REFERENCE
from zoo.evidence.judged import Judged, judged
from zoo.evidence.planned import Planned, table_iv
from zoo.evidence.statistics import Spread, mean_if_all
from zoo.grid.store import Store
from zoo.report.blocks import MISSING, Block, List, Table, Text, markdown
from zoo.report.folder import read
from zoo.report.footnotes import attack_text
from zoo.report.found import in_a_breath, in_short, incomplete
from zoo.report.machines import kinds_apart
from zoo.report.over_models import cost_over_models, pooled_average, rows_of
from zoo.report.panels import EMPHASISED, cost_text, difference_text
from zoo.report.planned import models_and_seeds
from zoo.report.reading import reading
from zoo.report.tables import ArchTable, Score, build_tables

__all__ = [
    "PARTS",
    "Committed",
    "demo_numbers",
    "demo_table",
    "filled",
    "first_table",
    "found_list",
    "main",
    "short_answer",
    "table_iv_table",
]

END = "<!-- end -->"
ATTACKED = "attacked_accuracy"
_DEMO = """\
TextHAN on two small real corpora, one seed, minutes on two CPU cores: a demonstration, not a claim. Single \
runs to a decimal tell little: several seeds do."""
_FOUND = (
    "On every row of the paper's four corpora that we have, made from the committed results by a command:"
)
_ONE_SEED = "From a single seed, the interval covers other test texts alone, not another seed."
_SEEDS = "The interval covers other seeds and other test texts."


@dataclass(frozen=True)
class Committed:
    """A folder of results, of which the grid is read once for all parts."""

    results: Path

    @cached_property
    def table_iv(self) -> Planned:
        """The grid of Table IV, as far as it is there."""
        return table_iv(Cells.of(Store(self.results / "full").cells()))

    @cached_property
    def claims(self) -> list[Judged]:
        """The verdicts that `python -m zoo.report` gives on all of these results."""
        return judged(read(self.results).held)


def first_table(committed: Committed) -> str:
    """The table that opens the README: Table IV where a model is whole, else the demo with what it is."""
    if committed.table_iv.even()[0]:
        return table_iv_table(committed.table_iv)
    return f"{demo_table(committed.results / 'demo')}\n\n{_DEMO}"


def table_iv_table(planned: Planned) -> str:
    """Table IV as one Markdown table: means over the models of `Planned.even`, the paper's beside them.

    The difference is that of `pooled_average`.
    """
    archs, seeds = planned.even()
    cells = planned.even_cells()
    tables = build_tables(cells, paper=True)
    columns = tables[0].columns
    methods = [row.method for row in tables[0].rows]
    rows = tuple(_row(tables, method) for method in methods)
    strong = tuple(i for i, method in enumerate(methods) if method.recipe == EMPHASISED)
    header = (
        "Test accuracy, % (the paper's)", *map(display, columns),
        f"{AVERAGE}, difference to {display(REFERENCE)} [95% interval]", "Under FGSM, %", "Cost of a step",
    )  # fmt: skip
    networks = sum(1 for _ in cells.done(networks=True))
    every = sum(block.planned for block in planned.blocks)
    mean = f"Mean over the models {models_and_seeds(archs, seeds)}" if len(archs) > 1 else ""
    start = mean or f"The model {models_and_seeds(archs, seeds)}"
    there = sum(block.done for block in planned.blocks)
    line = f"{start}: {networks} of the {there} networks that are there ({every} are planned). "
    line += " ".join([*incomplete(cells), _SEEDS if len(seeds) > 1 else _ONE_SEED, *_attacked(cells)])
    how = (Text(text, markup=True) for text in reading(cells, "docs/"))
    return markdown([Table(header, rows, strong=strong), Text(line), *how]).strip()


def _attacked(cells: Cells) -> list[str]:
    """How the column under FGSM was made."""
    attacks = [result.attacked for result in cells.done(networks=True) if result.attacked]
    return [f"FGSM: {attack_text(attacks)}."] if attacks else []


def _row(tables: Sequence[ArchTable], method: Method) -> tuple[str, ...]:
    rows = rows_of(tables, method)
    places = list(zip(*(table.places(row) for table, row in zip(tables, rows, strict=True)), strict=True))
    pooled = pooled_average(tables, method)
    attacked = mean_if_all([_value(row.average, ATTACKED) for row in rows])
    return (
        method.name,
        *map(_measured, places),
        MISSING if pooled is None else difference_text(pooled, None, 0.05),
        MISSING if attacked is None else f"{100 * attacked:.1f}",
        MISSING if method.recipe == BASELINE else cost_text(cost_over_models(tables, method)),
    )


def _measured(scores: Sequence[Score]) -> str:
    """`88.1 (91.5)`: means over the models, of ours and of the paper."""
    ours = mean_if_all([score.main.mean if score.main else None for score in scores])
    printed = mean_if_all([score.paper for score in scores])
    text = MISSING if ours is None else f"{100 * ours:.1f}"
    return text if printed is None else f"{text} ({100 * printed:.1f})"


def _value(score: Score, name: str) -> float | None:
    return score.values[name].mean if name in score.values else None


def found_list(committed: Committed) -> str:
    """What Table IV says here, in short; empty where no model is whole."""
    lines = in_short(committed.table_iv)
    return markdown([Text(_FOUND), List(tuple(lines))]).strip() if lines else ""


def short_answer(committed: Committed) -> str:
    """What Table IV says of UEGR, in a few lines; empty where no model is whole."""
    planned = committed.table_iv
    lines = in_a_breath(planned, committed.claims) if planned.even()[0] else []
    return "\n".join(f"- {line}" for line in lines)  # in Markdown already


def demo_table(folder: Path) -> str:
    """The demo as one Markdown table: accuracy by corpus, and of all other measures the mean over corpora.

    Below it, how far the same cells on another kind of processor (`<folder>_wide`) are from it.
    """
    (table,) = build_tables(Store(folder).cells())
    main, *others = table.measures

    def text(spread: Spread | None, scale: float, unit: str) -> str:
        return MISSING if spread is None else f"{scale * spread.mean:.{1 if unit == '%' else 3}f}"

    rows = tuple(
        (
            row.method.name,
            *(text(score.main, main.scale, main.unit) for score in table.places(row)),
            *(text(row.average.values.get(m.name), m.scale, m.unit) for m in others),
            cost_text(row.average.cost),
        )
        for row in table.rows
    )
    header = (main.heading, *map(display, table.columns), *(m.heading for m in others), "Cost of a step")
    strong = tuple(i for i, row in enumerate(table.rows) if row.method.recipe == EMPHASISED)
    blocks: list[Block] = [Table(header, rows, strong=strong)]
    wide = folder.with_name(f"{folder.name}_wide")
    if apart := kinds_apart(Store(folder).cells(), Store(wide).cells()):
        blocks.append(Text(apart))
    return markdown(blocks).strip()


def demo_numbers(folder: Path) -> str:
    """The accuracies of the demo alone, beside its command."""
    (table,) = build_tables(Store(folder).cells())
    rows = tuple((row.method.name, *map(_measured, ([s] for s in table.places(row)))) for row in table.rows)
    return markdown([Table((table.measures[0].heading, *map(display, table.columns)), rows)]).strip()


# Marker in the README -> what stands between it and the end's, from the committed results.
PARTS: dict[str, Callable[[Committed], str]] = {
    "<!-- answer: results/full -->": short_answer,
    "<!-- table: first -->": first_table,
    "<!-- found: results/full -->": found_list,
    "<!-- table: results/demo -->": lambda committed: demo_numbers(committed.results / "demo"),
}


def filled(text: str, results: Path) -> str:
    """The README with every part made anew."""
    committed = Committed(results)
    for marker, make in PARTS.items():
        before, rest = text.split(marker)
        after = rest.split(END, 1)[1]
        part = make(committed)
        text = f"{before}{marker}\n{part + chr(10) if part else ''}{END}{after}"
    return text


def main() -> None:
    """Put the parts into README.md of the current folder."""
    readme = Path("README.md")
    readme.write_text(filled(readme.read_text(encoding="utf-8"), Path("results")), encoding="utf-8")
    print(f"Written: {readme}")


if __name__ == "__main__":
    main()
