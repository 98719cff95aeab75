"""What a reader gets from a folder of results: files, text for the terminal, one cell in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.report.figure import draw_differences
from zoo.report.render import latex, markdown, plain_text, to_csv
from zoo.report.tables import as_dict, build_tables

__all__ = ["show_cell", "table_json", "terminal_report", "write_report"]

_LONG = ("predictions", "truth", "traceback")
_SECTIONS = ("cell", "corpus", "settings", "seconds", "versions")


def write_report(
    folder: Path,
    results: Iterable[Mapping[str, Any]],
    paper: bool = False,
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
) -> list[Path]:
    """Write table.md, table.tex, table.csv, difference.png and difference.svg into `folder`.

    A pure function of the results (and of the version of matplotlib): the same results give the same files.
    The figure is left out where there is no difference to draw. `recipes` and `corpora` as in `build_tables`.

    Returns:
        The paths written.

    Raises:
        UserError: no results, or two of one cell; the folder cannot be written to.
    """
    tables = build_tables(results, paper=paper, recipes=recipes, corpora=corpora)
    if not tables:
        raise UserError(f"{folder}: no results to report; expected at least one finished or failed cell")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = draw_differences(tables, folder / "difference")
        text = f"# Results\n\n{markdown(tables)}"
        if figures:
            text += "\n![Paired differences with intervals](difference.svg)\n"
        contents = {"table.md": text, "table.tex": latex(tables), "table.csv": to_csv(tables)}
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write the report ({error.strerror}); expected a folder to write to"
        ) from None
    return [*(folder / name for name in contents), *figures]


def terminal_report(
    results: Iterable[Mapping[str, Any]],
    paper: bool = False,
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """The tables as text; wider ones than `width` characters are continued below (None: never)."""
    tables = build_tables(results, paper=paper, recipes=recipes, corpora=corpora)
    return plain_text(tables, width) if tables else "No results yet.\n"


def table_json(results: Iterable[Mapping[str, Any]], paper: bool = False) -> list[dict[str, Any]]:
    """The tables as JSON types, one an arch: rows with their scores as fractions of 1, and the footnotes."""
    return as_dict(build_tables(results, paper=paper))


def show_cell(result: Mapping[str, Any]) -> str:
    """One cell as text: what it was, its learning curve as columns, what came out."""
    lines = [result["id"], "=" * len(result["id"])]
    for section in _SECTIONS:
        if result.get(section):
            lines += ["", section, *_pairs(result[section])]
    if result.get("curve"):
        lines += ["", "curve", *(f"  {line}" for line in _columns(result["curve"]))]
    rest = {key: value for key, value in result.items() if key not in ("id", "curve", *_SECTIONS, *_LONG)}
    lines += ["", "result", *_pairs(rest)]
    if result.get("traceback"):
        lines += ["", "traceback", *(f"  {line}" for line in result["traceback"].splitlines())]
    return "\n".join(lines) + "\n"


def _pairs(section: Mapping[str, Any]) -> list[str]:
    flat = _flatten(section)
    width = max(map(len, flat), default=0)
    return [f"  {key.ljust(width)}  {_text(value)}" for key, value in flat.items()]


def _columns(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    epochs = [_flatten(epoch) for epoch in curve]
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch))
    grid = [names, *([_text(epoch.get(name)) for name in names] for epoch in epochs)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return ["  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)) for row in grid]


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            flat |= _flatten(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "–"
    return str(value)
