"""Results of several folders in one: what machines made apart is one grid again.

A cell that several folders have is taken from the first of them, where they agree. Where they do not, nothing
is written: each conflict is named, and a person has to say which one counts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError, write_whole
from zoo.core.result import Result
from zoo.grid.store import Store

# Two runs of one cell may differ in what tells where and when it was made, and how fast; also in settings, as
# those that decide a cell are in its name, and a file of vectors may lie elsewhere.
_MAY_DIFFER = frozenset(
    ("machine", "recorded", "seconds", "step_seconds", "step_cpu_seconds", "peak_memory_mb", "made_by",
     "settings", "versions")
)  # fmt: skip
MOST_NAMED = 5
# Beside a result: its weights and its network, and the studies that were run.
_BESIDE = ("weights/{}.safetensors", "models/{}")
_STUDIES = "studies"


@dataclass(frozen=True)
class Merged:
    """Counts of cells: of the folder now, copied into it, and of those the ones that had failed there."""

    cells: int
    copied: int
    mended: int


def merge(sources: Sequence[Path], out: Path, report: Callable[[str], None]) -> Merged:
    """Copy into `out` what it lacks of the results of `sources`, with weights, models and studies.

    What `out` has stays, but for a failed cell that another folder has done.

    Raises:
        UserError: a folder that is not there or holds something else, or two results of one cell that differ;
            nothing is written then.
    """
    for folder in sources:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; expected one with results")
    stores = [Store(out), *map(Store, sources)]
    chosen = _chosen(stores, report)
    copied = mended = 0
    # What stands beside a result first: where it is interrupted, the cell is copied again.
    for store in stores[1:]:
        _copy_beside(store, out, chosen)
        _copy_studies(store.folder / _STUDIES, out / _STUDIES)
    for number, (cell_id, store) in enumerate(sorted(chosen.items()), 1):
        if store is stores[0]:
            continue
        mended += stores[0].path(cell_id).exists()
        stores[0].write(store.read(cell_id))
        copied += 1
        if number % 5000 == 0:
            report(f"copied {number:,} of {len(chosen):,} cells")
    return Merged(len(chosen), copied, mended)


def _chosen(stores: Sequence[Store], report: Callable[[str], None]) -> dict[str, Store]:
    """The folder that each cell is taken from: the first that has it done, else the first that has it."""
    chosen: dict[str, Store] = {}
    failed: set[str] = set()
    conflicts: list[str] = []
    for store in stores:
        for number, result in enumerate(store.cells(), 1):
            if number % 5000 == 0:
                report(f"read {number:,} cells of {store.folder}")
            other = chosen.get(result.id)
            if other is None or (result.id in failed and result.done):
                chosen[result.id] = store
                (failed.discard if result.done else failed.add)(result.id)
            elif result.done and (what := _differ(other.read(result.id), result)):
                conflicts.append(f"{result.id} in {other.folder} and {store.folder} ({what})")
    if conflicts:
        more = f"; and {len(conflicts) - MOST_NAMED} more" if len(conflicts) > MOST_NAMED else ""
        raise UserError(
            f"{len(conflicts)} cells have two results that differ: {'; '.join(conflicts[:MOST_NAMED])}{more}"
            "; nothing is written, expected one of each: leave a folder out, or delete the file that does "
            "not count"
        )
    return chosen


def _differ(one: Result, other: Result) -> str:
    """Parts in which two results of a cell differ, with the processors where these are others; '' if none."""
    a, b = (_content(result) for result in (one, other))
    parts = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    kinds = [result.machine.processor or "?" for result in (one, other)]
    if parts and kinds[0] != kinds[1]:
        parts.append(f"on {kinds[0]} and {kinds[1]}")
    return ", ".join(parts)


def _content(result: Result) -> Mapping[str, Any]:
    content = {name: value for name, value in result.as_json().items() if name not in _MAY_DIFFER}
    if isinstance(vectors := content.get("vectors"), Mapping):
        content["vectors"] = {name: value for name, value in vectors.items() if name != "kind"}
    return content


def _copy_beside(source: Store, out: Path, cells: Iterable[str]) -> None:
    """Weights and networks that `out` lacks, also of a cell that it has: no two results of one differ."""
    for cell_id in cells:
        for name in (place.format(cell_id) for place in _BESIDE):
            beside = source.folder / name
            if beside.exists() and source.path(cell_id).exists() and source.read(cell_id).done:
                _copy(beside, out / name)


def _copy(source: Path, place: Path) -> None:
    """A file or a folder, whole or not at all; one that is there stays."""
    if place.exists():
        return
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(source, temporary)
        else:
            shutil.copy2(source, temporary)
        os.replace(temporary, place)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)  # a folder, or else a file
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{place}: cannot be written ({error.strerror}); expected room for it") from None


def _copy_studies(source: Path, target: Path) -> None:
    """Their names hold what is in them."""
    for path in sorted(source.glob("*.json")):
        if not (target / path.name).exists():
            write_whole(target / path.name, path.read_bytes())
