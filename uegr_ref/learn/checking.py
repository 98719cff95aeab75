"""Runs the grader's child process, waits no longer than its limit, and reads what it found."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from .learner import Done, Folder
from .steps import STEPS, Step

EXAMPLES = 60  # that each property is tried on
SECONDS = 60.0  # of a step; the last one, which trains, has twice as long
GRACE = 10.0  # for the child to end by itself


class Checked(NamedTuple):
    """What a check of one step found; verdicts are those of `grading.Verdict` as dictionaries."""

    step: Step
    own: tuple[Step, ...]  # earlier steps whose functions are the learner's
    verdicts: tuple[dict[str, Any], ...]
    training: tuple[dict[str, float], ...]
    passed: bool
    ended: str = ""  # why the child did not finish
    places: tuple[str, ...] = ()  # where it was

    @property
    def empty(self) -> bool:
        """Whether nothing is wrong but that a body is missing."""
        return (
            not self.passed and all(one["passed"] or one["empty"] for one in self.verdicts) and not self.ended
        )

    def as_json(self) -> dict[str, Any]:
        """What --json prints of a step."""
        return {
            "step": self.step.number, "name": self.step.name, "file": self.step.file, "passed": self.passed,
            "empty": self.empty, "own": [step.number for step in self.own], "ended": self.ended,
            "places": list(self.places), "properties": list(self.verdicts), "training": list(self.training),
        }  # fmt: skip


def check(folder: Folder, step: Step, seconds: float = SECONDS, examples: int = EXAMPLES) -> Checked:
    """Grade a step in a child process, and note in the folder's progress whether it passed."""
    own = tuple(one for one in STEPS[: step.number - 1] if folder.has_passed(one))
    digest = folder.digest(step)
    limit = seconds * (2 if step.number == len(STEPS) else 1)
    with tempfile.TemporaryDirectory(prefix="uegr-learn-") as name:
        answer = Path(name) / "answer.jsonl"
        command = [
            sys.executable, "-m", "uegr_ref.learn.child", str(folder.path), str(step.number), str(answer),
            str(limit), str(examples), *(str(one.number) for one in own),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=limit + GRACE, check=False,
                stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
            code, said = done.returncode, done.stderr
        except subprocess.TimeoutExpired as stopped:
            code, said = 1, (stopped.stderr or b"").decode(errors="replace")
        lines = answer.read_text("utf-8").splitlines() if answer.is_file() else []
    rows = [json.loads(line) for line in lines]
    verdicts = tuple(row for row in rows if "law" in row)
    training = tuple(row["training"] for row in rows if "training" in row)
    finished = any("done" in row for row in rows)
    passed = finished and bool(verdicts) and all(row["passed"] for row in verdicts)
    if passed and training:
        passed = training[-1]["loss"] < training[0]["loss"]
    ended = "" if finished else _ended(code, said, limit)
    folder.progress[step.number] = Done(digest if passed else "", folder.done(step).hints)
    return Checked(
        step, own, verdicts, training, passed, ended, () if finished else _stack(said, folder.path)
    )


def _ended(code: int, said: str, limit: float) -> str:
    """Why a child stopped before it was done."""
    if code < 0 and -code in [*signal.Signals]:
        return f"Python was ended by the signal {signal.Signals(-code).name}"
    if "Timeout" in said or not said.strip():
        return f"not finished after {limit:g} seconds: does a loop never end?"
    return said.strip().splitlines()[-1][:200]


def _stack(said: str, folder: Path) -> tuple[str, ...]:
    """The learner's own lines in a dump of the stack, outermost first."""
    frames = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', said)
    own = [f"{Path(file).name}, line {line}, in {name}" for file, line, name in frames
           if Path(file).parent == folder]  # fmt: skip
    return tuple(reversed(own))
