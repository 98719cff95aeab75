"""What a method found in a model, as text of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from torch import Tensor, nn

from uegr.dropouts import HookedSites, rate_attributes
from uegr.trainee import HookedTrainee
from zoo.method.recipe import Recipe

WIDTH = 80
BY_EPOCH = ("resample", "saliency")  # settings that may be `epoch`
SAME = 1e-7  # nats; below it passes differ by rounding


def description(recipe: Recipe, trainee: HookedTrainee, terms: Mapping[str, Tensor], epochs: int) -> str:
    """One paragraph a part: words, dropout, passes, loss, update, and what is missing."""
    parts = {
        "recipe": _recipe(recipe, trainee),
        "words": _words(trainee),
        "dropout": _dropout(recipe, trainee),
        "update": _update(recipe, trainee),
        "missing": " ".join(missing(recipe, trainee, terms, epochs)) or "nothing",
    }
    return "\n".join(
        textwrap.fill(
            text, WIDTH, initial_indent=f"{name:9}", subsequent_indent=" " * 9,
            break_long_words=False, break_on_hyphens=False,
        )
        for name, text in parts.items()
    )  # fmt: skip


def _recipe(recipe: Recipe, trainee: HookedTrainee) -> str:
    flat = recipe.flat()
    hidden = {"base_rates"} if trainee.hooked_sites.own_rates else set()
    read = {key: value for key, value in flat.items() if key not in hidden and not _idle(recipe, key)}
    settings = ", ".join(f"{key}={value}" for key, value in read.items())
    at_once = trainee.at_once
    how = "as one batch" if at_once >= recipe.passes else f"{at_once} at a time"
    share = f"; {trainee.share} batches a step" if trainee.share > 1 else ""
    return f"{recipe.passes} passes a step, those of one kind {how}{share}; {settings}"


def _idle(recipe: Recipe, key: str) -> bool:
    return any(key in part.unread() for part in recipe.parts().values())


def _words(trainee: HookedTrainee) -> str:
    if not trainee.attacks:
        return "none needed: the recipe attacks nothing"
    words = trainee.words
    if words is None:
        return "the embedding is looked for at the first batch"
    return f"attacked at the output of {words.name or 'the model'} ({type(words.module).__name__})"


def _dropout(recipe: Recipe, trainee: HookedTrainee) -> str:
    sites, settings = trainee.hooked_sites, recipe.dropout
    layers = sum(bool(rate_attributes(m)) for m in trainee.model.modules())
    if settings is None:
        return f"none: the rates of {layers} modules are 0 in the method's passes, and kept elsewhere"
    own = "each module's own rate" if sites.own_rates else f"rates {settings.base_rates}"
    if not sites.hooked:
        ours = f"; {len(sites.active)} adaptive sites" if sites.active else ""
        return f"{layers} ordinary modules, uniform, {own}{ours}"
    if not sites.called and not sites.active:
        return (
            f"{settings.kind}, {own}; sites among {len(sites.names)} nn.Dropout are found at the first batch"
        )
    found = f"{settings.kind}, {own}; {len(sites.active)} sites: {', '.join(sites.active) or 'none'}"
    skipped = "; ".join(f"{name}: {why}" for name, why in _ordinary(sites).items())
    served = {name for name, _, _ in sites.keys} | set(sites.skipped)
    uncalled = [name for name in sites.names.values() if name not in served]
    turned = sites.positions.turned
    return (
        found
        + (f". Ordinary dropout stays: {skipped}" if skipped else "")
        + (f". Not called as modules: {', '.join(uncalled)}" if uncalled else "")
        + (f". Seem to have positions for units: {', '.join(turned)}" if turned else "")
    )


def _dropping(model: nn.Module) -> dict[str, nn.Module]:
    """Modules with a drop rate."""
    return {
        name: module
        for name, module in model.named_modules()
        if any(getattr(module, rate) > 0 for rate in rate_attributes(module))
    }


def _ordinary(sites: HookedSites) -> dict[str, str]:
    """Modules that stay ordinary dropout, and why, as far as passes have shown it."""
    others = {name: m for name, m in _dropping(sites.model).items() if not isinstance(m, nn.Dropout)}
    return {name: f"{type(m).__name__}, no nn.Dropout" for name, m in others.items()} | sites.skipped


def _update(recipe: Recipe, trainee: HookedTrainee) -> str:
    stage = trainee.backward
    if recipe.backward is None or stage is None:
        return "the optimizer's own, of everything"
    count, tensors = sum(p.numel() for p in stage.parameters), len(stage.parameters)
    held = {p for p in trainee.model.parameters() if p.requires_grad}
    rest = len(held - set(stage.parameters))
    left = f"; {rest} others are left alone" if rest else ""
    return f"{recipe.backward.says}; {tensors} tensors, {count} numbers{left}"


def missing(recipe: Recipe, trainee: HookedTrainee, terms: Mapping[str, Tensor], epochs: int) -> list[str]:
    """A sentence for each part of the recipe that does nothing with this model, with what would help.

    Args:
        terms: of a batch, if there was one: functional dropout shows in its divergence alone.
        epochs: how many the method was told of.
    """
    notes, flat, sites = [], recipe.flat(), trainee.hooked_sites
    dropping = _dropping(trainee.model)
    given = bool(sites.names) and not sites.own_rates and not sites.called  # rates for modules without one
    drops = bool(sites.active or dropping) or given
    adaptive = flat["dropout"] not in ("none", "uniform")
    if adaptive and not drops:
        notes.append(
            "adaptive dropout does nothing: no module drops; put nn.Dropout with p > 0 between layers, or "
            "give base_rates="
        )
    elif adaptive and not sites.active and (sites.called or not sites.names):
        ordinary = ", ".join(name for name in _ordinary(sites) if name in dropping)
        notes.append(
            "adaptive dropout does nothing: no nn.Dropout with p > 0 is called on states (B, U) or (B, T, U)"
            + (f", and ordinary dropout stays in {ordinary}" if ordinary else "")
            + "; put one between layers."
        )
    tied = flat.get("divergence", "none") != "none" and "divergence" not in recipe.forward.unread()
    apart = "divergence" in terms and float(terms["divergence"]) > SAME
    if tied and not apart and (recipe.dropout is None or not drops):
        notes.append(
            "the divergence is 0: without dropout all passes are the same; put nn.Dropout with p > 0."
        )
    stage = trainee.backward
    if stage is not None and not stage.parameters:
        notes.append("the update is the optimizer's own: it holds none of the parameters in scope.")
    named = [name for name in BY_EPOCH if flat.get(name) == "epoch" and not _idle(recipe, name)]
    if named and epochs == 0:
        notes.append(
            f"{' and '.join(named)} by epoch: nothing changes until method.new_epoch() is called, where each "
            "epoch begins."
        )
    if stage is not None and stage.wants_pass:
        notes.append("a pass over the training data before the first step: method.first_pass(loader).")
    return notes
