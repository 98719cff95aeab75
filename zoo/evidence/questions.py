"""Questions that a study answers, each a record: variants of methods, held against one of them.

A variant is a recipe with changed settings. Its cells are those that `zoo.ablate --recipe ... --set ...`
would run, under the same names; `owners` finds them again by their settings alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.core.errors import UserError
from zoo.core.names import RECIPES, display
from zoo.core.options import lookup
from zoo.core.result import Result
from zoo.evidence.settings import by_name, shown

__all__ = ["QUESTIONS", "Owners", "Question", "Rate", "Variant", "owners", "question"]

_DEFAULTS, _TABLES = "Which defaults", "The paper's other tables"
Rate = float | None  # a learning rate; None: the preset's, which may be another for each corpus
Owners = dict[tuple[str, Rate], list[str]]  # (variant, learning rate) -> ids of its cells


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
        rates: learning rates, each with rows of its own in the answer.
        reference: name of the variant that the others are held against.
        plane: names of two axes, where every variant is a point of a plane and is called `<a>, <b>` by its
            places on them; () = a list of variants.
        models: by model, settings that it alone reads; they hold where it is among the models.
        about: what the answer stands under on a page.
        by_model: the answer says the means of each model too, not of each corpus alone.
        chooses: whether a setting is chosen by it, for corpora that nobody has seen.
    """

    name: str
    asks: str
    preset: str
    variants: tuple[Variant, ...]
    rates: tuple[Rate, ...]
    reference: str
    archs: tuple[str, ...] = ("bilstm", "textcnn", "texthan")
    corpora: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    plane: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: str = _DEFAULTS
    by_model: bool = False
    chooses: bool = False

    @property
    def compares_recipes(self) -> bool:
        """Whether its variants are recipes as they are: its cells are then a grid of `zoo.ablate`."""
        return not any(variant.changes or variant.rate_factor != 1 for variant in self.variants)


_PLACED = {
    "UEGR, mask on the gradient": {"mask_on": "gradient"},
    "UEGR, mask on the update": {"mask_on": "update"},
    "UEGR, mask on the first moment": {"mask_on": "first_moment"},
}
_RATES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
_SIGN = {"attack": "fgsm", "epsilon_unit": "rms"}
_STRONG = _SIGN | {"epsilon": 0.1}  # the default when the question was asked
_MINILM_STRONG = {"epsilon": 0.5}  # the default for a pre-trained model when `k-minilm` was asked
_WEAK = _SIGN | {"epsilon": 0.05}  # the default when the study `attack` was asked
# 1 / E sqrt(p) under the default rule: what a mask on the gradient takes from AdamW's step on average.
_LOST = 1.5
_K = "UEGR, K = {}"
_MINILM_RATE = 1e-4  # the preset's

QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        Question(
            "defaults",
            "Where should the mask act, so that UEGR costs no accuracy on a corpus that a user brings?",
            "slices",
            (
                Variant("Dropout", "dropout"),
                Variant("UEGR without mask", "uegr_no_mask", _STRONG),
                *(Variant(name, "uegr", changes | _STRONG) for name, changes in _PLACED.items()),
                Variant(
                    f"UEGR, on the gradient, rate x {_LOST:g}",
                    "uegr",
                    {"mask_on": "gradient"} | _STRONG,
                    _LOST,
                ),
            ),
            (3e-3, 1e-2),
            "Dropout",
            chooses=True,
        ),
        Question(
            "strength",
            "How strong may the attack be, so that UEGR costs no accuracy and still makes robust?",
            "slices",
            (
                Variant("Dropout", "dropout"),
                *(
                    Variant(f"UEGR, epsilon {e:g}", "uegr", _SIGN | {"mask_on": "update", "epsilon": e})
                    for e in (0.1, 0.05, 0.02)
                ),
            ),
            (1e-2, 3e-2),
            "Dropout",
            chooses=True,
        ),
        Question(
            "attack",
            "Does an attack of one norm a text, whatever its length, spare long texts and still make robust?",
            "slices",
            (
                Variant("Dropout", "dropout"),
                Variant("UEGR, sign of 0.05", "uegr", _WEAK),
                # A sign of 0.05 on T words of D entries has the norm 0.05 sqrt(TD): 2 where TD is 1,600.
                # 4 RMS are half the norm of a word of 64 entries.
                *(
                    Variant(
                        f"UEGR, {e:g} RMS a text",
                        "uegr",
                        {"attack": "fgm", "epsilon": float(e), "epsilon_unit": "rms"},
                    )
                    for e in (1, 2, 4, 8)
                ),
                Variant("UEGR, sign, half the drop rates", "uegr", _WEAK | {"base_rates": (0.1,)}),
            ),
            (1e-2,),
            "Dropout",
            chooses=True,
        ),
        Question(
            "attack-minilm",
            "How strong may the attack on a pre-trained model be, so that UEGR costs it no accuracy?",
            "minilm",
            (
                Variant("Dropout", "dropout"),
                *(Variant(f"UEGR, epsilon {e:g}", "uegr", {"epsilon": e}) for e in (0.5, 0.25, 0.1, 0.05)),
            ),
            (_MINILM_RATE,),
            "Dropout",
            archs=("hf:minilm",),
            corpora=("glue_sst2", "glue_mrpc"),
            chooses=True,
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
                *(
                    Variant(name, "uegr", changes)
                    for name, changes in _PLACED.items()
                    if "update" not in name
                ),
                *(Variant(display(name), name) for name in RECIPES if name.startswith("uegr_")),
            ),
            (None,),
            "Dropout",
            archs=("textcnn",),
            about="What makes the difference",
        ),
        Question(
            "k",
            "How many adversarial passes does UEGR need (Table V)?",
            "slices",
            tuple(Variant(_K.format(k), "uegr", _WEAK | {"adversarial": k}) for k in (2, 3, 4, 5)),
            (1e-2,),
            _K.format(2),
            corpora=("imdb", "tnews"),
            models={"bilstm": {"pooling": "max"}},  # by its last states it learns little of long texts
            about=_TABLES,
            by_model=True,
        ),
        Question(
            "k-minilm",
            "How many adversarial passes does a pre-trained model need (Table V)?",
            "minilm",
            tuple(Variant(_K.format(k), "uegr", _MINILM_STRONG | {"adversarial": k}) for k in (2, 3, 4, 5)),
            (_MINILM_RATE,),
            _K.format(2),
            archs=("hf:minilm",),
            corpora=("glue_sst2",),
            about=_TABLES,
        ),
        Question(
            "dropout-grid",
            "Which drop rates should the two adversarial passes have (Fig. 3)?",
            "slices",
            tuple(
                # That of the clean pass stays at its default.
                Variant(f"{first:g}, {second:g}", "uegr", _WEAK | {"base_rates": (0.2, first, second)})
                for first in _RATES
                for second in _RATES
            ),
            (1e-2,),
            "0.2, 0.2",
            archs=("textcnn",),
            corpora=("tnews",),
            plane=("rate of pass 1", "rate of pass 2"),
            about=_TABLES,
        ),
        Question(
            "glue",
            "Do the methods help a pre-trained model on GLUE (a part of Tables I and II)?",
            "minilm",
            tuple(Variant(display(name), name) for name in ("dropout", "freelb", "r_at", "uegr", "sam")),
            (_MINILM_RATE,),
            display("dropout"),
            archs=("hf:minilm",),
            corpora=("glue_sst2", "glue_mrpc"),
            chooses=True,
        ),
    )
}


def question(name: str) -> Question:
    """The question of a name.

    Raises:
        UserError: there is none.
    """
    return lookup(QUESTIONS, name, "study")


def owners(asked: Question, results: Iterable[Result]) -> Owners:
    """Which results belong to which variant under which learning rate; those of none are left out.

    A result belongs where it has the variant's recipe, its changes and its learning rate; of several such
    variants, to the one with the most changes.

    Raises:
        UserError: two results fill one place, so they differ in something that the question does not vary.
    """
    found: Owners = {(variant.name, rate): [] for variant in asked.variants for rate in asked.rates}
    filled: dict[tuple[object, ...], str] = {}
    changed = {v.name: {name: shown(value) for name, value in v.changes.items()} for v in asked.variants}
    names = {name for own in changed.values() for name in own}
    for result in results:
        settings = by_name(result.settings)
        said = {name: shown(settings.get(name)) for name in names}
        fitting = [
            v for v in asked.variants
            if v.recipe == result.cell.recipe and changed[v.name].items() <= said.items()
        ]  # fmt: skip
        for rate in asked.rates:
            own = [v for v in fitting if _has_rate(settings, v, rate)]
            if not own:
                continue
            variant = max(own, key=lambda v: len(v.changes))
            other = filled.setdefault((variant.name, rate, result.cell), result.id)
            if other != result.id:
                at = "the preset's learning rate" if rate is None else f"the learning rate {rate:g}"
                raise UserError(
                    f"two results for {variant.name} at {at}: {other} and {result.id}; "
                    "expected one: keep each experiment in a results folder of its own"
                )
            found[variant.name, rate].append(result.id)
    return found


def _has_rate(settings: Mapping[str, Any], variant: Variant, rate: Rate) -> bool:
    wanted = rate is not None and rate * variant.rate_factor
    return not wanted or math.isclose(settings.get("learning_rate", math.nan), wanted, rel_tol=1e-9)
