"""Charts from tables, cells and lines: what is shown; `zoo.report.svg` says how it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.core.names import AVERAGE, BASELINE, display
from zoo.core.result import Result
from zoo.evidence.cells import Cells, Group, Method
from zoo.report.blocks import MISSING
from zoo.report.chart import Chart, Mark, Series
from zoo.report.figure import limit_of
from zoo.report.panels import EMPHASISED, cost_text, difference_text, value_text
from zoo.report.tables import ArchTable, Row, Score

__all__ = [
    "MOST_METHODS",
    "Notes",
    "OverEpochs",
    "against",
    "by_epoch",
    "differences",
    "lines_of",
    "plane_of",
]

MOST_METHODS = 16  # in one chart; more are in the tables alone
Notes = Callable[
    [Sequence[Group]], tuple[str, ...]
]  # the settings and commands of what a mark is the mean of
Entry = Mapping[str, Any]  # of a result's curve, one an epoch
PAPER = 8  # colour of the paper's marks
_HIGHLIGHT, _GREY = 1, 7
_OTHERS = (0, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class OverEpochs:
    """A number of an epoch's entry, its unit, and the axis where it has natural ends."""

    title: str
    unit: str
    value: Callable[[Entry], float | None]
    within: tuple[float, float] | None = None


def differences(table: ArchTable, notes: Notes) -> Chart | None:
    """The forest plot of a model: each paired difference to the reference, with its interval."""
    rows = [row for row in table.rows if any(score.estimate for score in table.places(row))][:MOST_METHODS]
    if not rows:
        return None
    networks = [row for row in rows if row.method.recipe != BASELINE] or rows
    limit = limit_of([score for row in networks for score in table.places(row)])
    names: list[str] = []
    measured: dict[Method, list[Mark]] = {row.method: [] for row in rows}
    printed = []
    for column, corpus in enumerate(table.columns):
        names += ["", f"{display(corpus)}:"] if names else [f"{display(corpus)}:"]
        for row in rows:
            score, y = table.places(row)[column], len(names)
            names.append(row.method.name)
            if score.estimate:
                own = notes(_groups(table, row.method, None if corpus == AVERAGE else corpus))
                measured[row.method].append(_difference(table, row, corpus, score, y, own))
            if score.paper_difference is not None:
                points = 100 * score.paper_difference
                text = f"the paper: {row.method.name} on {display(corpus)}, {points:+.2f} points"
                printed.append(Mark(points, y, text, open=True))
    series = [Series(m.name, tuple(marks), _colour(m, table.rows)) for m, marks in measured.items()]
    series += [Series("the paper", tuple(printed), PAPER)] if printed else []
    says = (
        f"Points better than {display(table.reference)}, with {table.confidence:.0%} intervals of the paired "
        "difference. Filled: told apart from 0 after Holm's correction. Arrows leave the scale."
        + (" Upright bars: the paper's difference." if printed else "")
    )
    texts = tuple(
        (row.method.name, *(_text(score, 1 - table.confidence) for score in table.places(row)))
        for row in rows
    )
    return Chart(
        f"{table.name}: differences to {display(table.reference)}", says,
        f"points better than {display(table.reference)}", "", tuple(series),
        ("Recipe", *map(display, table.columns)), texts, tuple(names), limit,
    )  # fmt: skip


def _difference(
    table: ArchTable, row: Row, corpus: str, score: Score, y: int, notes: tuple[str, ...]
) -> Mark:
    estimate, level = score.estimate, 1 - table.confidence
    assert estimate
    p_holm = score.comparison.p_holm if score.comparison else None
    text = f"{row.method.name} on {display(corpus)}, {table.name}: {_text(score, level)} points, "
    text += f"{estimate.runs} pair{'s' if estimate.runs > 1 else ''}"
    text += "" if p_holm is None else f", p {p_holm:.2g} after Holm"
    sure = p_holm is not None and p_holm < level
    low, middle, high = (100 * v for v in (estimate.low, estimate.difference, estimate.high))
    return Mark(middle, y, text, low, high, not sure, notes=notes)


def _text(score: Score, level: float) -> str:
    if score.estimate is None:
        return MISSING
    return difference_text(score.estimate, score.comparison.p_holm if score.comparison else None, level)


def against(table: ArchTable, x: str, notes: Notes) -> Chart | None:
    """Mean accuracy of each method against another of its numbers; None with fewer than two methods.

    Args:
        x: `cost`, or the name of a measure.
    """
    main = table.main
    rows, marks = [], []
    other = next((m for m in table.measures if m.name == x), None)
    if other is None and x != "cost":
        return None
    for row in table.rows[:MOST_METHODS]:
        score = row.average
        value = score.cost if other is None else _scaled(score, x)
        if score.main is None or value is None:
            continue
        shown = cost_text(value) if other is None else value_text(score.values[x], other)
        said = f"{row.method.name}, {table.name}: {_lower(main.title)} {value_text(score.main, main)}, "
        said += f"cost of a step {shown}" if other is None else f"{_lower(other.title)} {shown}"
        own = notes(_groups(table, row.method))
        mark = Mark(value, main.scale * score.main.mean, said, notes=own)
        marks.append(Series(row.method.name, (mark,), _colour(row.method, table.rows)))
        rows.append((row.method.name, value_text(score.main, main), shown))
    if len(marks) < 2:
        return None
    axis = "cost of a step, plain = 1" if other is None else other.heading
    where = display(table.columns[-1])
    title = f"{table.name}: {_lower(main.title)} against {'cost' if other is None else _lower(other.title)}"
    says = f"One mark a method, {'mean over the corpora' if len(table.corpora) > 1 else where}."
    return Chart(title, says, axis, main.heading, tuple(marks), ("Recipe", main.heading, axis), tuple(rows))


def _groups(table: ArchTable, method: Method, corpus: str | None = None) -> list[Group]:
    """The runs of a method on one corpus, or on all."""
    return [table.cells.get(table.arch, c, method) for c in ((corpus,) if corpus else table.corpora)]


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _scaled(score: Score, name: str) -> float | None:
    spread = score.values.get(name)
    return None if spread is None else 100 * spread.mean


def by_epoch(cells: Cells, arch: str, corpora: Sequence[str], kind: OverEpochs, notes: Notes) -> Chart | None:
    """A number of every epoch's entry, mean over the runs that reached it; None without two epochs of one."""
    methods = [m for m in cells.methods() if any(cells.get(arch, c, m).done for c in corpora)]
    where = display(corpora[0]) if len(corpora) == 1 else "all corpora"
    series, rows, longest = [], [], 0
    for method in methods[:MOST_METHODS]:
        groups = [cells.get(arch, corpus, method) for corpus in corpora]
        means = list(_means([run for group in groups for run in group.done.values()], kind.value))
        if not means:
            continue
        own, longest = notes(groups), max(longest, len(means))
        said = f"{method.name} on {where}, {display(arch)}, epoch"
        marks = tuple(
            Mark(i, mean, f"{said} {i}: {mean:.3g} {kind.unit}", notes=own) for i, mean in enumerate(means, 1)
        )
        series.append(Series(method.name, marks, _colour_of(method, methods), line=True))
        rows.append((method.name, *(f"{mean:.3g}" for mean in means)))
    if longest < 2:
        return None
    header = ("Recipe", *(f"epoch {i}" for i in range(1, longest + 1)))
    padded = tuple((*row, *[MISSING] * (len(header) - len(row))) for row in rows)
    return Chart(
        f"{display(arch)}, {where}: {kind.title}", "Mean over the runs that reached the epoch.", "epoch",
        kind.unit, tuple(series), header, padded, within=kind.within,
    )  # fmt: skip


def _means(results: Iterable[Result], value: Callable[[Entry], float | None]) -> Iterable[float]:
    curves = [[value(entry) for entry in result.curve] for result in results]
    for i in range(max(map(len, curves), default=0)):
        known = [v for curve in curves if len(curve) > i and (v := curve[i]) is not None]
        if not known:
            return
        yield sum(known) / len(known)


def lines_of(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x: str,
    y: str,
    logarithmic: bool = False,
) -> Chart:
    """Lines over one axis, by their names."""
    first = display(EMPHASISED)
    others = [name for name in lines if name != first]
    colours = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(others)} | {first: _HIGHLIGHT}
    series = []
    for name, line in lines.items():
        marks = (Mark(a, b, f"{name}, {x} {a:g}: {b:.3g}") for a, b in zip(*line, strict=True))
        series.append(Series(name, tuple(marks), colours[name], line=True))
    at = sorted({a for across, _ in lines.values() for a in across})
    rows = tuple(
        (name, *(f"{known[a]:.3g}" if a in known else MISSING for a in at))
        for name, line in lines.items()
        for known in (dict(zip(*line, strict=True)),)
    )
    return Chart(
        title, f"{y} by {x}, mean over networks.", x, y, tuple(series), ("", *(f"{a:g}" for a in at)), rows,
        logarithmic=logarithmic,
    )  # fmt: skip


def plane_of(values: Mapping[tuple[float, float], float], title: str, y: str, x: str, unit: str) -> Chart:
    """A number for each place (down, across)."""
    down, across = (sorted({place[i] for place in values}) for i in (0, 1))
    marks = tuple(
        Mark(b, a, f"{y} {a:g}, {x} {b:g}: {value:.1f}", value=f"{value:.1f}")
        for (a, b), value in values.items()
    )
    rows = tuple(
        (f"{a:g}", *(f"{values[a, b]:.1f}" if (a, b) in values else MISSING for b in across)) for a in down
    )
    header = (f"{y} down, {x} across", *(f"{b:g}" for b in across))
    return Chart(
        title, f"{unit}: the lighter, the higher.", x, y, (Series(unit, marks, 0),), header, rows, plane=True
    )


def _colour(method: Method, rows: Sequence[Row]) -> int:
    return _colour_of(method, [row.method for row in rows])


def _colour_of(method: Method, methods: Sequence[Method]) -> int:
    """The paper's method and the reference row have colours of their own, others by their place."""
    if method.recipe in (EMPHASISED, BASELINE):
        return _HIGHLIGHT if method.recipe == EMPHASISED else _GREY
    others = [m for m in methods if m.recipe not in (EMPHASISED, BASELINE)]
    return _OTHERS[others.index(method) % len(_OTHERS)]
