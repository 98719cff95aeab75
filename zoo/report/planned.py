"""How much of a planned grid is there, in words and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.core.names import display
from zoo.evidence.planned import Block as Part
from zoo.evidence.planned import Planned
from zoo.report.blocks import Block, Table, Text

__all__ = ["listed", "models_and_seeds", "numbers", "progress"]

_WHOLE = """\
Verdicts and what we found are from whole blocks alone (one model, one seed, every recipe on every corpus): \
{whole}. The tables show a model's finished seeds, or where it has none, all that is there; there is a mean \
over corpora only where all of them are."""


def progress(planned: Planned) -> list[Block]:
    """How many of the planned networks are there, seed by seed and model by model, and what is whole."""
    done, every = (sum(values) for values in zip(*((b.done, b.planned) for b in planned.blocks), strict=True))
    grid = (
        f"{len(planned.archs)} models, {len(planned.recipes)} recipes, {len(planned.corpora)} corpora, "
        f"{numbers(planned.seeds, 'seed')}"
    )
    if done == every:
        return [Text(f"All {every} planned networks are there: {grid}.")]
    said = f"{done} of the {every} planned networks are there ({grid}): "
    said += f"{listed(_of_seed(planned, seed) for seed in planned.seeds)}."
    return [Text(said), _table(planned), Text(_WHOLE.format(whole=_whole(planned)))]


def numbers(values: Sequence[int], what: str = "") -> str:
    """`0, 1, 2`; with `what` as `seeds 0, 1, 2` or `seed 0`."""
    text = ", ".join(map(str, values))
    return f"{what}{'s' if len(values) > 1 else ''} {text}" if what else text


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def models_and_seeds(archs: Sequence[str], seeds: Sequence[int]) -> str:
    """`BiLSTM and TextCNN, seed 0`."""
    return f"{listed(map(display, archs))}, {numbers(seeds, 'seed')}"


def _of_seed(planned: Planned, seed: int) -> str:
    own = [block for block in planned.blocks if block.seed == seed]
    done = sum(block.done for block in own)
    return f"{done or 'none'} of {sum(block.planned for block in own)} of seed {seed}"


def _table(planned: Planned) -> Table:
    rows = (
        (display(arch), *(_part(block) for block in planned.blocks if block.arch == arch))
        for arch in planned.archs
    )
    return Table(("Networks", *(f"Seed {seed}" for seed in planned.seeds)), tuple(rows))


def _part(block: Part) -> str:
    failed = f", {block.failed} failed" if block.failed else ""
    return f"{block.done or 'none'} of {block.planned}{failed}"


def _whole(planned: Planned) -> str:
    found = [(arch, planned.whole_seeds(arch)) for arch in planned.archs]
    return "; ".join(models_and_seeds([arch], seeds) for arch, seeds in found if seeds) or "none yet"
