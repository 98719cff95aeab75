"""What of a result must not depend on where and when its cell was run."""

from __future__ import annotations

from typing import Any

from zoo.core.result import Result
from zoo.grid.store import Store

WHERE_AND_WHEN = (
    "machine", "made_by", "peak_memory_mb", "recorded", "seconds", "step_cpu_seconds", "step_seconds",
    "versions",
)  # fmt: skip


def content(result: Result) -> dict[str, Any]:
    """The result without where and when."""
    return {key: value for key, value in result.as_json().items() if key not in WHERE_AND_WHEN}


def contents(folder: Any) -> dict[str, dict[str, Any]]:
    """Of every cell of a folder."""
    return {result.id: content(result) for result in Store(folder).cells()}
