"""The folders of results that compare methods as Table IV does, for docs/results.md and the site's cards.

A folder takes its sections of the page from `zoo.report.page`, its figure and its row of the cards from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from zoo.evidence.cells import Cells
from zoo.report import whole
from zoo.report.tables import ArchTable, build_tables

__all__ = ["GRIDS", "Grid"]

BESIDE = partial(build_tables, paper=True)


@dataclass(frozen=True)
class Grid:
    """One folder of results.

    Attributes:
        title: of its figure.
        tables: its cells -> one table a model.
        more: what the cards say beside the title.
    """

    title: str
    tables: Callable[[Cells], tuple[ArchTable, ...]] = BESIDE
    more: str = ""

    @property
    def sentence(self) -> str:
        """The title within a sentence, and what is said beside it."""
        return self.title[0].lower() + self.title[1:] + self.more


GRIDS: Mapping[str, Grid] = MappingProxyType(
    {
        "full": Grid("Table IV on every row that we have", whole.planned_tables),
        "full_tuned": Grid(
            "Table IV on every row that we have, at the best settings found on validation",
            whole.planned_tables,
        ),
        "quick": Grid("The paper's corpora, cut to a part", more=", one learning rate, the paper's reading"),
        "tuned": Grid(
            "At the best settings found on validation",
            more=", each method's own learning rate, a part of the paper's corpora, the paper's reading",
        ),
        "demo": Grid("The demo", build_tables, more=", one seed"),
        "full_last": Grid(
            "Table IV on every row that we have: BiLSTM by its last states", whole.planned_tables
        ),
    }
)
