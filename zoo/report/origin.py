"""Where results come from: kinds of processor, and versions of this program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zoo.core.result import Result
from zoo.evidence.compare import processor

__all__ = ["counted", "processors", "programs"]


def processors(results: Iterable[Result]) -> Counter[str]:
    """How many results each kind of processor gave."""
    return Counter(map(processor, results))


def programs(results: Iterable[Result]) -> Counter[str]:
    """How many results each version and commit of this program gave."""
    return Counter(map(_program, results))


def counted(found: Counter[str]) -> str:
    """`AVX2 (12 results), AVX512 (2 results)`; the one kind without its number."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{kind} ({n} result{'s' if n > 1 else ''})" for kind, n in sorted(found.items()))


def _program(result: Result) -> str:
    version = result.made_by.get("version") or "not recorded"
    commit = result.made_by.get("commit")
    return f"{version} at commit {commit}" if commit else f"{version}, commit not recorded"
