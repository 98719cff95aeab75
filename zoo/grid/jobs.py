"""What a worker is told: a cell with all that it needs, and where things are found and put; what it tells."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from zoo.core.names import BASELINE, is_pretrained
from zoo.core.records import setting
from zoo.core.result import Cell, CorpusInfo, Result
from zoo.training.baseline import BaselineSettings
from zoo.training.settings import CellSettings

# (event, job number, payload): "start" {}, "resumed" {share}, "epoch" {share, entry},
# "done" {accuracy, seconds}, "failed" {reason}, "paused" {}, "waiting" {cells: the numbers of those left}
Event = tuple[str, int, dict[str, Any]]
Send = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Running:
    """How cells are run, as it is asked for and as workers are told; nothing of it enters a cell's name.

    Args:
        graphs: on a GPU: replay steps as CUDA graphs.
        mps: on a GPU: start NVIDIA's MPS, so that the workers share it (`zoo.grid.mps`).
        stack_seeds: train the seeds of a setting as one model (`zoo.training.seeds`), where that can be done.
        portable: bound the vector width, so that machines of several kinds compute the same.
        keep_weights: write the weights of each cell beside its result.
        save_models: write each cell's network beside its result, to be loaded and used (`zoo.predict`).
    """

    graphs: bool = setting(True)
    mps: bool = setting(False)
    stack_seeds: bool = setting(False)
    portable: bool = setting(False)
    keep_weights: bool = setting(False)
    save_models: bool = setting(False)

    def running(self) -> dict[str, bool]:
        """These fields, for another record that has them."""
        return {field.name: getattr(self, field.name) for field in fields(Running)}


@dataclass(frozen=True)
class Places(Running):
    """Where things are found and put, beside how cells are run; nothing of it enters a cell's name.

    Args:
        out: folder of the results.
        data: folder of the corpora; None: the variable UEGR_DATA.
        cache: folder of prepared text and vectors; None: UEGR_CACHE or the user's cache folder.
        device: `cpu`, `cuda` or `cuda:N`.
        lanes: cells in turn in each worker (`zoo.training.lanes`).
        resumes: keep the state of a cell that trains in `out/.begun`, to go on where it was cut off.
        until: when to end, by `time.monotonic`, if all is not done before.
    """

    out: Path
    data: Path | None = None
    cache: Path | None = None
    device: str = "cpu"
    lanes: int = 1
    resumes: bool = True
    until: float = math.inf

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.until

    @property
    def begun(self) -> Path | None:
        """The folder of what is kept of cells that train; None: nothing is."""
        return self.out / ".begun" if self.resumes else None

    def weights(self, cell_id: str) -> Path | None:
        """Where the weights of a cell go; None: nowhere."""
        return self.out / "weights" / f"{cell_id}.safetensors" if self.keep_weights else None

    def model(self, cell_id: str) -> Path | None:
        """The folder of a cell's network; None: it is not saved."""
        return self.out / "models" / cell_id if self.save_models else None


@dataclass(frozen=True)
class Job:
    """One cell with all that a worker needs to run it. The reference row has one too, without a network.

    Args:
        head: what is known of the result before: id, cell, settings, corpus.
        settings: what decides the result.
        source: what load_corpus takes: a name or a path.
        model: the arch as it was asked for, with the folder of a model that has one.
        units: cost in passes x tokens x epochs, for the remaining time; 0 for the reference row.
        variant: how it differs from cells of the same names in one run, for the lines of progress.
        together: the cells of one training, this one among them: of several corpora, or of several seeds,
            of which each can do without the others; empty: it has its own.
    """

    head: Result
    settings: CellSettings | BaselineSettings
    source: str
    units: float
    variant: str = ""
    model: str = ""
    together: tuple[Job, ...] = ()

    @property
    def training(self) -> tuple[Job, ...]:
        """The cells that its training gives a result to: all that are trained with it, or this one alone."""
        return self.together or (self,)

    @property
    def apart(self) -> bool:
        """Whether its result does not depend on what is trained together with it: another seed."""
        return not is_pretrained(self.model)

    @property
    def claim(self) -> str:
        """The name under which its training is claimed."""
        return self.training[0].id

    @property
    def id(self) -> str:
        """The cell's name."""
        return self.head.id

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.head.cell

    @property
    def corpus(self) -> CorpusInfo:
        """Sizes of the cell's corpus."""
        assert self.head.corpus is not None
        return self.head.corpus

    @property
    def is_reference(self) -> bool:
        """Whether this is the row that is no network."""
        return self.cell.recipe == BASELINE
