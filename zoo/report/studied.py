"""What studies answer, and their figures: those of questions, and those of measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.evidence.measurements import MEASUREMENTS, read_points
from zoo.evidence.questions import QUESTIONS, Question
from zoo.report.blocks import Block, Figure, Table
from zoo.report.curves import draw_curves, draw_plane
from zoo.report.defaults import defaults, whole_rows
from zoo.report.measured import blocks, curves
from zoo.report.plots import lines_of, plane_of

__all__ = ["Answered", "answers", "by_page", "draw_studies", "folders"]

_AXES = {
    "drift": ("epoch", "CKA to the initial network"),
    "sharpness": ("filter lengths away", "rise of the loss, nats"),
    "drop": ("strength of PGD", "accuracy lost, points"),
    "theory": ("epsilon", "gain over the penalty"),
    "robust": ("strength of PGD", "accuracy, %"),
    "robust-zh": ("strength of PGD", "accuracy, %"),
}
_LOGARITHMIC = ("drop", "theory")
_UNIT = "validation accuracy, %"


def folders(results: Path) -> dict[str, Path]:
    """The folder of each study among the results."""
    return {name: results / name for name in (*QUESTIONS, *MEASUREMENTS)}


@dataclass(frozen=True)
class Answered:
    """A study that has results: what it is `about`, what it `asks`, and the answer."""

    name: str
    about: str
    asks: str
    blocks: list[Block]


def by_page(places: Mapping[str, Path]) -> dict[str, list[Answered]]:
    """The studies that have results by what they are about; `places`: name and folder of each."""
    pages: dict[str, list[Answered]] = {}
    for own in answers(places):
        pages.setdefault(own.about, []).append(own)
    return pages


def answers(places: Mapping[str, Path]) -> Iterator[Answered]:
    """Every study that has a folder of results among `places`, by its name."""
    for name, asked in QUESTIONS.items():
        if asked.compares_recipes:
            continue  # a grid, with a section as other grids have one
        if name in places and (answer := defaults(places[name], name)):
            own = [*_on_plane(places[name], asked, answer)] if asked.plane else answer
            yield Answered(name, asked.about, asked.asks, own)
    for name, measured in MEASUREMENTS.items():
        if name in places and (points := read_points(places[name])):
            own = [*blocks(measured, points)]
            if lines := curves(measured, points):
                x, y = _AXES[name]
                chart = lines_of(lines, f"{name}: {y}", x, y, name in _LOGARITHMIC)
                own.append(Figure(f"figures/{name}.svg", f"{y} by {x}, mean over networks", chart))
            yield Answered(name, measured.about, measured.asks, own)


def draw_studies(results: Path, figures: Path) -> list[Path]:
    """Write the figures of all studies that are there; returns the paths written."""
    paths: list[Path] = []
    for name, asked in QUESTIONS.items():
        if asked.plane:
            found = plane(results / name, asked)
            paths += draw_plane(found, figures / name, asked.asks, asked.plane[1], asked.plane[0], _UNIT)
    for name, measured in MEASUREMENTS.items():
        points = read_points(results / name)
        if points:
            x, y = _AXES[name]
            lines, logarithmic = curves(measured, points), name in _LOGARITHMIC
            paths += draw_curves(lines, figures / name, f"{name}: {y}", x, y, logarithmic)
    return paths


def plane(folder: Path, asked: Question) -> dict[tuple[float, float], float]:
    """Mean validation accuracy in percent by (first, second) place of the variants' names."""
    rows = whole_rows(folder, asked.name)
    return {
        (places[0], places[1]): 100 * row.mean
        for row in rows
        if row.mean is not None and (places := [float(text) for text in row.variant.split(", ")])
    }


def _on_plane(folder: Path, asked: Question, answer: list[Block]) -> Iterator[Block]:
    """The answer with its long tables replaced by one with an axis down and one across."""
    yield from (block for block in answer if not isinstance(block, Table))
    values = plane(folder, asked)
    if not values:
        return
    down, across = (sorted({place[i] for place in values}) for i in (0, 1))
    rows = tuple(
        (f"{row:g}", *(f"{values[row, column]:.1f}" for column in across if (row, column) in values))
        for row in down
    )
    header = (f"{asked.plane[0]} down, {asked.plane[1]} across", *(f"{column:g}" for column in across))
    yield Table(header, rows, f"Mean {_UNIT}")
    first, second = asked.plane
    chart = plane_of(values, asked.asks, first, second, _UNIT)
    yield Figure(f"figures/{asked.name}.svg", f"{_UNIT} by {first} and {second}", chart)
