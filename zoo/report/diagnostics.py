"""What the runs looked like inside, from the last epoch of their curves: material for finding causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zoo.core.names import NO_ARCH, display, in_order
from zoo.evidence.compare import Group, Key, group
from zoo.report.render import MISSING, markdown_table

__all__ = ["diagnostics_text"]

Entry = Mapping[str, Any]
_TERMS = (  # column, key of an epoch's entry, format
    ("Kept share", "kept_share", ".3f"),
    ("Perturbation", "perturbation", ".3f"),
    ("Divergence", "divergence", ".2g"),
    ("Adversarial loss", "loss_adversarial", ".3f"),
    ("Clean loss", "loss_clean", ".3f"),
)


def diagnostics_text(results: Iterable[Mapping[str, Any]], level: int = 3) -> str:
    """Two tables an arch in Markdown: the mechanism (means over corpora and runs) and the fit (by corpus).

    All are means over an epoch's training steps, dropout on; losses in nats, batch means.
    """
    groups = group(results)
    parts = []
    for arch in in_order(arch for arch, _, _ in groups if arch != NO_ARCH):
        own = {key: runs for key, runs in groups.items() if key[0] == arch and runs.done}
        parts += [f"{'#' * level} {display(arch)}", _mechanism(own), _fit(own)]
    return "\n\n".join(parts)


def _mechanism(groups: Mapping[Key, Group]) -> str:
    last = {
        recipe: [entry for key, runs in groups.items() if key[2] == recipe for entry in _last_epochs(runs)]
        for recipe in in_order(recipe for _, _, recipe in groups)
    }
    sites = dict.fromkeys(
        site for entries in last.values() for e in entries for site in e.get("drop_rate", {})
    )
    rows = []
    for recipe, entries in last.items():
        rates = [_mean((e.get("drop_rate", {}).get(site) for e in entries), ".3f") for site in sites]
        terms = [_mean((e.get(key) for e in entries), form) for _, key, form in _TERMS]
        rows.append((display(recipe), *rates, *terms))
    return markdown_table(("Recipe", *(f"Drop rate, {s}" for s in sites), *(t for t, _, _ in _TERMS)), rows)


def _fit(groups: Mapping[Key, Group]) -> str:
    corpora = in_order(corpus for _, corpus, _ in groups)
    rows = []
    for recipe in in_order(recipe for _, _, recipe in groups):
        row = [display(recipe)]
        for corpus in corpora:
            runs = [r for key, g in groups.items() if key[1:] == (corpus, recipe) for r in g.done.values()]
            loss = _mean((entry.get("loss_clean") for r in runs for entry in r["curve"][-1:]), ".3f")
            epochs = max((len(r["curve"]) for r in runs), default=0)
            best = _mean((r["best_epoch"] for r in runs), ".1f")
            row.append(f"{loss} (epoch {best} of {epochs})" if runs else MISSING)
        rows.append(row)
    return markdown_table(("Clean loss (best epoch)", *map(display, corpora)), rows)


def _last_epochs(runs: Group) -> Iterable[Entry]:
    return (entry for result in runs.done.values() for entry in result["curve"][-1:])


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(sum(known) / len(known), form) if known else MISSING
