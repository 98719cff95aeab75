"""What a page is made of: headings, prose, tables, lists, figures; and what draws them.

A section of a report is a list of blocks and knows no markup. `markdown`, `latex` and `terminal` draw blocks,
and `csv_text` writes rows of values; `zoo.report.html` is one more form of the same records.
"""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zoo.report.chart import Chart

__all__ = [
    "MISSING", "Block", "Figure", "Fold", "Heading", "List", "Table", "Text", "csv_text", "latex", "markdown",
    "terminal", "unfolded",
]  # fmt: skip

MISSING = "–"


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title of a page."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph. With `markup` it is Markdown written by hand, which goes onto a page as it is."""

    text: str
    markup: bool = False


@dataclass(frozen=True)
class Table:
    """A grid of texts; the first column names the rows.

    Args:
        header, rows: as many texts in every row.
        title: stands above it.
        numbers: how many columns after the first are set to the right (None: all).
        strong: indices of the rows to be emphasised.
        prose: a row has sentences; where there is no room for columns, its texts stand below each other.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    numbers: int | None = None
    strong: tuple[int, ...] = ()
    prose: bool = False

    @property
    def right(self) -> tuple[bool, ...]:
        """For every column whether it is set to the right."""
        others = len(self.header) - 1
        numbers = others if self.numbers is None else self.numbers
        return (False, *(i < numbers for i in range(others)))


@dataclass(frozen=True)
class List:
    """A bulleted list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A picture: a file beside the page, or `chart`, or both of the same; `alt` says in words what it shows.

    A form without drawings of its own shows the file; without a file the chart's numbers as a table.
    """

    path: str
    alt: str
    chart: Chart | None = None

    @property
    def numbers(self) -> Table | None:
        """The chart as a table."""
        return Table(self.chart.header, self.chart.rows, self.chart.title) if self.chart else None


@dataclass(frozen=True)
class Fold:
    """Blocks that a page shows on demand; other forms have them under a heading."""

    title: str
    blocks: tuple[Block, ...]


Block = Heading | Text | Table | List | Figure | Fold


def unfolded(blocks: Iterable[Block], level: int = 2) -> Iterator[Block]:
    """The same without folds, and with tables for the figures that have no file."""
    for block in blocks:
        match block:
            case Heading():
                level = block.level
                yield block
            case Fold(title, inner):
                yield Heading(title, level + 1)
                yield from unfolded(inner, level + 1)
            case Figure("", _, _):
                yield from (block.numbers,) if block.numbers else ()
            case _:
                yield block


def markdown(blocks: Iterable[Block]) -> str:
    """GitHub Markdown; emphasised rows are bold."""
    return "\n\n".join(filter(None, map(_markdown, unfolded(blocks)))) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Text(text, markup):
            return text.strip() if markup else _plain(text)
        case List(items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Figure(path, alt, _):
            return f"![{_plain(alt)}]({path})"
        case Fold():
            return markdown([block])
        case Table():
            rule = ("---:" if right else "---" for right in block.right)
            rows = [
                [f"**{_plain(text)}**" if i in block.strong and text else _plain(text) for text in row]
                for i, row in enumerate(block.rows)
            ]
            lines = [f"| {' | '.join(row)} |" for row in (map(_plain, block.header), rule, *rows)]
            return "\n".join(([f"**{_plain(block.title)}**", ""] if block.title else []) + lines)


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_|<>#])", r"\\\1", text).replace("\n", " ")


def latex(blocks: Iterable[Block]) -> str:
    """LaTeX for `\\input`; a heading goes into the captions of the tables below it; figures are left out.

    It needs the package booktabs, and XeLaTeX or LuaLaTeX for names in Chinese.
    """
    parts, heading = ["% Needs \\usepackage{booktabs}."], ""
    for block in unfolded(blocks):
        match block:
            case Heading(text, _):
                heading = text
            case Text(text, _):
                parts.append(_tex(text))
            case List(items):
                lines = "\n".join(f"\\item {_tex(item)}" for item in items)
                parts.append(f"\\begin{{itemize}}\\footnotesize\n{lines}\n\\end{{itemize}}")
            case Table():
                parts.append(_latex_table(block, heading))
    return "\n\n".join(parts) + "\n"


def _latex_table(table: Table, heading: str) -> str:
    caption = ": ".join(filter(None, (heading, table.title)))
    lines = [_latex_row(table.header), "\\midrule"]
    lines += [_latex_row(row, i in table.strong) for i, row in enumerate(table.rows)]
    columns = "".join("r" if right else "l" for right in table.right)
    return (
        f"\\begin{{table}}\n\\centering\\small\n\\caption{{{_tex(caption)}}}\n\\begin{{tabular}}{{{columns}}}\n"
        "\\toprule\n" + "\n".join(lines) + "\n\\bottomrule\n\\end{tabular}\n\\end{table}"
    )


def _latex_row(row: Sequence[str], strong: bool = False) -> str:
    texts = (f"\\textbf{{{_tex(text)}}}" if strong and text else _tex(text) for text in row)
    return " & ".join(texts) + " \\\\"


_TEX = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "±": "$\\pm$", "–": "--", "<": "$<$", ">": "$>$", "†": "$\\dagger$",
    **{character: "\\" + character for character in "&%$#_{}"},
}  # fmt: skip


def _tex(text: str) -> str:
    escaped = "".join(_TEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w}-])([+-])(?=\d)", r"$\1$", escaped)


def terminal(blocks: Iterable[Block], width: int | None = 80) -> str:
    """Text of at most `width` characters a line, wrapped at words (None: tables as wide as they need to be).

    A table that is wider goes on below itself with its next columns. Emphasised rows begin with `>`.
    """
    return "\n\n".join(filter(None, (_terminal(block, width) for block in unfolded(blocks)))) + "\n"


def _terminal(block: Block, width: int | None) -> str:
    columns = width or 100
    match block:
        case Heading(text, level):
            return f"{text}\n{('=' if level <= 2 else '-') * min(_width(text), columns)}"
        case Text(text, _):
            return "\n".join(textwrap.wrap(text, columns))
        case List(items):
            return "\n".join(
                line
                for item in items
                for line in textwrap.wrap(item, columns, initial_indent="- ", subsequent_indent="  ")
            )
        case Figure(path, alt, _):
            return f"{alt}: {path}"
        case Fold():
            return terminal([block], width)
        case Table():
            return _terminal_prose(block, columns) if block.prose else _terminal_table(block, width)


def _terminal_prose(table: Table, columns: int) -> str:
    """Row below row, and in a row each text under the last, after the name of its column."""
    lines = textwrap.wrap(table.title, columns)
    for first, *others in table.rows:
        lines += ["", *textwrap.wrap(first, columns)]
        for name, text in zip(table.header[1:], others, strict=True):
            lines += textwrap.wrap(f"{name}: {text}", columns, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


_GAP = "  "
# What may follow a number: its spread, how many runs failed, marks, and a number in parentheses.
_SUFFIX = re.compile(r"(?: ± [\d.]+)?(?:, \d+ failed)?[*†]*(?: \([^()]*\))?$")


def _terminal_table(table: Table, width: int | None) -> str:
    names = [table.header[0], *(row[0] for row in table.rows)]
    if table.strong:
        names = [("> " if i - 1 in table.strong else "  ") + name for i, name in enumerate(names)]
    others = list(zip(table.header, *table.rows, strict=True))[1:]
    columns = [
        _to_width(_room_for_suffixes(column) if right else list(column), right)
        for column, right in zip([names, *others], table.right, strict=True)
    ]
    lines = textwrap.wrap(table.title, width or 100)
    for part in _parts(columns, width):
        rows = [_GAP.join(texts).rstrip() for texts in zip(*part, strict=True)]
        rule = "-" * max(map(_width, rows))
        lines += [rule, rows[0], rule, *rows[1:]]
    return "\n".join([*lines, rule])


def _room_for_suffixes(column: Sequence[str]) -> list[str]:
    """Texts of a column whose numbers stay below each other, with marks behind them or without."""
    widths = [_width(found.group()) if (found := _SUFFIX.search(text)) else 0 for text in column]
    return [text + " " * (max(widths) - width) for text, width in zip(column, widths, strict=True)]


def _to_width(column: Sequence[str], right: bool) -> list[str]:
    width = max(map(_width, column))
    pads = [" " * (width - _width(text)) for text in column]
    return [pad + text if right else text + pad for text, pad in zip(column, pads, strict=True)]


def _width(text: str) -> int:
    """Columns in a terminal, where a Chinese character takes two."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _parts(columns: Sequence[list[str]], width: int | None) -> Iterable[list[list[str]]]:
    """Columns cut into groups that fit; each group begins with the names."""
    names, *others = columns
    part, used = [names], _width(names[0])
    for column in others:
        own = len(_GAP) + _width(column[0])
        if width is not None and len(part) > 1 and used + own > width:
            yield part
            part, used = [names], _width(names[0])
        part.append(column)
        used += own
    yield part


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of values as CSV: a line each, the keys of the first as its header, empty where there is none.

    Nine significant digits: the same file from the same results on every machine.
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.9g}" if isinstance(value, float) else value for key, value in row.items()}
            for row in rows
        )
    return file.getvalue()
