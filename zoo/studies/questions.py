"""Questions that a study answers, each a record: variants of methods, held against one of them.

A variant is a recipe with changed settings. Its cells are those that `zoo.ablate --recipe ... --set ...`
would run, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.core.names import display
from zoo.core.options import lookup
from zoo.recipes import CONTROLS
from zoo.studies.study import Study, Where


@dataclass(frozen=True)
class Variant:
    """A recipe with settings of its own; `name` is a row's in the answer.

    `rate_factor` multiplies the learning rates of the question.
    """

    name: str
    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    rate_factor: float = 1.0


@dataclass(frozen=True)
class Question:
    """What is asked, and the cells that answer it.

    Args:
        asks: in one sentence.
        preset, archs, corpora, seeds: of all variants; no corpora: the preset's.
        variants: compared under every one of `rates`.
        rates: learning rates, each a column of the answer.
        reference: name of the variant that the others are held against.
    """

    name: str
    asks: str
    preset: str
    variants: tuple[Variant, ...]
    rates: tuple[float, ...]
    reference: str
    archs: tuple[str, ...] = ("bilstm", "textcnn", "texthan")
    corpora: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)

    def study(
        self,
        variant: Variant,
        rate: float,
        places: Where,
        axes: Mapping[str, Any],
        changes: Mapping[str, Any],
    ) -> Study:
        """The cells of one variant under one learning rate; `axes` in place of the question's own.

        `changes` are of all variants alike; where a variant says something else of a setting, that holds.
        """
        own: dict[str, Any] = {"archs": self.archs, "seeds": self.seeds, "recipes": (variant.recipe,)}
        if self.corpora:
            own["corpora"] = self.corpora
        rates = {"learning_rate": rate * variant.rate_factor}
        return Study.of(
            self.preset, {**own, **axes}, changes={**changes, **rates, **variant.changes}, places=places
        )


_PLACED = {
    "UEGR, mask on the gradient": {"mask_on": "gradient"},
    "UEGR, mask on the update": {"mask_on": "update"},
    "UEGR, mask on the first moment": {"mask_on": "first_moment"},
}
# 1 / E sqrt(p) under the default rule: what a mask on the gradient takes from AdamW's step on average.
_LOST = 1.5

QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        Question(
            "defaults",
            "Where should the mask act, so that UEGR costs no accuracy on a corpus that a user brings?",
            "slices",
            (
                Variant("Dropout", "dropout"),
                Variant("UEGR without mask", "uegr_no_mask"),
                *(Variant(name, "uegr", changes) for name, changes in _PLACED.items()),
                Variant(f"UEGR, on the gradient, rate x {_LOST:g}", "uegr", {"mask_on": "gradient"}, _LOST),
            ),
            (3e-3, 1e-2),
            "Dropout",
        ),
        Question(
            "strength",
            "How strong may the attack be, so that UEGR costs no accuracy and still makes robust?",
            "slices",
            (
                Variant("Dropout", "dropout"),
                *(
                    Variant(f"UEGR, epsilon {e:g}", "uegr", {"mask_on": "update", "epsilon": e})
                    for e in (0.1, 0.05, 0.02)
                ),
            ),
            (1e-2, 3e-2),
            "Dropout",
        ),
        Question(
            "controls",
            "Which part of UEGR makes the difference, and is it more than its cost spent on Dropout?",
            "full",
            (
                Variant("Dropout", "dropout"),
                # A step of UEGR costs about two of TextCNN's (`zoo.bench`).
                Variant("Dropout, twice as long", "dropout", {"epochs": 20, "patience": 6}),
                Variant("Dropout, two networks", "dropout", {"members": 2}),
                Variant("UEGR", "uegr"),
                Variant("UEGR, mask on the gradient", "uegr", {"mask_on": "gradient"}),
                Variant("UEGR, mask on the first moment", "uegr", {"mask_on": "first_moment"}),
                *(Variant(display(name), name) for name in CONTROLS),
            ),
            (1e-3,),
            "Dropout",
            archs=("textcnn",),
        ),
    )
}


def question(name: str) -> Question:
    """The question of a name.

    Raises:
        UserError: there is none.
    """
    return lookup(QUESTIONS, name, "study")


def cells(
    asked: Question, places: Where, axes: Mapping[str, Any], changes: Mapping[str, Any]
) -> list[tuple[Variant, float, Study]]:
    """Every variant under every learning rate, with its study."""
    return [
        (variant, rate, asked.study(variant, rate, places, axes, changes))
        for variant in asked.variants
        for rate in asked.rates
    ]
