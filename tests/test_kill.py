"""The campaign of kills, a round of each kind; and that it sees what it is there to see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a sabotaged program is found out by, as code that changes it.
SABOTAGE = {
    "twice": """
import contextlib
from zoo.grid.store import Store
Store.claim = contextlib.contextmanager(lambda self, cell_id: iter([True]))
""",
    "left": """
import contextlib, os, time
from zoo.grid import worker
worker._end_with_parent, works = lambda: None, worker.work
def work(jobs, places, send, pending):
    parent = os.getppid()
    def quiet(event):
        with contextlib.suppress(OSError):
            send(event)
    works(jobs, places, quiet, pending)
    if os.getppid() != parent:
        time.sleep(8)
worker.work = work
""",
    "others": """
from zoo.grid import trainings, worker
train = worker.run_job
def run_job(job, places, send, number):
    import random, zoo.core.classes as classes
    trainings.train_cell, kept = (lambda head, *a, **k: __import__("dataclasses").replace(
        kept(head, *a, **k), validation_accuracy=random.random())), trainings.train_cell
    train(job, places, send, number)
    trainings.train_cell = kept
worker.run_job = run_job
""",
    "unclear": """
from zoo.core import errors
from zoo.grid import store
store.UserError = RuntimeError
""",
    "lost": """
from zoo.grid.store import Store
make = Store.make
def emptied(self):
    make(self)
    for path in self.folder.glob("*.json"):
        path.unlink()
Store.make = emptied
""",
}
KINDS = {
    "twice": ["two runners and a copy"] * 2, "left": ["SIGKILL of the runner"], "unclear": ["full disk"],
}  # fmt: skip
CODE = """
import sys
from pathlib import Path
from tests.kill.__main__ import campaign
for what, (kinds, code) in {sabotage!r}.items():
    done = campaign(len(kinds), 1, Path(sys.argv[1]) / what, kinds, lambda code=code: exec(code, {{}}))
    assert any(one.found[what] for _, one in done), (what, [one.found for _, one in done])
"""


def process(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_nothing_is_lost_in_a_round_of_each_kind() -> None:
    run = process("-m", "tests.kill", "--rounds", "10", "--seed", str(os.getpid()))
    assert run.returncode == 0, run.stderr + run.stdout


def test_a_program_that_is_sabotaged_is_found_out(tmp_path: Path) -> None:
    """Each count of the table is other than 0 where the program does what it counts."""
    sabotage = {what: (KINDS.get(what, ["SIGKILL of the group"]), code) for what, code in SABOTAGE.items()}
    run = process("-c", CODE.format(sabotage=sabotage), str(tmp_path))
    assert run.returncode == 0, run.stderr
