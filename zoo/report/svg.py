"""Charts as SVG, small enough for a phone: no library, no script; colours are the page's variables.

Every mark is an element of its own with its values in words, which a page's script shows on hover and focus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from zoo.report.chart import Chart, Mark, Series

__all__ = ["COLOURS", "STYLE", "legend", "svg"]

WIDTH, LETTER = 340, 6.4  # units of the drawing; about the width of a character
COLOURS = 9
_POINTS_HEIGHT, _ROW = 250, 17
# By colour; the paper's method (1) is the round one.
_FORMS = (
    "m-4-4h8v8h-8z", "", "m0-5l5 5l-5 5l-5-5z", "m0-5l5 9h-10z", "m0 5l5-9h-10z", "m-5-2h10v4h-10z",
    "m-4-4l8 8m0-8l-8 8", "m0-5v10m-5-5h10", "m0-5v10",
)  # fmt: skip
# What a drawing that stands alone needs; a page has its own.
STYLE = """\
svg{font:12px system-ui,sans-serif;fill:#1b1f24;background:#fff;--paper:#fff;--faint:#d8dce2;--ink:#1b1f24;\
--c0:#0067a6;--c1:#c24e00;--c2:#00785a;--c3:#a3467c;--c4:#8a6100;--c5:#2b7bb0;--c6:#5b4bb5;--c7:#63686f;--c8:#1b1f24}"""

Noted = Callable[[Mark], str]  # attributes that say where the notes of a mark are


def svg(chart: Chart, id: str, noted: Noted = lambda _: "", alone: bool = False) -> str:
    """The drawing.

    Args:
        id: begins the ids of its title and description; unique in a page.
        alone: as a file of its own, with its style.
    """
    draw = _rows if chart.names else _plane if chart.plane else _points
    height, parts = draw(chart, noted)
    head = f'viewBox="0 0 {WIDTH} {height:g}" role="group" aria-labelledby="{id}-t" aria-describedby="{id}-d"'
    head += f' xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}"' if alone else ""
    style = f"<style>{STYLE}</style>" if alone else ""
    inner = "".join(parts)
    return (
        f'<svg {head}><title id="{id}-t">{escape(chart.title)}</title>'
        f'<desc id="{id}-d">{escape(chart.says)}</desc>{style}{inner}</svg>'
    )


def legend(chart: Chart) -> list[tuple[str, str]]:
    """Each series' mark as a small drawing, and its name; nothing where the rows or a plane name it."""
    if chart.names or chart.plane:
        return []
    head = '<svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">'
    return [(f"{head}{_shape(7, 7, s.colour)}</svg>", s.name) for s in chart.series]


# --- points and lines over two axes -----------------------------------------------------------------------


def _points(chart: Chart, noted: Noted) -> tuple[float, list[str]]:
    marks = [mark for series in chart.series for mark in series.marks]
    left, right, top, bottom = 50, 12, 22, 38
    place = math.log10 if chart.logarithmic else float
    xs, ys = _range([place(m.x) for m in marks]), chart.within or _range([m.y for m in marks])
    across, down = WIDTH - left - right, _POINTS_HEIGHT - top - bottom

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + across * (place(x) - xs[0]) / (xs[1] - xs[0]),
            top + down * (ys[1] - y) / (ys[1] - ys[0]),
        )

    parts = [_text(4, 12, chart.y), _text(left + across / 2, _POINTS_HEIGHT - 5, chart.x, "middle")]
    for tick in _ticks(*ys):
        y = at(marks[0].x, tick)[1]
        parts += [_line(left, y, WIDTH - right, y), _text(left - 5, y + 4, _number(tick), "end")]
    for tick in sorted({m.x for m in marks}) if chart.logarithmic else _ticks(*xs):
        x = at(tick, ys[0])[0]
        parts.append(_text(x, _POINTS_HEIGHT - bottom + 15, _number(tick), "middle"))
    for series in chart.series:
        places = [at(m.x, m.y) for m in series.marks]
        if series.line:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{_ink(series.colour)}" stroke-width="1.6"/>'
            )
        for mark, (x, y) in zip(series.marks, places, strict=True):
            parts.append(_mark(mark, _shape(x, y, series.colour, mark.open), x, y, noted))
    return _POINTS_HEIGHT, parts


# --- rows with intervals ----------------------------------------------------------------------------------


def _rows(chart: Chart, noted: Noted) -> tuple[float, list[str]]:
    left = min(150.0, 14 + LETTER * max(map(len, chart.names)))
    top, bottom, right = 6, 38, 12
    height = top + bottom + _ROW * len(chart.names)
    across = WIDTH - left - right

    def at(x: float) -> float:
        kept = max(-chart.limit, min(chart.limit, x))
        return left + across * (kept + chart.limit) / (2 * chart.limit)

    parts = [_text(left + across / 2, height - 5, chart.x, "middle")]
    for tick in _ticks(-chart.limit, chart.limit, 5):
        strong = ' stroke-width="1.4" style="stroke:var(--ink)"' if tick == 0 else ""
        parts.append(_line(at(tick), top, at(tick), height - bottom, strong))
        parts.append(_text(at(tick), height - bottom + 15, _number(tick), "middle"))
    for i, name in enumerate(chart.names):
        y, heads = top + _ROW * (i + 0.5), name.endswith(":")
        weight = ' font-weight="bold"' if heads else ""
        parts.append(_text(left - 6, y + 4, name.removesuffix(":"), "end", weight) if name else "")
    for series in chart.series:
        for mark in series.marks:
            y = top + _ROW * (mark.y + 0.5)
            parts.append(_mark(mark, _whisker(mark, series, at, y, chart.limit), at(mark.x), y, noted))
    return height, parts


def _whisker(mark: Mark, series: Series, at: Callable[[float], float], y: float, limit: float) -> str:
    ink, drawn = _ink(series.colour), ""
    if mark.low is not None and mark.high is not None:
        drawn = f'<path d="M{at(mark.low):.1f} {y:g}H{at(mark.high):.1f}" stroke="{ink}" stroke-width="2"/>'
        for end, way in ((mark.low, -1), (mark.high, 1)):
            if way * end > limit:
                tip = at(way * limit) + 4 * way
                drawn += f'<path d="M{tip:.1f} {y:g}l{-6 * way} -4v8z" fill="{ink}"/>'
    return drawn + (_shape(at(mark.x), y, series.colour, mark.open) if abs(mark.x) <= limit else "")


# --- a plane of colours -----------------------------------------------------------------------------------


def _plane(chart: Chart, noted: Noted) -> tuple[float, list[str]]:
    marks = [mark for series in chart.series for mark in series.marks]
    columns, rows = sorted({m.x for m in marks}), sorted({m.y for m in marks})
    left, top, bottom = 44.0, 22.0, 38.0
    wide, high = (WIDTH - left - 8) / len(columns), min(28.0, 252 / len(rows))
    height = top + bottom + high * len(rows)
    parts = [_text(4, 12, chart.y), _text(left + wide * len(columns) / 2, height - 5, chart.x, "middle")]
    parts += [
        _text(left + wide * (i + 0.5), height - bottom + 15, f"{value:g}", "middle")
        for i, value in enumerate(columns)
    ]
    parts += [_text(left - 6, top + high * (i + 0.65), f"{value:g}", "end") for i, value in enumerate(rows)]
    values = [float(m.value) for m in marks]
    low, size = min(values), (max(values) - min(values)) or 1.0
    for mark, value in zip(marks, values, strict=True):
        x, y = left + wide * columns.index(mark.x), top + high * rows.index(mark.y)
        share = (value - low) / size
        # From dark blue to light yellow; the number is in the colour that stands out from it.
        fill = f"hsl({225 - 175 * share:.0f} {45 + 35 * share:.0f}% {24 + 50 * share:.0f}%)"
        ink = "#fff" if share < 0.5 else "#000"
        drawn = (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" height="{high - 1:.1f}" fill="{fill}"/>'
        )
        drawn += f'<text x="{x + wide / 2:.1f}" y="{y + high / 2 + 4:.1f}" text-anchor="middle" '
        drawn += f'font-size="10.5" style="fill:{ink}">{escape(mark.value)}</text>'
        parts.append(_mark(mark, drawn, None, None, noted))
    return height, parts


# --- pieces -----------------------------------------------------------------------------------------------


def _mark(mark: Mark, drawn: str, x: float | None, y: float | None, noted: Noted) -> str:
    """A mark that can be pointed at within 9 units of it, and that has its words."""
    near = "" if x is None else f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="transparent"/>'
    return f'<g class="m" role="img" aria-label="{escape(mark.text)}"{noted(mark)}>{near}{drawn}</g>'


def _ink(colour: int) -> str:
    return f"var(--c{colour % COLOURS})"


def _shape(x: float, y: float, colour: int, hollow: bool = False) -> str:
    """A form for each colour, so that they are told apart without it."""
    ink = _ink(colour)
    look = f'fill="{"var(--paper)" if hollow else ink}" stroke="{ink}" stroke-width="1.4"'
    at = f"M{x:.1f} {y:.1f}"
    if path := _FORMS[colour % COLOURS]:
        return f'<path d="{at}{path}" {look}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {look}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{where}{more}>{escape(text)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, more: str = "") -> str:
    look = more or ' style="stroke:var(--faint)"'
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"{look}/>'


def _range(values: Iterable[float]) -> tuple[float, float]:
    """From the least to the largest value, with some air."""
    known = list(values)
    low, high = min(known), max(known)
    air = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return low - air, high + air


def _ticks(low: float, high: float, about: int = 5) -> Sequence[float]:
    """Round numbers from low to high, about so many."""
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= about + 1)
    return [
        round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")
