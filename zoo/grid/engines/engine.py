"""What runs the cells of a grid: one interface, whatever machine they run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from zoo.core.errors import UserError
from zoo.core.records import Settings
from zoo.core.result import FAILED, Result
from zoo.grid.jobs import Job, Places, Send
from zoo.grid.store import Pending
from zoo.training.environment import made_by


@dataclass(frozen=True)
class Engine(Settings):
    """Base of all engines: a record of how cells are run; nothing of it changes a result or enters a name.

    A cell is the same function everywhere (`zoo.grid.worker`), its file in the results folder the only state.
    """

    what: ClassVar[str] = "engine setting"
    name: ClassVar[str]
    elsewhere: ClassVar[bool] = False  # whether cells run on other machines than this one

    def check(self, places: Places) -> None:
        """See that it can be used, before a text is read.

        Raises:
            UserError: what it needs is not installed, does not answer, or cannot do what is asked.
        """

    def device(self, asked: str) -> str:
        """`cpu` or `cuda`, from what the user asks for (`auto` among it).

        Raises:
            UserError: there is none of this kind.
        """
        raise NotImplementedError

    def slots(self, device: str, of_gpu: int) -> int:
        """Processes where the user names no number; `of_gpu` on each GPU."""
        raise NotImplementedError

    def run(self, jobs: Sequence[Job], places: Places, workers: int, send: Send, pending: Pending) -> None:
        """Run the cells of `pending`, `workers` at a time, and write their results; events go to `send`.

        Raises KeyboardInterrupt through: finished cells are written then and nothing goes on anywhere.

        Raises:
            UserError: what stops all cells alike, such as a full disk.
        """
        raise NotImplementedError


def lost(job: Job, reason: str) -> Result:
    """The result of a cell whose worker did not come back."""
    return replace(job.head, status=FAILED, reason=reason, made_by=made_by())


def missing(engine: str, package: str, extra: str) -> UserError:
    """The complaint that an engine's library is not there."""
    return UserError(
        f"--engine {engine}: {package} is not installed; expected it: pip install 'uegr[{extra}]'"
    )
