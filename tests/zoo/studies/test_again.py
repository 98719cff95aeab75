"""The command worked out from a result, parsed again, asks for the very settings that it was run with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from zoo.ablate import parse
from zoo.core.identity import plain
from zoo.core.result import Machine, Result
from zoo.recipes import RECIPES
from zoo.settings import PRESETS
from zoo.studies.again import command_of
from zoo.studies.options import study_of
from zoo.studies.study import Study

CHANGES: dict[str, Mapping[str, Any]] = {
    "nothing": {},
    "the recipe": {
        "alpha": 4.0,
        "epsilon": 0.3,
        "attack": "fgsm",
        "epsilon_unit": "rms",
        "base_rates": (0.2, 0.1, 0.3),
    },
    "the training": {"learning_rate": 0.02, "epochs": 3, "bucketed": False},
    "the text": {"fraction": 0.07, "max_length": 33},
    "a part": {"update": "all"},
    "the model": {"widths": (1, 5), "embedding": 8},
}


def run_as(result, study: Study) -> Result:
    """A result as the only cell of a study would have it."""
    (arch,), (corpus,), (recipe,) = study.archs, study.corpora, study.recipes
    settings = plain(study.settings(arch, recipe, study.text(corpus, 0), corpus).as_json())
    return replace(result(recipe, corpus, arch, 3), settings=settings)


def asked_again(results: list[Result]) -> Study:
    words = shlex.split(command_of(results))
    assert words[:3] == ["python", "-m", "zoo.ablate"]
    return study_of(parse(words[3:]))


def named(study: Study) -> Any:
    (arch,), (corpus,), (recipe,) = study.archs, study.corpora, study.recipes
    return study.settings(arch, recipe, study.text(corpus, 0), corpus).named()


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("preset", ["demo", "full", "slices"])
def test_a_command_asks_for_the_settings_of_the_cell(result, preset, changes) -> None:
    corpus = PRESETS[preset]["corpora"][-1]
    axes = {"corpora": (corpus,), "archs": ("textcnn",), "recipes": ("uegr",)}
    study = Study.of(preset, axes, changes=changes)
    cells = [replace(run_as(result, study), id=f"{seed}") for seed in (1, 4)]
    cells = [replace(r, cell=replace(r.cell, seed=int(r.id))) for r in cells]
    again = asked_again(cells)
    assert (list(again.corpora), list(again.archs), list(again.recipes)) == ([corpus], ["textcnn"], ["uegr"])
    assert list(again.seeds) == [1, 4]
    assert named(again) == named(study)
    if not changes:
        assert again.differences() == {}
        assert again.preset == preset


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_its_command(result, recipe) -> None:
    study = Study.of("quick", {"corpora": ("tnews",), "archs": ("bilstm",), "recipes": (recipe,)})
    assert named(asked_again([run_as(result, study)])) == named(study)
    assert "--set" not in command_of([run_as(result, study)])


def test_what_older_results_do_not_say_is_not_asked_for(result) -> None:
    study = Study.of("quick", {"corpora": ("tnews",), "archs": ("bilstm",), "recipes": ("uegr",)})
    cell = run_as(result, study)
    older = dict(cell.settings["train"])
    del older["patience"], older["members"]
    assert named(asked_again([replace(cell, settings={**cell.settings, "train": older})])) == named(study)


def test_what_a_method_does_not_read_is_not_asked_for(result) -> None:
    """Dropout attacks nothing; its result says the strength that was the default of its day."""
    study = Study.of("quick", {"corpora": ("tnews",), "archs": ("bilstm",), "recipes": ("dropout",)})
    cell = run_as(result, study)
    forward = {
        **cell.settings["recipe"]["forward"],
        "epsilon": 0.123,
        "attack": "fgsm",
        "epsilon_unit": "rms",
    }
    recipe = {**cell.settings["recipe"], "forward": forward}
    said = command_of([replace(cell, settings={**cell.settings, "recipe": recipe})])
    assert said.startswith(
        "python -m zoo.ablate --preset quick --arch bilstm --corpus tnews --recipe dropout "
    )
    assert "--set" not in said


@pytest.mark.parametrize(
    ("processor", "word"),
    [(None, ""), ("AVX2 (portable)", ""), ("AVX512", "--no-portable")],
)
def test_the_vector_width_is_named_where_it_is_not_the_presets(result, processor, word) -> None:
    study = Study.of("demo", {"corpora": ("bbc_news",), "archs": ("textcnn",), "recipes": ("at",)})
    cell = replace(run_as(result, study), machine=Machine("cpu (x86_64)", processor))
    words = command_of([cell]).split()
    assert [w for w in words if "portable" in w] == ([word] if word else [])
    assert "--data-dir" not in words  # its texts come in packages


def test_nothing_is_said_where_no_command_would_do(result) -> None:
    assert command_of([result("tfidf_svm", "imdb", "-")]) == ""
    assert command_of([result("a_recipe_of_tomorrow", "imdb", "textcnn")]) == ""
