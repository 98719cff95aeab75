"""The report of a folder of results as blocks: the answer first, then what it is made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.core.names import is_pretrained
from zoo.core.result import Result
from zoo.evidence.cells import Cells, Group
from zoo.evidence.judged import Held, Judged
from zoo.evidence.paper import paper
from zoo.evidence.settings import ABSENT, by_name, shown
from zoo.evidence.statements import findings
from zoo.report import studied
from zoo.report.blocks import Block, Figure, Fold, Heading, Text
from zoo.report.chart import Chart
from zoo.report.claimed import answer
from zoo.report.diagnostics import diagnostics
from zoo.report.folder import Read
from zoo.report.glue import beside_the_paper
from zoo.report.grids import GRIDS, Grid
from zoo.report.plots import Entry, Notes, OverEpochs, against, by_epoch, differences
from zoo.report.sections import grid
from zoo.report.setup import setup
from zoo.report.tables import ArchTable, build_tables
from zoo.report.verdicts import verdicts
from zoo.studies.again import command_of

__all__ = ["overview", "tables_of_grids"]

MOST_CURVES = 12  # charts over epochs of one kind in one folder; more would be no picture
_READING = (
    "Point at a mark, or go to it with Tab and the arrows, for its numbers, its settings and the command "
    "that runs it. Under each figure are its numbers as a table."
)


def overview(what: Read, found: Sequence[Judged], folder: Path) -> list[Block]:
    """All blocks of the report; the same from the same files."""
    held = what.held
    number = sum(len(runs.every) for cells in held.grids.values() for runs in cells.groups.values())
    number += sum(map(len, held.answers.values()))
    measured = sum(map(len, held.points.values()))
    said = f"From {number:,} training runs and {measured:,} measured networks in the folder {folder.name}."
    left = f" Left out, as they hold no results: {', '.join(what.left_out)}." if what.left_out else ""
    blocks: list[Block] = [Heading("What these results say of UEGR", 1), Text(said + left), *answer(found)]
    tables = tables_of_grids(held)
    first = _first(found, held)
    for name in sorted(held.grids, key=lambda name: name != first):
        section = _grid(tables[name], held.grids[name])
        blocks.append(Heading(f"The grid {name}: measured beside printed"))
        blocks += section if name == first else [Fold(f"Tables and figures of {name}", tuple(section))]
    for own in studied.answers(what.folders):
        blocks += [Heading(f"{own.about}: the study {own.name}"), *own.blocks]
    return blocks


def tables_of_grids(held: Held) -> dict[str, tuple[ArchTable, ...]]:
    """The tables of each grid by its name, beside the paper's numbers where it has the paper's corpora."""
    printed = {corpus for _, _, corpus in paper()}
    found = {}
    for name, cells in held.grids.items():
        own = GRIDS.get(name, Grid(name)).tables
        found[name] = own(cells) if printed & set(cells.corpora()) else build_tables(cells)
    return found


def _first(found: Iterable[Judged], held: Held) -> str:
    """The grid that answers, or the one with the most training texts."""
    where = (own.answer.where for own in found if own.answer and own.answer.where in held.grids)
    return next(where, next(iter(held.grids), ""))


def _grid(tables: Sequence[ArchTable], cells: Cells) -> list[Block]:
    notes = _notes()
    blocks: list[Block] = [Text(_READING)]
    blocks += _figures(differences(table, notes) for table in tables)
    blocks += _figures(against(table, x, notes) for x in ("cost", "attacked_accuracy") for table in tables)
    blocks += grid(tables, level=3)
    if any(is_pretrained(table.arch) for table in tables):
        blocks += beside_the_paper(tables)
    blocks += _over_epochs(cells)
    blocks += [Fold("The last epoch of every method", tuple(diagnostics(cells, 4)))]
    blocks += [Fold("Differences between pairs of methods", tuple(verdicts(findings(cells), heading=4)))]
    return [*blocks, Fold("What was run, with all settings", tuple(setup(cells)))]


def _over_epochs(cells: Cells) -> list[Block]:
    """Learning curves of each model on each corpus, then the mask and the dropout of each model."""
    notes, archs = _notes(), cells.archs()
    there = {(key.arch, key.corpus) for key in cells.groups}
    places = [(a, c) for a in archs for c in cells.corpora() if (a, c) in there][:MOST_CURVES]
    curves = _figures(by_epoch(cells, arch, (corpus,), _LEARNED, notes) for arch, corpus in places)
    inside = _figures(by_epoch(cells, a, cells.corpora(), kind, notes) for kind in _INSIDE for a in archs)
    return [
        *([Heading("Learning curves", 3), *curves] if curves else []),
        *([Heading("Inside the runs", 3), *inside[:MOST_CURVES]] if inside else []),
    ]


def _validation(entry: Entry) -> float | None:
    found = entry.get("validation_accuracy")
    return None if found is None else 100 * found


def _drop_rate(entry: Entry) -> float | None:
    """The mean over the sites."""
    known = list((entry.get("drop_rate") or {}).values())
    return sum(known) / len(known) if known else None


_LEARNED = OverEpochs("validation accuracy", "%", _validation)
_INSIDE = (
    OverEpochs("share of the gradient that is kept", "share", lambda e: e.get("kept_share"), (0.0, 1.0)),
    OverEpochs("drop rate, mean over units and sites", "rate", _drop_rate, (0.0, 1.0)),
)


def _figures(charts: Iterable[Chart | None]) -> list[Block]:
    return [Figure("", chart.title, chart) for chart in charts if chart is not None]


def _notes() -> Notes:
    """A maker of the notes of a mark: cells, command and settings of its runs; of a mean its commands."""
    known: dict[str, tuple[str, str, str]] = {}

    def notes(groups: Sequence[Group]) -> tuple[str, ...]:
        there = [group.every for group in groups if group.every]
        for every in there:
            if every[0].id not in known:
                known[every[0].id] = _said(every)
        said = [known[every[0].id] for every in there]
        if len(said) == 1:
            return said[0]
        return tuple(dict.fromkeys(command for _, command, _ in said))

    return notes


def _said(every: Sequence[Result]) -> tuple[str, str, str]:
    settings = by_name(every[0].settings)
    listed = ", ".join(f"{n} {text}" for n, v in settings.items() if (text := shown(v)) != ABSENT)
    seeds = ", ".join(str(result.cell.seed) for result in every)
    return f"cell {every[0].id}; seeds {seeds}", command_of(every), f"settings: {listed}"
