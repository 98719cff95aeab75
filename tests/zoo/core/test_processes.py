"""Variables of worker processes hold inside the block and no longer."""

from __future__ import annotations

import os

import pytest

from zoo.core.processes import cores, environment


def test_variables_are_as_they_were_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UEGR_OLD", "before")
    monkeypatch.delenv("UEGR_NEW", raising=False)
    with environment({"UEGR_OLD": "inside", "UEGR_NEW": "inside"}):
        assert (os.environ["UEGR_OLD"], os.environ["UEGR_NEW"]) == ("inside", "inside")
    assert os.environ["UEGR_OLD"] == "before"
    assert "UEGR_NEW" not in os.environ


def test_also_after_an_error() -> None:
    with pytest.raises(RuntimeError), environment({"UEGR_NEW": "inside"}):
        raise RuntimeError
    assert "UEGR_NEW" not in os.environ


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
