"""The process in which a learner's code runs: it may loop for ever, crash, or print what it likes.

    python -m uegr_ref.learn.child FOLDER STEP ANSWER SECONDS EXAMPLES [OWN ...]

Loads the steps OWN as earlier ones, grades STEP, and writes a line of JSON to the file ANSWER for each
verdict as it comes. After SECONDS it ends by itself and says on stderr in which line it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings

from . import earlier
from .grading import Verdict, grade, in_words, places
from .learner import load
from .steps import STEPS
from .training import train

MEMORY = 4 << 30  # bytes of address space
LOADS = "The file can be loaded."


def main(arguments: list[str]) -> int:
    """Grade one step."""
    folder, number, answer, seconds, examples, *own = arguments
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(seconds), exit=True)
    with contextlib.suppress(ValueError, OSError):  # a shell may have set a lower one, which stays
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    profile(int(examples))
    path, step = Path(folder), STEPS[int(number) - 1]
    with Path(answer).open("w", encoding="utf-8") as out:

        def say(**line: Any) -> None:
            print(json.dumps(line), file=out, flush=True)

        functions = _loaded(path, step.number, [int(n) for n in own], say)
        if functions is None:
            return 0
        passed = True
        for verdict in grade(step, functions, path):
            say(**verdict._asdict())
            passed = passed and verdict.passed
        if passed and step.number == len(STEPS):
            for row in train(functions["train_step"]):
                say(training=row)
        say(done=True)
    return 0


def _loaded(
    path: Path, number: int, own: list[int], say: Callable[..., None]
) -> dict[str, Callable[..., Any]] | None:
    """The functions of the step, earlier ones in place; None, and a verdict, if a file does not load."""
    try:
        for one in own:
            earlier.own |= load(path / STEPS[one - 1].file, STEPS[one - 1])
        return load(path / STEPS[number - 1].file, STEPS[number - 1])
    except Exception as error:
        words = in_words(error)
        if isinstance(error, SyntaxError):
            words = (
                f"{type(error).__name__}: {error.msg}, {Path(error.filename or '').name}, line {error.lineno}"
            )
        where = places(error, path)
        say(**Verdict("the_file_loads", LOADS, False, False, words, "", where)._asdict())
        say(done=True)
        return None


def profile(examples: int) -> None:
    """The same examples every time: a red verdict is a change of the code, never of the dice."""
    settings.register_profile(
        "learn", max_examples=examples, deadline=None, derandomize=True, database=None,
        report_multiple_bugs=False, phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    settings.load_profile("learn")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
