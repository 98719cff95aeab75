"""A training in turns: its state lies on disk, and what was cut off goes on where it was, bit for bit.

Who goes on must be what began: the same program on the same kind of machine. Else the training begins anew,
as its numbers would be those of neither.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zoo.core.errors import OutOfTime, write_whole

FORMAT = 1
SAVE_EVERY = 60.0  # seconds: what a killed training loses at most, beside the step it was in
SHARE = 0.05  # of the time, at most, is spent on writing
State = dict[str, Any]  # tensors and plain types, in lists and dictionaries


@dataclass
class Turn:
    """The present turn of one training.

    Args:
        path: the file of the state; None: nothing is kept.
        who: what must be the same for another turn to go on.
        until: when the turn is over, by `time.monotonic`.
        resumed: told the share of the training that earlier turns have done.
        followed: whether another member trains after it, so that its end is worth keeping.
    """

    path: Path | None = None
    who: Mapping[str, Any] = field(default_factory=dict)
    until: float = math.inf
    resumed: Callable[[float], None] = lambda share: None
    followed: bool = False
    saved: float = field(default_factory=lambda: time.monotonic())
    took: float = 0.0  # to write the last one

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self.until

    @property
    def due(self) -> bool:
        """Whether the state should be written now."""
        pause = max(SAVE_EVERY, self.took / SHARE)
        return self.path is not None and time.monotonic() - self.saved >= pause

    def load(self, device: torch.device) -> State | None:
        """What an earlier turn has left, its tensors on the device.

        None where there is nothing to go on from: no file, one that cannot be read, or one of others.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, map_location=device, weights_only=True)
        except Exception:  # cut short, or no such file at all: it only costs time
            return None
        if not isinstance(found, dict) or (found.get("format"), found.get("who")) != (FORMAT, dict(self.who)):
            return None
        state: State = found["state"]
        return state

    def save(self, state: State) -> None:
        """Write the state, as a whole or not at all.

        Raises:
            UserError: it cannot be written.
        """
        if self.path is None:
            return
        began = time.monotonic()
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "who": dict(self.who), "state": state}, buffer)
        write_whole(self.path, buffer.getvalue())
        self.saved = time.monotonic()
        self.took = self.saved - began

    def keep(self, state: Callable[[], State]) -> None:
        """Write the state where it is due, and end where the time is over.

        Raises:
            OutOfTime: it is; the state is on disk.
        """
        over = self.over  # asked once: who ends here has saved
        if self.due or (over and self.path is not None):
            self.save(state())
        if over:
            raise OutOfTime("the time is over; the same command goes on where it was")


@dataclass(frozen=True)
class Turns:
    """The turns of one cell, whose members train one after the other; the arguments as those of `Turn`.

    Args:
        folder: where the files of states are; None: nothing is kept.
        name: what they begin with.
    """

    folder: Path | None = None
    name: str = ""
    who: Mapping[str, Any] = field(default_factory=dict)
    until: float = math.inf
    resumed: Callable[[float], None] = lambda share: None

    def of(self, member: int = 0, members: int = 1) -> Turn:
        """The turn of one member."""
        path = None if self.folder is None else self.folder / f"{self.name}.{member}.pt"

        def resumed(share: float) -> None:
            self.resumed((member + share) / members)

        return Turn(path, self.who, self.until, resumed, member + 1 < members)


def forget(folder: Path | None, name: str) -> None:
    """A cell is settled: remove its states, and the folder if they were the last."""
    if folder is None:
        return
    for path in (*folder.glob(f"{name}.*.pt"), *folder.glob(f".{name}.*.tmp")):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others lie in it, or it was never made
        folder.rmdir()
