"""Every question's cells can be planned, and are those that the commands of the ablation would run."""

from __future__ import annotations

import pytest

from zoo.core.errors import UserError
from zoo.evidence.questions import QUESTIONS, owners, question
from zoo.settings import PRESETS
from zoo.studies.questions import cells, study
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
        str(own.settings(arch, recipe, own.text(own.corpora[0], 0)).named())
        for _, _, own in found
        for arch in own.archs
        for recipe in own.recipes
    ]
    assert len(set(said)) == len(said) or len(asked.archs) > 1
    assert len({v.name for v in asked.variants}) == len(asked.variants)


def test_a_variant_is_what_set_would_make_of_the_recipe() -> None:
    asked = question("defaults")
    variant = next(v for v in asked.variants if v.name == "UEGR, mask on the update")
    axes = {"archs": ("textcnn",), "corpora": ("tnews",)}
    made = study(asked, variant, 3e-3, Where(), axes, {"epochs": 2})
    typed = Study.of(
        "slices",
        {"archs": ("textcnn",), "corpora": ("tnews",), "recipes": ("uegr",), "seeds": (0, 1, 2)},
        changes={"mask_on": "update", "learning_rate": 3e-3, "epochs": 2}
        | {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms"},
    )
    assert made.settings("textcnn", "uegr", made.text("tnews", 0)) == typed.settings(
        "textcnn", "uegr", typed.text("tnews", 0)
    )


@pytest.mark.parametrize(
    ("archs", "changes", "pooling"),
    [
        (("bilstm", "textcnn"), {}, "max"),
        (("all",), {}, "max"),
        (("bilstm",), {"pooling": "mean"}, "mean"),
        (("textcnn",), {}, None),
    ],
)
def test_what_a_model_has_of_its_own(archs: tuple[str, ...], changes: dict, pooling: str | None) -> None:
    """Where the model is there, and nobody says something else."""
    asked = question("k")
    made = study(asked, asked.variants[0], 1e-2, Where(), {"archs": archs}, changes)
    assert made.changes.get("pooling") == pooling
    if pooling:
        assert made.settings("bilstm", "uegr", made.text("imdb", 0)).model.pooling == pooling


@pytest.mark.parametrize(
    ("name", "setting"), [("k", "adversarial"), ("k", "epsilon"), ("k", "learning_rate")]
)
def test_a_setting_that_every_row_says_otherwise_is_refused(name: str, setting: str) -> None:
    """It would reach no cell; one that some row leaves open does, and so does the value that they have."""
    asked = question(name)
    with pytest.raises(UserError, match=f"--set {setting}: every row of the study {name} has its own"):
        cells(asked, Where(), {}, {setting: 7})
    for changes in ({"gamma": 2.0}, {"epsilon": 0.05}, {"learning_rate": 1e-2}):
        for _, _, own in cells(asked, Where(), {}, changes):
            assert own.changes.items() >= changes.items()
    assert (
        cells(question("controls"), Where(), {}, {"learning_rate": 0.5})[0][2].changes["learning_rate"] == 0.5
    )


def test_a_factor_multiplies_every_rate() -> None:
    asked = question("defaults")
    scaled = next(v for v in asked.variants if v.rate_factor != 1)
    for rate in filter(None, asked.rates):
        own = study(asked, scaled, rate, Where(), {}, {})
        assert own.changes["learning_rate"] == pytest.approx(1.5 * rate)


def test_at_the_presets_rate_each_corpus_has_its_own(result) -> None:
    """So the cells of a control are those of Table IV, on every corpus."""
    asked = question("controls")
    table = Study.of(asked.preset, {"archs": asked.archs, "recipes": ("uegr",)})
    (made,) = [own for variant, rate, own in cells(asked, Where(), {}, {}) if variant.name == "UEGR"]
    assert made.corpora == table.corpora
    rates, done = set(), []
    for corpus in made.corpora:
        settings = made.settings("textcnn", "uegr", made.text(corpus, 0), corpus)
        assert settings == table.settings("textcnn", "uegr", table.text(corpus, 0), corpus)
        rates.add(settings.train.learning_rate)
        done.append(result("uegr", corpus, "textcnn", settings=settings.as_json(), id=corpus))
    assert len(rates) > 1
    assert owners(asked, done)["UEGR", None] == list(made.corpora)
    other = [result("uegr", "imdb", "textcnn", settings=done[0].settings, id=id) for id in ("one", "two")]
    with pytest.raises(UserError, match="two results for UEGR at the preset's learning rate: one and two"):
        owners(asked, other)


@pytest.mark.parametrize("name", QUESTIONS)
def test_cells_belong_to_the_variant_that_they_were_made_for(name: str, result) -> None:
    """By their settings alone, as a study would write them down."""
    asked = QUESTIONS[name]
    wanted, made = {}, []
    for variant, rate, own in cells(asked, Where(), {}, {}):
        corpus, arch, seed = own.corpora[0], own.archs[0], own.seeds[0]
        settings = own.settings(arch, variant.recipe, own.text(corpus, 0)).as_json()
        id = f"{variant.name}, {rate}"
        made.append(result(variant.recipe, corpus, arch, seed, settings=settings, id=id))
        wanted[variant.name, rate] = [id]
    assert owners(asked, made) == wanted


def test_which_questions_choose_a_setting() -> None:
    """Those have an interval over corpora, the others over seeds and texts."""
    chooses = {name for name, asked in QUESTIONS.items() if asked.chooses}
    assert chooses == {"defaults", "strength", "attack", "attack-minilm", "glue"}


def test_a_question_of_recipes_alone_is_a_grid() -> None:
    """Its cells are those of `zoo.ablate` under the preset, so it changes no setting of theirs."""
    assert [name for name, asked in QUESTIONS.items() if asked.compares_recipes] == ["glue"]
    for variant, _, own in cells(QUESTIONS["glue"], Where(), {}, {}):
        plain = Study.of("minilm", {"archs": own.archs, "recipes": (variant.recipe,)})
        assert own.corpora == plain.corpora
        assert own.settings("hf:minilm", variant.recipe, own.text("glue_sst2", 0)) == plain.settings(
            "hf:minilm", variant.recipe, plain.text("glue_sst2", 0)
        )


def test_cells_of_another_question_belong_nowhere(result) -> None:
    asked = question("defaults")
    train = {"learning_rate": 0.2}
    others = [result("dropout", train=train), result("at", train={"learning_rate": 3e-3}), result("dropout")]
    assert not any(owners(asked, others).values())


def test_two_cells_of_one_place_are_refused(result) -> None:
    """They differ in what the question does not vary: a mean would mix two experiments."""
    rows = [result("dropout", train={"learning_rate": 3e-3, "epochs": n}) for n in (2, 3)]
    with pytest.raises(UserError, match=r"two results for Dropout at the learning rate 0\.003"):
        owners(question("defaults"), rows)


def test_an_unknown_question_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"study 'default'.*defaults"):
        question("default")
