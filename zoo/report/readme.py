"""The table of the README, from the committed demo: `python -m zoo.report.readme` puts it in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.core.names import display
from zoo.grid.store import Store
from zoo.report.tables import as_dict, build_tables

BEGIN, END = "<!-- table: results/demo -->", "<!-- end -->"


def demo_table(folder: Path) -> str:
    """The demo's accuracies, costs and accuracies under attack as one Markdown table."""
    results = list(Store(folder).cells())
    (table,) = as_dict(build_tables(results))
    attacked = _attacked(results)
    corpora = [*table["corpora"], "AVG"]
    titles = ["test accuracy, %", *map(display, corpora), "under FGSM", "cost of a step"]
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for row in table["rows"]:
        scores = row["scores"]
        cost = scores["AVG"]["cost"]
        lines.append(
            [
                row["name"],
                *(f"{100 * scores[corpus]['accuracy']:.1f}" for corpus in corpora),
                f"{100 * attacked[row['recipe']]:.1f}" if row["recipe"] in attacked else "–",
                f"{cost:.1f}x" if cost else "–",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _attacked(results: list[dict[str, Any]]) -> dict[str, float]:
    """Mean accuracy under attack of each recipe over the cells that have one."""
    found: dict[str, list[float]] = {}
    for result in results:
        if result.get("attacked"):
            found.setdefault(result["cell"]["recipe"], []).append(result["attacked"]["accuracy"])
    return {recipe: sum(values) / len(values) for recipe, values in found.items()}


def main() -> None:
    """Put the table into README.md of the current folder."""
    readme = Path("README.md")
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END, 1)[1]
    table = demo_table(Path("results/demo"))
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
