"""Blocks as one HTML page that needs no network: style, script, drawings and notes stand inside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from zoo.evidence.judged import CANNOT_TELL
from zoo.evidence.statements import NOT_MEASURED, NOT_RESOLVED, NOT_SUPPORTED, SUPPORTED
from zoo.report.blocks import Block, Figure, Fold, Heading, List, Table, Text
from zoo.report.chart import Mark
from zoo.report.svg import legend, svg

__all__ = ["GENERATOR", "MOST_ROWS", "html"]

GENERATOR = "zoo.report"  # by which a page of ours is known again
MOST_ROWS = 120  # of one table; a page of thousands would not open at once
_SHORT = 30  # characters, as many as an estimate has with its interval and unit
_VERDICTS = {
    SUPPORTED: "yes", NOT_SUPPORTED: "no", CANNOT_TELL: "open", NOT_RESOLVED: "open", NOT_MEASURED: "open",
}  # fmt: skip


def html(blocks: Sequence[Block], title: str) -> str:
    """A whole page. Headings of level 2 are its contents, and every table and figure has a name."""
    here = Path(__file__).parent
    style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    drawn = _Page()
    body = drawn.blocks(blocks)
    first, rest = body.split("</h1>", 1) if "</h1>" in body else ("", body)
    # No text inside may end the element early.
    notes = json.dumps(list(drawn.notes), ensure_ascii=False).replace("</", "<\\/")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<meta name="generator" content="{GENERATOR}">\n<title>{escape(title)}</title>\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">To the content</a>\n<header>{first}{"</h1>" if first else ""}\n'
        '<nav aria-label="Contents"><details><summary>Contents</summary>'
        f"<ul>{''.join(drawn.contents)}</ul></details></nav></header>\n"
        f'<main id="main">\n{rest}</main>\n'
        "<footer>Made by <code>python -m zoo.report</code> from the files of the folder alone.</footer>\n"
        f'<div id="tip" role="tooltip" hidden></div>\n'
        f'<script type="application/json" id="notes">{notes}</script>\n<script>\n{script}</script>\n'
        "</body>\n</html>\n"
    )


class _Page:
    """Draws blocks, and gathers what stands once in a page: ids, contents, notes."""

    def __init__(self) -> None:
        self.notes: dict[str, int] = {}
        self.contents: list[str] = []
        self._number = 0
        self._heading = ""

    def blocks(self, blocks: Iterable[Block]) -> str:
        parts, charts = [], list[str]()
        for block in blocks:
            if isinstance(block, Figure):  # neighbours stand beside each other
                charts.append(self._figure(block))
                continue
            parts += [f'<div class="charts">{"".join(charts)}</div>'] if charts else []
            charts = []
            parts.append(self._block(block))
        parts += [f'<div class="charts">{"".join(charts)}</div>'] if charts else []
        return "\n".join(filter(None, parts)) + "\n"

    def _block(self, block: Block) -> str:
        match block:
            case Heading(text, level):
                return self._head(text, level)
            case Text(text, True):
                return _marked(text)
            case Text(text, _):
                return f"<p>{_code(text)}</p>"
            case List(items):
                return "<ul>" + "".join(f"<li>{_code(item)}</li>" for item in items) + "</ul>"
            case Table():
                return self._table(block)
            case Fold(title, inner):
                return f"<details><summary>{escape(title)}</summary>\n{self.blocks(inner)}</details>"
            case Figure():
                return self._figure(block)

    def _head(self, text: str, level: int) -> str:
        name = self._id("h")
        self._heading = text
        if level == 2:
            self.contents.append(f'<li><a href="#{name}">{escape(text)}</a></li>')
        return f'<h{level} id="{name}">{escape(text)}</h{level}>'

    def _table(self, table: Table, title: str = "") -> str:
        title = title or table.title or self._heading
        right = table.right
        head = "".join(
            f'<th scope="col"{_right(r)}>{escape(text) or "<span>&nbsp;</span>"}</th>'
            for text, r in zip(table.header, right, strict=True)
        )
        rows = []
        for i, row in enumerate(table.rows[:MOST_ROWS]):
            first, *others = row
            cells = "".join(
                f"<td{_labelled(name, text) if table.prose else _right(r)}>{_verdict(text)}</td>"
                for text, r, name in zip(others, right[1:], table.header[1:], strict=True)
            )
            strong = ' class="strong"' if i in table.strong else ""
            rows.append(f'<tr{strong}><th scope="row">{escape(first)}</th>{cells}</tr>')
        more = len(table.rows) - MOST_ROWS
        note = f"<p>And {more:,} more rows: --format csv has all.</p>" if more > 0 else ""
        prose = ' class="prose"' if table.prose else ""
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title)}"><table{prose}>'
            f"<caption>{escape(title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>{note}"
        )

    def _figure(self, figure: Figure) -> str:
        chart = figure.chart
        if chart is None:
            return f"<p>{escape(figure.alt)}: {escape(figure.path)}</p>"
        drawn = svg(chart, self._id("f"), self._noted)
        key = "".join(f"<li>{mark}{escape(name)}</li>" for mark, name in legend(chart))
        key = f'<ul class="legend">{key}</ul>' if key else ""
        numbers = figure.numbers
        assert numbers is not None
        return (
            f"<figure><figcaption><strong>{escape(chart.title)}</strong> {escape(chart.says)}</figcaption>"
            f"{drawn}{key}<details><summary>Its numbers</summary>{self._table(numbers)}</details></figure>"
        )

    def _noted(self, mark: Mark) -> str:
        places = [self.notes.setdefault(note, len(self.notes)) for note in mark.notes if note]
        return f' data-n="{" ".join(map(str, places))}"' if places else ""

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"


def _right(right: bool) -> str:
    return ' class="r"' if right else ""


def _labelled(name: str, text: str) -> str:
    """What a narrow screen puts before it, and whether it stays on one line where there is room."""
    return f' data-l="{escape(name)}"' + (' class="n"' if len(text) <= _SHORT else "")


def _verdict(text: str) -> str:
    return f'<b class="{_VERDICTS[text]}">{text}</b>' if text in _VERDICTS else _code(text)


def _code(text: str) -> str:
    """Plain text, where commands of ours are set as code."""
    return re.sub(r"(python -m zoo\.\w+[^;,)]*[^;,.)\s])", r"<code>\1</code>", escape(text))


def _marked(text: str) -> str:
    """The little Markdown that our own prose uses: paragraphs, bullets, code, bold, escapes."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = re.split(r"^[-*] ", block, flags=re.MULTILINE)
        if len(lines) > 1 and not lines[0].strip():
            parts.append("<ul>" + "".join(f"<li>{_inline(line)}</li>" for line in lines[1:]) + "</ul>")
        else:
            parts.append(f"<p>{_inline(block)}</p>")
    return "\n".join(parts)


def _inline(text: str) -> str:
    text = escape(re.sub(r"\\([<>*_#|\\])", r"\1", text), quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
