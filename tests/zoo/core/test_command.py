"""Lines of progress that come at their pace."""

from __future__ import annotations

import pytest

from zoo.core import command
from zoo.core.command import paced


def test_lines_are_told_that_come_long_enough_after_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(command.time, "monotonic", lambda: now)
    told: list[str] = []
    report = paced(told.append)
    for now, line in ((11.0, "early"), (12.0, "a"), (13.9, "soon"), (14.0, "b"), (19.0, "c")):  # noqa: B007
        report(line)
    assert told == ["a", "b", "c"]
