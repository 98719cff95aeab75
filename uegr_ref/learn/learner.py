"""A learner's folder: its files as functions, and what has been passed so far."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .language import LANGUAGES
from .steps import STEPS, Step

PROGRESS = "progress.json"


class Done(NamedTuple):
    """What is known of a step: the content that passed, and how many hints were read."""

    passed: str = ""  # the SHA-256 of the file that passed; empty: none has
    hints: int = 0


class Folder:
    """The exercises in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.progress: dict[int, Done] = {}
        self.language = "en"
        file = self.path / PROGRESS
        if file.is_file():
            try:
                kept = json.loads(file.read_text("utf-8"))
                if kept["language"] not in LANGUAGES:
                    raise KeyError(kept["language"])
                self.language = kept["language"]
                self.progress = {
                    int(n): Done(str(d["passed"]), int(d["hints"])) for n, d in kept["steps"].items()
                }
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ValueError(
                    f"{file}: wanted what `check` wrote; delete the file to begin anew"
                ) from None

    def save(self) -> None:
        """Write the progress, whole or not at all."""
        steps = {str(n): done._asdict() for n, done in sorted(self.progress.items())}
        new = self.path / f".{PROGRESS}.new"
        new.write_text(json.dumps({"language": self.language, "steps": steps}, indent=1) + "\n", "utf-8")
        os.replace(new, self.path / PROGRESS)

    def done(self, step: Step) -> Done:
        """What is known of a step."""
        return self.progress.get(step.number, Done())

    def digest(self, step: Step) -> str:
        """The SHA-256 of a step's file; empty without one."""
        file = self.path / step.file
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""

    def has_passed(self, step: Step) -> bool:
        """Whether the file of a step, as it is now, has passed."""
        digest = self.digest(step)
        return bool(digest) and self.done(step).passed == digest

    def steps(self) -> list[Step]:
        """The steps whose files are there."""
        return [step for step in STEPS if (self.path / step.file).is_file()]


def load(file: Path, step: Step) -> dict[str, Callable[..., Any]]:
    """Run a learner's file and take out the functions that its step asks for."""
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    exec(compile(file.read_text("utf-8"), str(file), "exec"), vars(module))
    missing = [name for name in step.names if not callable(getattr(module, name, None))]
    if missing:
        raise NameError(f"{file.name} has no function {', '.join(missing)}")
    return {name: getattr(module, name) for name in step.names}
