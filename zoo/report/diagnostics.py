"""What the runs looked like inside, from the last epoch of their curves: material for finding causes."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.core.names import display
from zoo.core.result import Result
from zoo.evidence.cells import Cells
from zoo.evidence.settings import by_name
from zoo.report.blocks import MISSING, Block, Heading, Table

__all__ = ["diagnostics"]

_TERMS = (  # column, key of an epoch's entry, format
    ("Kept share", "kept_share", ".3f"),
    ("Perturbation", "perturbation", ".3f"),
    ("Divergence", "divergence", ".2g"),
    ("Adversarial loss", "loss_adversarial", ".3f"),
    ("Clean loss", "loss_clean", ".3f"),
)


def diagnostics(cells: Cells, level: int = 3) -> list[Block]:
    """Two tables an arch: the mechanism (means over corpora and runs) and the fit (by corpus).

    All are means over an epoch's training steps, dropout on; losses in nats, batch means. Where runs may
    stop early, the epochs reached are a mean over runs too.
    """
    blocks: list[Block] = []
    for arch in cells.archs():
        own = Cells({key: runs for key, runs in cells.groups.items() if key.arch == arch and runs.done})
        blocks += [Heading(display(arch), level), _mechanism(own), _fit(arch, own)]
    return blocks


def _mechanism(cells: Cells) -> Table:
    last = {
        method: [
            entry
            for key, runs in cells.groups.items()
            if key.method == method
            for result in runs.done.values()
            for entry in result.curve[-1:]
        ]
        for method in cells.methods()
    }
    sites = dict.fromkeys(
        site for entries in last.values() for e in entries for site in e.get("drop_rate", {})
    )
    rows = tuple(
        (
            method.name,
            *(_mean((e.get("drop_rate", {}).get(site) for e in entries), ".3f") for site in sites),
            *(_mean((e.get(key) for e in entries), form) for _, key, form in _TERMS),
        )
        for method, entries in last.items()
    )
    return Table(("Recipe", *(f"Drop rate, {s}" for s in sites), *(t for t, _, _ in _TERMS)), rows)


def _fit(arch: str, cells: Cells) -> Table:
    corpora = cells.corpora()
    rows = tuple(
        (method.name, *(_fitted(cells.get(arch, c, method).done.values()) for c in corpora))
        for method in cells.methods()
    )
    reached = " of those reached" if any(map(_may_stop, cells.done(networks=True))) else ""
    return Table((f"Clean loss (best epoch{reached})", *map(display, corpora)), rows)


def _fitted(results: Iterable[Result]) -> str:
    runs = list(results)
    if not runs:
        return MISSING
    loss = _mean((entry.get("loss_clean") for r in runs for entry in r.curve[-1:]), ".3f")
    reached = (
        _mean((len(r.curve) for r in runs), ".1f")
        if any(map(_may_stop, runs))
        else max(len(r.curve) for r in runs)
    )
    return f"{loss} (epoch {_mean((r.best_epoch for r in runs), '.1f')} of {reached})"


def _may_stop(result: Result) -> bool:
    """Whether patience could end the run before its last epoch."""
    return bool(by_name(result.settings, "train").get("patience"))


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(sum(known) / len(known), form) if known else MISSING
