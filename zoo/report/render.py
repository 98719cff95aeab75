"""A table as plain text, Markdown, LaTeX or CSV. The text of a place is made once and shared by all."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zoo.core.names import AVERAGE, display
from zoo.evidence.intervals import Estimate
from zoo.evidence.statistics import Spread
from zoo.report.tables import Row, Score, Table, long_form

__all__ = ["difference_text", "latex", "markdown", "markdown_list", "markdown_table", "plain_text", "to_csv"]

MISSING = "–"
_GAP = "   "
_SUFFIX = re.compile(r"\*$| \([\d.]+\)$")


@dataclass(frozen=True)
class _Panel:
    """A titled grid of texts; the first column is the recipe."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plain_text(tables: Iterable[Table], width: int | None = None) -> str:
    """Aligned columns for a terminal of `width` characters.

    A panel that is wider goes on below itself with its next columns; None: as wide as it needs to be.
    """
    blocks = []
    for table in tables:
        lines = [table.name, "=" * len(table.name)]
        for panel in _panels(table):
            columns = [_room_for_suffixes(c) for c in zip(panel.header, *panel.rows, strict=True)]
            lines += ["", panel.title]
            for part in _parts(columns, width):
                header, *rows = (_GAP.join(texts).rstrip() for texts in zip(*part, strict=True))
                rule = "-" * (sum(len(column[0]) for column in part) + len(_GAP) * (len(part) - 1))
                lines += [rule, header, rule, *rows]
            lines.append(rule)
        lines.append("")
        for note in table.footnotes:
            lines += textwrap.wrap(note, width or 100, initial_indent="- ", subsequent_indent="  ")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def markdown(tables: Iterable[Table], level: int = 2) -> str:
    """GitHub Markdown: a heading of `level` an arch, a table a panel, the footnotes as a list."""
    blocks = []
    for table in tables:
        blocks.append(f"{'#' * level} {_markdown_escape(table.name)}")
        for panel in _panels(table):
            blocks += [f"**{_markdown_escape(panel.title)}**", markdown_table(panel.header, panel.rows)]
        if table.footnotes:
            blocks.append(markdown_list(table.footnotes))
    return "\n\n".join(blocks) + "\n"


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]], numbers: int | None = None) -> str:
    """A GitHub table; `numbers` columns after the first are set to the right (None: all of them)."""
    names = tuple(header)
    others = len(names) - 1
    right = others if numbers is None else numbers
    rule = "| --- |" + " ---: |" * right + " --- |" * (others - right)
    return "\n".join([_markdown_row(names), rule, *map(_markdown_row, rows)])


def markdown_list(items: Iterable[str]) -> str:
    """A bulleted list."""
    return "\n".join(f"- {_markdown_escape(item)}" for item in items)


def latex(tables: Iterable[Table]) -> str:
    """One `table` environment an arch; it needs the package booktabs, and XeLaTeX for names in Chinese."""
    blocks = ["% Needs \\usepackage{booktabs}."]
    for table in tables:
        panels = _panels(table)
        # Panels share one tabular, so that their columns align; a shorter one leaves its last column empty.
        columns = max(len(panel.header) for panel in panels)
        body: list[str] = []
        for panel in panels:
            body.append("\\midrule" if body else "\\toprule")
            body.append(f"\\multicolumn{{{columns}}}{{l}}{{\\emph{{{_latex_escape(panel.title)}}}}} \\\\")
            header, *rows = [_latex_row(row, columns) for row in (panel.header, *panel.rows)]
            body += [header, "\\midrule", *rows]
        notes = "\\par\n".join(_latex_escape(note) for note in table.footnotes)
        blocks.append(
            "\\begin{table}\n\\centering\\small\n"
            f"\\caption{{{_latex_escape(table.name)}: test accuracy of the recipes}}\n"
            f"\\begin{{tabular}}{{l{'r' * (columns - 1)}}}\n"
            + "\n".join(body)
            + "\n\\bottomrule\n\\end{tabular}\n\n\\medskip\n\\parbox{\\linewidth}{\\footnotesize\n"
            + notes
            + "}\n\\end{table}"
        )
    return "\n\n".join(blocks) + "\n"


def to_csv(tables: Iterable[Table]) -> str:
    """Long form, one line a place: fractions of 1 (not percent), empty where there is none."""
    rows = long_form(tables)
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _csv_value(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _panels(table: Table) -> list[_Panel]:
    corpora = tuple(display(corpus) for corpus in table.corpora)
    columns = (*corpora, AVERAGE) if table.has_average else corpora
    has_cost = any(row.average.cost for row in table.rows)
    accuracy = _Panel(
        "Test accuracy, %" + (" (the paper's)" if table.with_paper else ""),
        ("Recipe", *columns, *(("Cost",) if has_cost else ())),
        tuple(
            (*_texts(table, row, _accuracy), *((_cost(row.average),) if has_cost else ()))
            for row in table.rows
        ),
    )
    panels = [accuracy]
    reference = display(table.reference)
    others = [row for row in table.rows if row.recipe != table.reference]
    level = 1 - table.confidence
    if any(score.estimate for row in others for score in row.scores):
        title = f"Difference to {reference}, points [{table.confidence:.0%} interval]"
        rows = tuple(_texts(table, row, lambda score: _difference(score, level)) for row in others)
        panels.append(_Panel(title, ("Recipe", *columns), rows))
    attacked = [row for row in table.rows if any(score.attacked for score in row.scores)]
    if attacked:
        rows = tuple(_texts(table, row, lambda score: _spread(score.attacked)) for row in attacked)
        panels.append(_Panel("Test accuracy under FGSM, %", ("Recipe", *columns), rows))
    printed = [row for row in others if any(score.paper_difference is not None for score in row.scores)]
    if printed:
        rows = tuple(_texts(table, row, _paper_difference) for row in printed)
        panels.append(_Panel(f"The paper's difference to {reference}, points", ("Recipe", *columns), rows))
    return panels


def _texts(table: Table, row: Row, text: Callable[[Score], str]) -> tuple[str, ...]:
    scores = (*row.scores, row.average) if table.has_average else row.scores
    return (row.name, *map(text, scores))


def _accuracy(score: Score) -> str:
    if score.accuracy is None:
        text = "failed" if score.failed else MISSING
    else:
        text = _spread(score.accuracy)
        if score.failed:
            text += f", {score.failed} failed"
    return text if score.paper is None else f"{text} ({100 * score.paper:.2f})"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return MISSING
    return f"{100 * spread.mean:.2f}" + ("" if spread.sd is None else f" ± {100 * spread.sd:.2f}")


def _difference(score: Score, level: float) -> str:
    if score.estimate is None:
        return MISSING
    p_holm = score.comparison.p_holm if score.comparison else None
    return difference_text(score.estimate, p_holm, level)


def difference_text(estimate: Estimate, p_holm: float | None, level: float) -> str:
    """`+1.00 [+0.20, +1.80]*` in points; the star where p after Holm's correction is below `level`."""
    low, middle, high = (100 * v for v in (estimate.low, estimate.difference, estimate.high))
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]" + ("*" if p_holm is not None and p_holm < level else "")


def _paper_difference(score: Score) -> str:
    return MISSING if score.paper_difference is None else f"{100 * score.paper_difference:+.2f}"


def _cost(score: Score) -> str:
    return MISSING if score.cost is None else f"{score.cost:.1f}x"


def _room_for_suffixes(column: tuple[str, ...]) -> list[str]:
    """Texts of a column whose numbers stay below each other, with a star or the paper's number or without."""
    suffixes = [_SUFFIX.search(text) for text in column]
    widths = [len(found.group()) if found else 0 for found in suffixes]
    return [text + " " * (max(widths) - width) for text, width in zip(column, widths, strict=True)]


def _parts(columns: list[list[str]], width: int | None) -> Iterable[list[list[str]]]:
    """Columns padded to equal width, cut into groups that fit; each group begins with the names."""
    names, *others = columns
    name_width = max(map(len, names))
    names = [text.ljust(name_width) for text in names]
    part, used = [names], name_width
    for column in others:
        own = max(map(len, column))
        if width is not None and len(part) > 1 and used + len(_GAP) + own > width:
            yield part
            part, used = [names], name_width
        part.append([text.rjust(own) for text in column])
        used += len(_GAP) + own
    yield part


def _markdown_row(row: Iterable[str]) -> str:
    return "| " + " | ".join(map(_markdown_escape, row)) + " |"


def _markdown_escape(text: str) -> str:
    return re.sub(r"([\\`*_|<>#])", r"\\\1", text).replace("\n", " ")


_LATEX = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "±": "$\\pm$", "–": "--", "<": "$<$", ">": "$>$",
    **{character: "\\" + character for character in "&%$#_{}"},
}  # fmt: skip


def _latex_escape(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w}-])([+-])(?=\d)", r"$\1$", escaped)


def _latex_row(row: tuple[str, ...], columns: int) -> str:
    cells = [_latex_escape(text) for text in row] + [""] * (columns - len(row))
    return " & ".join(cells) + " \\\\"


def _csv_value(value: object) -> object:
    # Nine significant digits: the same file from the same results on every machine.
    return f"{value:.9g}" if isinstance(value, float) else value
