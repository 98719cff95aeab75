"""What a reader gets from a folder of results: files, text for the terminal, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.result import Result
from zoo.evidence.cells import Cells
from zoo.report.blocks import Figure, Heading, csv_text, latex, markdown, terminal
from zoo.report.figure import draw_differences
from zoo.report.footnotes import footnotes
from zoo.report.sections import grid
from zoo.report.show import show_cell
from zoo.report.tables import as_dict, build_tables, long_form

__all__ = ["show_cell", "table_json", "terminal_report", "write_report"]

_MORE = "How each number came about is said in table.md."


def write_report(
    folder: Path,
    results: Cells | Iterable[Result],
    paper: bool = False,
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
    title: str = "",
) -> list[Path]:
    """Write table.md, table.tex, table.csv, difference.png and difference.svg into `folder`.

    A pure function of the results (and of the version of matplotlib): the same results give the same files.
    Where there is no difference to draw, there is no figure, and one that is there stays. `recipes` and
    `corpora` as in `build_tables`; `title` says which study it is (default: the folder's name).

    Returns:
        The paths written.

    Raises:
        UserError: no results, or two of one cell; the folder cannot be written to.
    """
    tables = build_tables(results, paper=paper, recipes=recipes, corpora=corpora)
    if not tables:
        raise UserError(f"{folder}: no results to report; expected at least one finished or failed cell")
    title = title or folder.resolve().name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = draw_differences(tables, folder / "difference", title)
        figure = Figure("difference.svg", "Paired differences with intervals") if drawn else None
        contents = {
            "table.md": markdown([Heading(f"Results: {title}", 1), *grid(tables, figure=figure)]),
            "table.tex": latex(grid(tables)),
            "table.csv": csv_text(long_form(tables)),
        }
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write the report ({error.strerror}); expected a folder to write to"
        ) from None
    return [*(folder / name for name in contents), *drawn]


def terminal_report(
    results: Cells | Iterable[Result],
    paper: bool = False,
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
    width: int | None = 80,
    notes: bool = False,
) -> str:
    """The tables as text; wider ones than `width` characters are continued below (None: never).

    Under them stand the notes without which they are misread; all others with `notes`.
    """
    tables = build_tables(results, paper=paper, recipes=recipes, corpora=corpora)
    if not tables:
        return "No results yet.\n"
    return terminal(grid(tables, notes=notes, more="" if notes else _MORE), width)


def table_json(results: Cells | Iterable[Result], paper: bool = False) -> list[dict[str, Any]]:
    """The tables as JSON types, one an arch: rows with their scores as fractions of 1, and the footnotes."""
    tables = build_tables(results, paper=paper)
    return [as_dict(table, [note.text for note in footnotes(table)]) for table in tables]
