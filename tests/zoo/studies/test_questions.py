"""Every question's cells can be planned, and are those that the commands of the ablation would run."""

from __future__ import annotations

import pytest

from zoo.core.errors import UserError
from zoo.settings import PRESETS
from zoo.studies.questions import QUESTIONS, cells, question
from zoo.studies.study import Study, Where


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_variant_is_a_study_and_no_two_are_one(name: str) -> None:
    asked = QUESTIONS[name]
    assert asked.name == name
    assert asked.preset in PRESETS
    assert asked.reference in [variant.name for variant in asked.variants]
    found = cells(asked, Where(), {}, {})
    assert len(found) == len(asked.variants) * len(asked.rates)
    said = [
        str(study.settings(arch, recipe, study.text(study.corpora[0], 0)).named())
        for _, _, study in found
        for arch in study.archs
        for recipe in study.recipes
    ]
    assert len(set(said)) == len(said) or len(asked.archs) > 1
    assert len({v.name for v in asked.variants}) == len(asked.variants)


def test_a_variant_is_what_set_would_make_of_the_recipe() -> None:
    asked = question("defaults")
    variant = next(v for v in asked.variants if v.name == "UEGR, mask on the update")
    made = asked.study(variant, 3e-3, Where(), {"archs": ("textcnn",), "corpora": ("tnews",)}, {"epochs": 2})
    typed = Study.of(
        "slices",
        {"archs": ("textcnn",), "corpora": ("tnews",), "recipes": ("uegr",), "seeds": (0, 1, 2)},
        changes={"mask_on": "update", "learning_rate": 3e-3, "epochs": 2},
    )
    assert made.settings("textcnn", "uegr", made.text("tnews", 0)) == typed.settings(
        "textcnn", "uegr", typed.text("tnews", 0)
    )


def test_a_factor_multiplies_every_rate() -> None:
    asked = question("defaults")
    scaled = next(v for v in asked.variants if v.rate_factor != 1)
    for rate in asked.rates:
        study = asked.study(scaled, rate, Where(), {}, {})
        assert study.changes["learning_rate"] == pytest.approx(1.5 * rate)


def test_an_unknown_question_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"study 'default'.*defaults"):
        question("default")
