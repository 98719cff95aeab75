"""A study as a record: what the user sets wins, what nobody reads is refused, JSON both ways."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.changes import NOT_CHANGES, SWITCHES, from_text, resolve, settings_table, shown
from zoo.core.errors import UserError
from zoo.models import ARCHS, MODELS
from zoo.pretrained.settings import Pretrained
from zoo.recipes import RECIPE_PRESETS, RECIPES, recipe_fields, resolve_recipe
from zoo.settings import PRESETS
from zoo.studies import listing
from zoo.studies.study import Axes, Study, Where
from zoo.text import TextSettings
from zoo.training.settings import TrainSettings


def test_what_is_absent_is_the_presets() -> None:
    study = Study.of("quick")
    assert study.corpora == PRESETS["quick"]["corpora"]
    assert study.seeds == PRESETS["quick"]["seeds"]
    assert study.text("imdb", 0).fraction == 0.1
    assert study.text("imdb", 0).max_length == 128
    assert study.settings("textcnn", "uegr", study.text("imdb", 0)).model.as_json()["filters"] == 48
    assert study.settings("han", "uegr", study.text("imdb", 0)).train.epochs == 5
    assert Study.from_json({}) == Study.of("demo")


def test_a_corpus_of_short_texts_has_its_own_length_and_the_user_the_last_word() -> None:
    assert Study.of("quick").text("tnews", 0).max_length == 32
    set_by_user = Study.of("quick", changes={"max_length": 100, "fraction": 0.5})
    for corpus in PRESETS["quick"]["corpora"]:
        assert set_by_user.text(corpus, 0).max_length == 100, corpus
        assert set_by_user.text(corpus, 0).fraction == 0.5, corpus


def test_the_whole_corpora_have_the_lengths_of_their_cards() -> None:
    """No share of one is left out, and every cell may stop early."""
    study = Study.of("full")
    texts = {corpus: study.text(corpus, 0) for corpus in study.corpora}
    lengths = {"imdb": 256, "ag_news": 64, "tnews": 32, "iflytek": 256}
    assert {corpus: text.max_length for corpus, text in texts.items()} == lengths
    assert {text.fraction for text in texts.values()} == {1.0}
    assert study.seeds == (0, 1, 2)
    assert not study.places.portable  # its steps would take twice as long
    for arch in ARCHS:
        train = study.settings(arch, "uegr", texts["imdb"]).train
        assert set(train.named()) == {"batch_size", "patience"}


def test_axes_count_each_entry_once() -> None:
    axes = Axes(seeds=(1, 0, 1), recipes=("uegr", "uegr"), archs=("textcnn", "all"), corpora=("a", "b", "a"))
    assert (axes.seeds, axes.recipes, axes.corpora) == ((1, 0), ("uegr",), ("a", "b"))
    assert axes.archs == ("textcnn", *(arch for arch in ARCHS if arch != "textcnn"))


def test_no_two_records_share_a_name_but_the_models() -> None:
    """`--set` knows settings by name alone."""
    models = {
        f.name for sizes in (*(MODELS[arch].Sizes for arch in ARCHS), Pretrained) for f in fields(sizes)
    }
    records = (TrainSettings, TextSettings)
    names = [set(recipe_fields()), models, *({f.name for f in fields(record)} for record in records)]
    assert sum(map(len, names)) == len(set().union(*names))
    assert set().union(*names) - set(NOT_CHANGES) == set(settings_table())


def test_the_switches_are_those_of_the_records() -> None:
    kinds = next(f for f in fields(type(RECIPES["uegr"].dropout)) if f.name == "kind").metadata["choices"]
    assert set(SWITCHES["dropout"]) == {"none", *kinds}
    assert set(SWITCHES["update"]) == {"all", RECIPES["uegr"].backward.kind}
    assert set(SWITCHES) == {name for name, record in recipe_fields().items() if record is None}


def test_a_change_reaches_the_cells_that_read_it() -> None:
    study = Study.of(
        "demo",
        {"archs": ["textcnn", "texthan"], "recipes": ["dropout", "uegr"]},
        changes={"alpha": 4, "hidden": 7, "beta2": 0.99, "dropout": "uniform"},
    )
    text = study.text("bbc_news", 0)
    uegr = study.settings("texthan", "uegr", text)
    assert uegr.recipe.flat()["alpha"] == 4.0
    assert uegr.recipe.flat()["dropout"] == "uniform"
    assert uegr.model.as_json()["hidden"] == 7
    assert uegr.train.beta2 == 0.99
    assert "hidden" not in study.settings("textcnn", "uegr", text).model.as_json()


@pytest.mark.parametrize(
    ("axes", "changes", "said"),
    [
        ({"archs": ["textcnn"]}, {"hidden": 4}, r"setting hidden: none of the models .*\(textcnn\) reads it"),
        ({"recipes": ["dropout"]}, {"epsilon": 1.0}, r"setting epsilon: none of the methods .*\(dropout\)"),
        ({"recipes": ["standard"]}, {"threshold": 0.5}, "setting threshold: none of the methods"),
        ({"recipes": ["r_drop"]}, {"gamma": 2.0}, "setting gamma: none of the methods"),
        ({}, {"keep_constant": 0.3}, "setting keep_constant: none of the methods"),
        ({}, {"patience": 3, "selection": "last"}, "setting patience: with selection=last every epoch"),
        ({"archs": ["hf:own"]}, {"max_vocabulary": 5}, "setting max_vocabulary: a model with a tokeniser"),
    ],
)
def test_a_change_that_no_cell_reads_is_refused(axes, changes, said) -> None:
    with pytest.raises(UserError, match=said):
        Study.of("demo", axes, changes=changes)


def test_what_some_cell_reads_is_taken() -> None:
    mixed = Study.of("demo", {"archs": ["textcnn", "hf:own"]}, changes={"max_vocabulary": 5})
    assert mixed.changes == {"max_vocabulary": 5}


def test_a_change_that_another_change_lets_in_is_read() -> None:
    study = Study.of("demo", {"recipes": ["dropout"]}, changes={"adversarial": 2, "epsilon": 0.3})
    assert study.effective() == {"adversarial": 2, "epsilon": 0.3}


WRONG = [
    ({"preset": "demmo"}, "unknown preset 'demmo'"),
    ({"preset": 3}, "preset is 3: expected a text"),
    ({"recipe_preset": "x"}, "unknown recipe preset 'x'"),
    ({"axis": {}}, "unknown part 'axis'.*did you mean 'axes'"),
    ({"axes": []}, r"axes is \[\]: expected an object"),
    ({"axes": {"seed": [0]}}, "unknown axis 'seed'"),
    ({"axes": {"seeds": 0}}, "axis seeds=0: expected a tuple"),
    ({"axes": {"seeds": ["0"]}}, "axis seeds=.*expected a whole number"),
    ({"axes": {"seeds": [-1]}}, "axis seeds=-1: expected a number at least 0"),
    ({"axes": {"seeds": [2**31]}}, "axis seeds"),
    ({"axes": {"seeds": []}}, "axis seeds is empty"),
    ({"axes": {"archs": ["texthann"]}}, "unknown arch 'texthann'"),
    ({"axes": {"recipes": ["uergr"]}}, "unknown recipe 'uergr'.*did you mean 'uegr'"),
    ({"axes": {"corpora": [""]}}, "axis corpora is empty or has an empty name"),
    ({"axes": {"folds": 1}}, "folds is 1"),
    ({"axes": {"folds": 100_000}}, "folds=100000"),
    ({"axes": {"folds": -2}}, "folds=-2"),
    ({"changes": {"alhpa": 1}}, "unknown setting 'alhpa'.*did you mean 'alpha'"),
    ({"changes": {"alpha": "1"}}, "alpha='1': expected a number"),
    ({"changes": {"alpha": None}}, "alpha=None: expected a number"),
    ({"changes": {"epochs": 0}}, "epochs=0: expected a number at least 1"),
    ({"changes": {"epochs": 1_000_000_000}}, "epochs=1000000000"),
    ({"changes": {"batch_size": 1_000_000}}, "batch_size=1000000"),
    ({"changes": {"learning_rate": -1}}, "learning_rate=-1.0: expected a number above 0"),
    ({"changes": {"beta1": 2}}, "beta1=2.0: expected a number at least 0 and below 1"),
    ({"changes": {"adam_epsilon": -1}}, "adam_epsilon=-1.0"),
    ({"changes": {"hidden": 0}}, "hidden=0: expected a number at least 1"),
    ({"changes": {"hidden": -5}}, "hidden=-5"),
    ({"changes": {"hidden": 1_000_000}}, "hidden=1000000"),
    ({"changes": {"widths": []}, "axes": {"archs": ["textcnn"]}}, r"widths=\(\): expected at least one"),
    ({"changes": {"widths": [0]}, "axes": {"archs": ["textcnn"]}}, "widths=0"),
    ({"changes": {"widths": 3}, "axes": {"archs": ["textcnn"]}}, "widths=3: expected a tuple"),
    ({"changes": {"fraction": 1.5}}, "fraction"),
    ({"changes": {"max_length": 0}}, "max_length"),
    ({"changes": {"dropout": "pooled"}}, "dropout='pooled': expected one of none, uniform"),
    ({"changes": {"update": "foo"}}, "update='foo': expected one of all, selective"),
    ({"changes": {"update": ["all"]}}, "update"),
    ({"changes": {"fold": 1}}, "unknown setting 'fold'"),
    ({"places": {"device": "tpu"}}, "place device='tpu': expected one of auto, cpu, cuda"),
    ({"places": {"jobs": -1}}, "place jobs=-1"),
    ({"places": {"jobs": "two"}}, "place jobs='two': expected a whole number"),
    ({"places": {"output": "x"}}, "unknown place 'output'"),
    ({"places": "runs"}, "places is 'runs': expected an object"),
    ([], "expected an object"),
    (None, "expected an object"),
    ({"study": 1, "cells": []}, "expected an object"),
    ({"study": {}, "axes": {}}, "unknown part 'study'"),
    ({"study": {"axes": {"seeds": ["a"]}}}, "axis seeds"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[json.dumps(values)[:50] for values, _ in WRONG])
def test_a_wrong_study_is_one_line_that_names_its_file(values: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=said) as caught:
        Study.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 50_000])
def test_what_is_no_json_is_no_study(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not JSON"):
        Study.read(path)
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        Study.read(tmp_path / "none.json")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory"):
        Study.read(tmp_path)


@given(
    preset=st.sampled_from(sorted(PRESETS)),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4),
    folds=st.sampled_from([0, 2, 5]),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "alpha": st.integers(0, 9) | st.floats(0, 9),
            "base_rates": st.lists(st.floats(0.0, 0.9), min_size=1, max_size=3),
            "epochs": st.integers(1, 50),
            "bucketed": st.booleans(),
            "vectors": st.sampled_from(["random", "word2vec"]),
        },
    ),
    jobs=st.integers(0, 8),
)
def test_json_both_ways(preset, seeds, folds, changes, jobs) -> None:
    axes = {"seeds": seeds, "folds": folds, "recipes": ["uegr", "r_at"]}
    study = Study.of(preset, axes, changes=changes, places=Where(jobs=jobs))
    assert Study.from_json(json.loads(json.dumps(study.as_json()))) == study


def test_whole_numbers_are_numbers_so_that_one_study_has_one_name() -> None:
    one, other = (Study.of("demo", changes={"alpha": alpha}) for alpha in (4, 4.0))
    assert one == other
    assert json.dumps(one.as_json()) == json.dumps(other.as_json())
    text = one.text("bbc_news", 0)
    assert json.dumps(one.settings("textcnn", "uegr", text).named()["recipe"]["forward"]["alpha"]) == "4.0"


def test_other_settings_are_another_folder_and_other_axes_are_not() -> None:
    demo = Study.of("demo")
    assert demo.out() == Path("runs/demo")
    others = {"archs": ["all"], "recipes": ["uegr"], "seeds": [7], "corpora": ["bbc_news"]}
    for axis, value in others.items():
        assert Study.of("demo", {axis: value}).out() == Path("runs/demo"), axis
    assert Study.of("demo", changes={"epochs": 6, "learning_rate": 1e-2}).out() == Path("runs/demo")
    assert Study.of("demo", changes={"epsilon": 0.3, "alpha": 4}).out() == Path(
        "runs/demo+alpha=4+epsilon=0.3"
    )
    assert Study.of("demo", {"folds": 5}).out() == Path("runs/demo+folds=5")
    assert Study.of("demo", recipe_preset="rat_code").out() == Path("runs/demo+recipe_preset=rat_code")
    assert Study.of("demo", {"corpora": ["../my data/a b.csv"]}).out() == Path("runs/demo+corpus=a_b")
    years = [Study.of("demo", {"corpora": [f"reviews.{year}.csv.gz"]}).out() for year in (2023, 2024)]
    assert years == [Path("runs/demo+corpus=reviews.2023"), Path("runs/demo+corpus=reviews.2024")]
    assert Study.of("demo", {"corpora": ["imdb"]}).out() == Path("runs/demo+corpus=imdb")
    assert Study.of("demo", changes={"max_length": 32}).out() == Path("runs/demo+max_length=32")
    assert Study.of("demo", places=Where(out="x/y")).out() == Path("x/y")
    assert Study.of("demo", places=Where(out="~/x")).out() == Path.home() / "x"


def test_a_long_name_of_a_folder_is_cut_and_stays_its_own() -> None:
    long = {
        "alpha": 0.123456,
        "epsilon": 0.234567,
        "base_rates": [0.1, 0.2, 0.3],
        "gamma": 0.345678,
        "threshold": 0.4,
    }
    last = ({"sharpness": 2.0}, {"sharpness": 3.0}, {"weight_decay": 0.25}, {"weight_decay": 0.35})
    names = {Study.of("demo", changes={**long, "weight_decay": 0.2, **more}).out().name for more in last}
    assert len(names) == 4
    assert max(map(len, names)) <= 100


def test_a_study_that_is_changed_keeps_what_it_had() -> None:
    study = Study.of("demo", {"seeds": [3]}, changes={"epochs": 3, "alpha": 4.0}, recipe_preset="rat_code")
    changed = study.changed({"archs": ("textcnn",)}, alpha=2.0, beta1=0.8)
    assert changed.changes == {"epochs": 3, "alpha": 2.0, "beta1": 0.8}
    assert (changed.seeds, changed.archs, changed.recipe_preset) == ((3,), ("textcnn",), "rat_code")
    assert study.changes == {"epochs": 3, "alpha": 4.0}


@pytest.mark.parametrize("reading", RECIPE_PRESETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_reading_of_the_paper_reaches_the_cells(reading: str, recipe: str) -> None:
    study = Study.of("demo", {"recipes": [recipe]}, recipe_preset=reading)
    text = study.text("bbc_news", 0)
    assert study.settings("texthan", recipe, text).recipe == resolve_recipe(recipe, reading)


def test_what_a_corpus_has_of_its_own_is_for_the_zoo_s_models() -> None:
    """A rate for small steps on IFLYTEK is 150 times that of fine-tuning, whose words are its own."""

    def train(arch: str, corpus: str) -> TrainSettings:
        return resolve("full", "default", arch, "uegr", TextSettings(), {}, corpus).train

    assert train("textcnn", "iflytek") != train("textcnn", "imdb")
    assert train("hf:minilm", "iflytek") == train("hf:minilm", "imdb")


@pytest.mark.parametrize("arch", ["hf:minilm", "mtdnn:minilm", "textcnn"])
def test_a_pre_trained_model_has_defaults_of_its_own(arch: str) -> None:
    """What a user sets, and a reading that is named, come before them."""
    pretrained = arch != "textcnn"

    def epsilon(recipe_preset: str = "default", **changes: Any) -> float:
        study = Study.of("minilm", {"archs": (arch,)}, changes=changes, recipe_preset=recipe_preset)
        found = study.settings(arch, "uegr", study.text("glue_sst2", 0)).recipe.flat()["epsilon"]
        return float(found)

    presets = {name: row.get("epsilon") for name, row in RECIPE_PRESETS.items()}
    usual = RECIPES["uegr"].flat()["epsilon"]
    assert presets["pretrained"] < usual
    assert epsilon() == (presets["pretrained"] if pretrained else usual)
    assert epsilon("paper") == presets["paper"]
    assert epsilon(epsilon=usual) == usual


def test_every_study_of_a_folder_has_a_file_of_its_own(tmp_path: Path) -> None:
    studies = [Study.of("demo", {"seeds": [seed]}) for seed in (0, 1, 0)]
    paths = [study.write(tmp_path) for study in studies]
    assert [Study.read(path) for path in paths] == studies
    assert len(set(paths)) == 2


def test_a_study_of_a_file_whose_name_is_not_utf8_is_kept(tmp_path: Path) -> None:
    study = Study.of("demo", {"corpora": ["caf\udce9.csv", "影评.csv"]})
    assert Study.read(study.write(tmp_path)) == study


def test_values_as_typed_read_back() -> None:
    for name, text in {
        "alpha": "4",
        "widths": "1,2",
        "bucketed": "off",
        "dropout": "rank",
        "epochs": "3",
    }.items():
        assert shown(from_text({name: text})[name]) == text


def test_the_list_says_what_there_is() -> None:
    there = listing.listed()
    assert set(there["recipes"]) == set(RECIPES)
    assert there["settings"]["training"]["beta1"] == {"default": 0.9, "low": 0, "below": 1}
    named = {name for settings in there["settings"].values() for name in settings} | set(there["parts"])
    assert named == set(settings_table())
    json.dumps(there)
    text = listing.as_text()
    assert max(map(len, text.splitlines())) <= 80
    for name in (*settings_table(), *RECIPES, *PRESETS, *ARCHS):
        assert name in text


def test_a_preset_may_train_one_corpus_otherwise_and_a_change_holds_for_all() -> None:
    study = Study.of("full")
    rates = {
        corpus: study.settings("textcnn", "uegr", study.text(corpus, 0), corpus).train.learning_rate
        for corpus in study.corpora
    }
    assert rates == {"imdb": 1e-3, "ag_news": 1e-3, "tnews": 1e-3, "iflytek": 3e-3}
    changed = Study.of("full", changes={"learning_rate": 0.01})
    for corpus in study.corpora:
        assert changed.settings("textcnn", "uegr", study.text(corpus, 0), corpus).train.learning_rate == 0.01
    # The common rate is no news for three corpora, and another setting for the fourth.
    assert Study.of("full", changes={"learning_rate": 1e-3}).out() != study.out()
    assert Study.of("full", {"corpora": ("imdb",)}, changes={"learning_rate": 1e-3}).out() == study.out()


def test_settings_that_only_go_together_make_a_study() -> None:
    """The sign attack is refused in the default's unit, so neither of the two stands alone."""
    changes = {"attack": "fgsm", "epsilon_unit": "rms", "epsilon": 0.05}
    made = Study.of("slices", {"recipes": ("uegr",), "archs": ("textcnn",)}, changes=changes)
    assert made.effective() == changes
    assert "attack=fgsm" in made.out().name
