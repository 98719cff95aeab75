"""The cells of a question (`zoo.evidence.questions`), as studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zoo.core.errors import UserError
from zoo.evidence.questions import Question, Rate, Variant
from zoo.models import ARCHS
from zoo.studies.study import Study, Where


def study(
    asked: Question,
    variant: Variant,
    rate: Rate,
    places: Where,
    axes: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> Study:
    """The cells of one variant under one learning rate; `axes` in place of the question's own.

    `changes` are of all variants alike and hold before the question's for a model; where a variant says
    something else of a setting, that holds.
    """
    own: dict[str, Any] = {"archs": asked.archs, "seeds": asked.seeds, "recipes": (variant.recipe,)}
    if asked.corpora:
        own["corpora"] = asked.corpora
    own |= axes
    archs = ARCHS if "all" in own["archs"] else own["archs"]
    of_models = {k: v for arch in archs for k, v in asked.models.get(arch, {}).items()}
    rates = {} if rate is None else {"learning_rate": rate * variant.rate_factor}
    return Study.of(
        asked.preset, own, changes={**of_models, **changes, **rates, **variant.changes}, places=places
    )


def cells(
    asked: Question, places: Where, axes: Mapping[str, Any], changes: Mapping[str, Any]
) -> list[tuple[Variant, Rate, Study]]:
    """Every variant under every learning rate, with its study.

    Raises:
        UserError: a change that no cell would have.
    """
    found = [
        (variant, rate, study(asked, variant, rate, places, axes, changes))
        for variant in asked.variants
        for rate in asked.rates
    ]
    check_taken(asked.name, (own for _, _, own in found), changes)
    return found


def check_taken(name: str, studies: Iterable[Study], changes: Mapping[str, Any]) -> None:
    """Refuse a change that every row of a study says otherwise: it would be taken in silence.

    Raises:
        UserError: there is one.
    """
    every = list(studies)
    for setting, value in changes.items():
        if all(own.changes.get(setting) != value for own in every):
            raise UserError(
                f"--set {setting}: every row of the study {name} has its own {setting}; expected one that a "
                "row leaves open (python -m zoo.ablate takes any)"
            )
