"""Where results come from: kinds of processor, and versions of this program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zoo.core.result import Result
from zoo.evidence.compare import processor

__all__ = ["counted", "named", "processors", "programs"]


def processors(results: Iterable[Result]) -> Counter[str]:
    """How many results each kind of processor gave."""
    return Counter(map(processor, results))


def programs(results: Iterable[Result]) -> set[tuple[str, str]]:
    """The versions and commits of this program that gave a result."""
    made = (result.made_by for result in results)
    return {(own.get("version") or "not recorded", own.get("commit") or "not recorded") for own in made}


def named(found: Iterable[tuple[str, str]]) -> str:
    """`0.1.0 at commits 04da135, 0830821; 2.0 at commit not recorded`."""
    versions: dict[str, list[str]] = {}
    for version, commit in sorted(found):
        versions.setdefault(version, []).append(commit)
    return "; ".join(
        f"{version} at commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"
        for version, commits in versions.items()
    )


def counted(found: Counter[str]) -> str:
    """`AVX2 (12 results), AVX512 (2 results)`; the one kind without its number."""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{kind} ({n} result{'s' if n > 1 else ''})" for kind, n in sorted(found.items()))
