"""`uegr` on tiny models of Hugging Face's families: whether it fits, and what a step of UEGR costs there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

import uegr
from bench.timing import interleaved, ratio, timed
from bench.tiny_families import FAMILIES, texts, tiny
from zoo.core.errors import UserError
from zoo.core.options import lookup


def measure_families(
    families: Iterable[str], rounds: int, report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One entry a family.

    Keys: family; difference (largest, of logits through vectors from the model's own, padding on both sides);
    sites (names, with the rates of the library's default configuration); ordinary and uncalled (nn.Dropout
    modules that stay as they are, and why); told (what the method warned of); cost (quartiles of a UEGR step
    in plain steps).
    """
    found = []
    for family in families:
        report(family)
        found.append(_family(family, rounds))
    return found


def _family(family: str, rounds: int) -> dict[str, Any]:
    model = tiny(family)
    method = uegr.attach(model, torch.optim.AdamW(model.parameters()), "uegr")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        method.backward(texts(family))
    sites = method.sites
    served = {name for name, _, _ in sites.keys} | set(sites.skipped)
    entry = {
        "family": family,
        "difference": max(_difference(tiny(family).eval(), texts(family, side=s)) for s in ("left", "right")),
        "sites": list(sites.active),
        "ordinary": dict(sites.skipped),
        "uncalled": [name for name in sites.names.values() if name not in served],
        "told": [str(warning.message) for warning in told],
    }
    steps = {name: timed(_step(family, name)) for name in ("dropout", "uegr")}
    times = interleaved(steps, rounds)
    return entry | {"cost": ratio(times["uegr"], times["dropout"])}


def _difference(model: nn.Module, batch: dict[str, Any]) -> float:
    adapted = uegr.adapt(model)
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    with torch.no_grad():
        own = model(**inputs).logits
        return float((adapted.classify(adapted.embed(batch), batch) - own).abs().max())


def _step(family: str, recipe: str) -> Callable[[], object]:
    model = tiny(family)
    optimizer = torch.optim.AdamW(model.parameters())
    method = uegr.attach(model, optimizer, recipe)
    batch = texts(family, rows=16)

    def step() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reported once, above
            method.backward(batch)
        optimizer.step()
        optimizer.zero_grad()

    return step


def as_text(rows: list[dict[str, Any]]) -> str:
    """A table of at most 80 columns."""
    lines = [
        f"{'family':13}{'difference':>11}{'sites':>7}{'ordinary':>10}{'not called':>12}{'UEGR step':>11}"
    ]
    for row in rows:
        lines.append(
            f"{row['family']:13}{row['difference']:>11.1e}{len(row['sites']):>7}{len(row['ordinary']):>10}"
            f"{len(row['uncalled']):>12}{row['cost'][1]:>10.1f}x"
        )
    return "\n".join(
        [
            *lines,
            "",
            "difference: largest, of logits through the word vectors from the model's own.",
            "sites: calls of nn.Dropout that become adaptive; ordinary: modules that stay,",
            "as those of attention's probabilities and rates of 0; not called: modules of",
            "which only the rate is read. UEGR step: median, in steps of recipe dropout.",
        ]
    )


def names(given: list[str] | None) -> list[str]:
    """The families that are asked for.

    Raises:
        UserError: an unknown one, or transformers is not installed.
    """
    if find_spec("transformers") is None:
        raise UserError("families are of transformers, which is not here: expected `pip install 'uegr[hf]'`")
    for name in given or ():
        lookup(FAMILIES, name, "family")
    return list(dict.fromkeys(given or FAMILIES))
