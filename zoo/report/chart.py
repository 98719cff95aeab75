"""A picture as numbers: what `zoo.report.svg` draws, and the table that says the same."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Chart", "Mark", "Series"]


@dataclass(frozen=True)
class Mark:
    """One point.

    Args:
        x, y: its place in the units of the axes; y is the index of a row where the chart has `names`.
        text: what it is and its values, in words.
        low, high: an interval along x.
        open: drawn hollow.
        value: written onto a plane.
        notes: what else belongs to it: its settings, the command that runs it.
    """

    x: float
    y: float
    text: str
    low: float | None = None
    high: float | None = None
    open: bool = False
    value: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Marks of one kind. `colour` is an index into the page's colours; `line` joins them in their order."""

    name: str
    marks: tuple[Mark, ...]
    colour: int
    line: bool = False


@dataclass(frozen=True)
class Chart:
    """Series over two axes.

    Args:
        title: what is shown; `says` adds in words how it is read.
        x, y: titles of the axes.
        header, rows: the same numbers as texts; the first column names the rows.
        names: of rows, from the top, where y is no number; an empty one parts groups, one that ends in `:`
            heads a group.
        limit: with `names`: x goes from -limit to +limit, and what lies beyond is an arrow at the edge.
        plane: marks are the places of a grid, coloured by the number that their `value` says.
        logarithmic: of the x axis.
        within: least and most of the y axis, as of a share; None: as the marks have it.
    """

    title: str
    says: str
    x: str
    y: str
    series: tuple[Series, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: tuple[str, ...] = ()
    limit: float = 0.0
    plane: bool = False
    logarithmic: bool = False
    within: tuple[float, float] | None = None
