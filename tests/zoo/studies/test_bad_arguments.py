"""Malformed arguments of the Python functions: one clear line, no work done."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoo.changes import as_typed, from_text
from zoo.core.command import one_line
from zoo.core.errors import UserError
from zoo.core.result import Cell, Result
from zoo.grid.engines.local import run_grid
from zoo.grid.jobs import Places
from zoo.grid.plan import plan_jobs
from zoo.grid.store import Store
from zoo.studies import run
from zoo.studies.options import assignments
from zoo.studies.study import Axes, Study, Where

DEMO = Study.of("demo")
ROWS: list[tuple[Callable[[Path], Any], str]] = [
    (lambda p: from_text({"nope": "1"}), "unknown setting 'nope'"),
    (lambda p: from_text({"alpha": "x"}), "alpha='x': expected"),
    (lambda p: from_text({"alpha": ""}), "alpha='': expected"),
    (lambda p: from_text({"update": "x"}), "update='x': expected one of all, selective"),
    (lambda p: as_typed({"nope": 1}), "unknown setting 'nope'"),
    (lambda p: as_typed({"dropout": None}), "dropout=None: expected one of none"),
    (lambda p: assignments(["alpha"]), "--set alpha: expected NAME=VALUE"),
    (lambda p: assignments(["a=1", "a=2"], "--vary"), "--vary a=2: a is 1 already"),
    (lambda p: Axes(seeds=()), "axis seeds is empty"),
    (lambda p: Axes(seeds=(True,)), "axis seeds=.*expected a whole number"),
    (lambda p: Axes(seeds=[0]), "axis seeds=.*expected a tuple"),
    (lambda p: Axes(recipes="uegr"), "axis recipes='uegr': expected a tuple"),
    (lambda p: Axes(corpora=(Path("a"),)), "axis corpora=.*expected a text"),
    (lambda p: Axes(folds=1), "folds is 1"),
    (lambda p: Where(jobs=-1), "place jobs=-1"),
    (lambda p: Where(out=Path("x")), "place out=.*expected a text"),
    (lambda p: Where(device="cuda:0"), "place device='cuda:0': expected one of auto, cpu, cuda"),
    (lambda p: Where(graphs=1), "place graphs=1: expected True or False"),
    (lambda p: Study.of("demmo"), "unknown preset 'demmo'.*did you mean 'demo'"),
    (lambda p: Study.of("demo", {"seed": (0,)}), "unknown axis 'seed'"),
    (lambda p: Study.of("demo", changes={"alpha": [1]}), "alpha=.*expected a number"),
    (lambda p: Study.of("demo", changes={"alpha": float("nan")}), "alpha=nan: expected a finite number"),
    (lambda p: Study.of("demo", changes={"base_rates": 0.2}), "base_rates=0.2: expected a tuple"),
    (lambda p: Study.of("demo", changes={"epochs": 1.5}), "epochs=1.5: expected a whole number"),
    (lambda p: Study.of("demo", changes={"epochs": True}), "epochs=True: expected a whole number"),
    (lambda p: DEMO.changed({"seeds": (-1,)}), "axis seeds=-1"),
    (lambda p: DEMO.changed(alhpa=1), "unknown setting 'alhpa'"),
    (lambda p: DEMO.changed({"recipes": ("dropout",)}, epsilon=1.0), "epsilon: none of the methods"),
    (lambda p: Study.read(p / "none"), "cannot be read"),
    (lambda p: DEMO.write(p / "file"), "cannot be written"),
    (lambda p: Store(p / "file"), "is a file; expected a folder"),
    (lambda p: Store(p / "file" / "below"), "is a file; expected a folder"),
    (lambda p: Store(p).read("none"), "no result of the cell 'none'"),
    (lambda p: Store(p).read("../file"), "cell '../file': expected the name of a cell"),
    (lambda p: Store(p).read(""), "cell '': expected the name of a cell"),
    (lambda p: Store(p).write(Result("a/b", Cell("c", "a", "r", 0), "failed")), "cell 'a/b'"),
    (lambda p: run_grid([], Places(p), 0, print, {}), "workers is 0: expected at least 1"),
    (lambda p: run.plan(DEMO.changed({"corpora": ("none.csv",)})), "none.csv"),
    (lambda p: run.plan(replace(DEMO, places=Where(out=str(p / "file")))), "is a file; expected a folder"),
    (lambda p: run.plan(replace(DEMO, places=Where(data=str(p / "file")))), "is a file; expected a folder"),
    (lambda p: run.plan(replace(DEMO, places=Where(device="cpu", cells_per_gpu=2))), "the device is cpu"),
    (lambda p: run.plan(replace(DEMO, places=Where(device="cpu", mps=True))), "--mps: .* --cells-per-gpu 2"),
    (lambda p: plan_jobs(DEMO.changed({"corpora": ("none.csv",)}), Places(p), print), "none.csv"),
    (lambda p: run.plan(DEMO.changed(vectors="none")), "vectors.*none"),
]


@pytest.mark.parametrize(("act", "said"), ROWS, ids=[said[:40] for _, said in ROWS])
def test_one_line(act: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        act(tmp_path)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "something was written"


def test_a_line_stays_one_whatever_a_name_holds() -> None:
    assert one_line("corpus a\nb\x1b[2J é 好") == "corpus a\\nb\\x1b[2J é 好"
