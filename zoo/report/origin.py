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


def programs(results: Iterable[Result]) -> list[str]:
    """Every version of this program that gave a result: `0.1.0 at commits 04da135, 0830821`."""
    versions: dict[str, set[str]] = {}
    for result in results:
        version = result.made_by.get("version") or "not recorded"
        versions.setdefault(version, set()).add(result.made_by.get("commit") or "not recorded")
    return [
        f"{version} at commit{'s' if len(commits) > 1 else ''} {', '.join(sorted(commits))}"
        for version, commits in sorted(versions.items())
    ]


def counted(found: Counter[str]) -> str:
    """`AVX2 (12 results), AVX512 (2 results)`; the one kind without its number."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{kind} ({n} result{'s' if n > 1 else ''})" for kind, n in sorted(found.items()))
