"""What a method found in a model, as text of at most 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from uegr.dropouts import rate_attributes
from zoo.method.backward.selective import SelectiveUpdate

if TYPE_CHECKING:
    from uegr.method import Method

WIDTH = 80


def description(method: Method) -> str:
    """One paragraph a part: words, dropout, passes, loss, update, and what is missing."""
    parts = {
        "recipe": _recipe(method),
        "words": _words(method),
        "dropout": _dropout(method),
        "update": _update(method),
        "missing": " ".join(_missing(method)) or "nothing",
    }
    return "\n".join(
        textwrap.fill(
            text, WIDTH, initial_indent=f"{name:9}", subsequent_indent=" " * 9,
            break_long_words=False, break_on_hyphens=False,
        )
        for name, text in parts.items()
    )  # fmt: skip


def _recipe(method: Method) -> str:
    flat = method.recipe.flat()
    hidden = {"base_rates"} if method.sites.own_rates else set()
    read = {key: value for key, value in flat.items() if key not in hidden and not _idle(method, key)}
    settings = ", ".join(f"{key}={value}" for key, value in read.items())
    at_once = method.trainee.at_once
    how = "as one batch" if at_once >= method.recipe.passes else f"{at_once} at a time"
    share = f"; {method.trainee.share} batches a step" if method.trainee.share > 1 else ""
    return f"{method.recipe.passes} passes a step, those of one kind {how}{share}; {settings}"


def _idle(method: Method, key: str) -> bool:
    return any(key in part.unread() for part in method.recipe.parts().values())


def _words(method: Method) -> str:
    if not method.attacks:
        return "none needed: the recipe attacks nothing"
    words = method.trainee.words
    if words is None:
        return "the embedding is looked for at the first batch"
    return f"attacked at the output of {words.name or 'the model'} ({type(words.module).__name__})"


def _dropout(method: Method) -> str:
    sites, settings = method.sites, method.recipe.dropout
    layers = sum(bool(rate_attributes(m)) for m in method.model.modules())
    if settings is None:
        return f"none: the rates of {layers} modules are 0 in the method's passes, and kept elsewhere"
    own = "each module's own rate" if sites.own_rates else f"rates {settings.base_rates}"
    if not sites.hooked:
        ours = f"; {len(sites.active)} adaptive sites" if sites.active else ""
        return f"{layers} ordinary modules, uniform, {own}{ours}"
    if not sites.keys and not sites.active:
        return (
            f"{settings.kind}, {own}; sites among {len(sites.names)} nn.Dropout are found at the first batch"
        )
    found = f"{settings.kind}, {own}; {len(sites.active)} sites: {', '.join(sites.active) or 'none'}"
    skipped = "; ".join(f"{name}: {why}" for name, why in sites.skipped.items())
    served = {name for name, _, _ in sites.keys} | set(sites.skipped)
    uncalled = [name for name in sites.names.values() if name not in served]
    return (
        found
        + (f". Ordinary dropout stays: {skipped}" if skipped else "")
        + (f". Not called as modules: {', '.join(uncalled)}" if uncalled else "")
    )


def _update(method: Method) -> str:
    stage = method.stage
    if stage is None:
        return "the optimizer's own, of everything"
    count, tensors = sum(p.numel() for p in stage.parameters), len(stage.parameters)
    held = {p for p in method.model.parameters() if p.requires_grad}
    rest = len(held - set(stage.parameters))
    left = f"; {rest} others are not masked" if rest else ""
    where = {
        "update": "on the optimizer's step, corrected after it",
        "gradient": "on the gradient, just before the optimizer's step",
        "first_moment": "on the first moment, corrected after the optimizer's step",
    }[stage.settings.mask_on]
    return f"mask {where}; {tensors} tensors, {count} numbers{left}"


def _missing(method: Method) -> list[str]:
    """A sentence for each part of the recipe that does nothing with this model, with what would help."""
    notes, flat = [], method.recipe.flat()
    drops = bool(method.sites.active) or any(
        getattr(m, name) > 0 for m in method.model.modules() for name in rate_attributes(m)
    )
    adaptive = flat["dropout"] not in ("none", "uniform")
    if adaptive and not drops:
        notes.append(
            "adaptive dropout does nothing: no module drops; put nn.Dropout with p > 0 between layers, or "
            "give base_rates="
        )
    elif adaptive and method.sites.keys == {} and method.sites.skipped and not method.sites.active:
        notes.append("adaptive dropout does nothing: no module fits; see dropout.")
    tied = flat.get("divergence", "none") != "none" and "divergence" not in method.recipe.forward.unread()
    if tied and (method.recipe.dropout is None or not drops):
        notes.append(
            "the divergence is 0: without dropout all passes are the same; put nn.Dropout with p > 0."
        )
    if isinstance(method.stage, SelectiveUpdate) and not method.stage.parameters:
        notes.append("nothing is masked: the optimizer holds none of the parameters in scope.")
    return notes
