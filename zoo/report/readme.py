"""The table of the README, from the committed demo: `python -m zoo.report.readme` puts it in place."""

from __future__ import annotations

from pathlib import Path

from zoo.core.names import display
from zoo.evidence.statistics import Spread
from zoo.grid.store import Store
from zoo.report.blocks import MISSING, Block, Table, Text, markdown
from zoo.report.machines import kinds_apart
from zoo.report.panels import EMPHASISED, cost_text
from zoo.report.tables import build_tables

BEGIN, END = "<!-- table: results/demo -->", "<!-- end -->"


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


def main() -> None:
    """Put the table into README.md of the current folder."""
    readme = Path("README.md")
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END, 1)[1]
    table = demo_table(Path("results/demo"))
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
