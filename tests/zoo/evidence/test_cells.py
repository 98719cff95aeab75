from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.core.names import NO_ARCH
from zoo.evidence.cells import Cells, Key, Method, Run
from zoo.evidence.compare import compare
from zoo.evidence.settings import _ATTACK, UNSAID, by_name, differing, shown
from zoo.method.forward.attack import Attack
from zoo.method.forward.bi_stage import BiStage
from zoo.training.settings import TrainSettings


def test_results_are_grouped_in_the_order_of_print(result, failed):
    cells = [
        result("uegr", "tnews"),
        result("mine", "own"),
        failed("dropout", "tnews", seed=3),
        result("tfidf_svm", "imdb", NO_ARCH),
        result("dropout", "tnews"),
        result("dropout", "imdb", "bilstm", fold=1),
    ]
    grouped = Cells.of(cells)
    assert [(k.arch, k.corpus, k.method.recipe) for k in grouped.groups] == [
        ("bilstm", "imdb", "dropout"),
        ("texthan", "tnews", "dropout"),
        ("texthan", "tnews", "uegr"),
        ("texthan", "own", "mine"),
        (NO_ARCH, "imdb", "tfidf_svm"),
    ]
    assert grouped.archs() == ("bilstm", "texthan")
    assert grouped.corpora() == ("imdb", "tnews", "own")
    group = grouped.get("texthan", "tnews", Method("dropout"))
    assert (list(group.done), list(group.failed)) == ([Run(0)], [Run(3)])
    assert list(grouped.get("bilstm", "imdb", Method("dropout")).done) == [Run(0, 1)]
    assert list(grouped.get("texthan", "imdb", Method("tfidf_svm")).done) == [Run(0)]
    assert grouped.get("texthan", "imdb", Method("none")).every == ()
    assert [r.cell.arch for r in grouped.done()] == ["bilstm", "texthan", "texthan", "texthan", NO_ARCH]
    assert NO_ARCH not in {r.cell.arch for r in grouped.done(networks=True)}
    assert len(list(grouped.done(networks=True))) == 4
    assert Cells.of(grouped) is grouped
    assert Cells.of(cells[::-1]) == grouped


def test_a_recipe_under_two_settings_is_two_methods_named_by_what_differs(result):
    cells = [result("uegr", seed=s, alpha=alpha) for s in (0, 1) for alpha in (10.0, 4, 0.5)]
    cells += [result("uegr", "tnews", alpha=4), result("dropout")]
    methods = Cells.of(cells).methods()
    assert [method.name for method in methods] == [
        "Dropout",
        "UEGR, alpha 0.5",
        "UEGR, alpha 4",
        "UEGR, alpha 10",
    ]
    groups = Cells.of(cells).groups
    assert list(groups[Key("texthan", "imdb", methods[1])].done) == [Run(0), Run(1)]
    assert Key("texthan", "tnews", methods[2]) in groups
    assert Key("texthan", "tnews", methods[1]) not in groups


def test_settings_that_differ_between_corpora_seeds_or_folds_make_no_methods(result):
    cells = [result("uegr", corpus, train={"epochs": n}) for corpus, n in (("imdb", 2), ("tnews", 5))]
    cells += [result("uegr", "ag_news", seed=s, fold=f) for s in (0, 1) for f in (0, 1)]
    assert Cells.of(cells).methods() == (Method("uegr"),)


def test_variants_are_held_against_the_reference_of_the_same_training(result):
    """Dropout was trained twice; each UEGR meets the one that it shares all but the recipe with."""
    cells = [result("dropout", train={"epochs": n}, wrong=range(n)) for n in (2, 9)]
    cells += [result("uegr", train={"epochs": n}, alpha=a) for n in (2, 9) for a in (1, 4)]
    found = compare(Cells.of(cells))
    assert {key.method.variant: c.differences for key, c in found.items()} == {
        "alpha 1, epochs 2": (0.02,),
        "alpha 1, epochs 9": (0.09,),
        "alpha 4, epochs 2": (0.02,),
        "alpha 4, epochs 9": (0.09,),
    }
    # Another learning rate a recipe is no obstacle where there is one reference.
    cells = [result("dropout"), result("uegr", train={"learning_rate": 9})]
    assert len(compare(Cells.of(cells))) == 1
    # A reference that none of them shares: no difference.
    cells = [result("dropout", train={"epochs": n}) for n in (2, 9)] + [result("uegr", train={"epochs": 5})]
    assert compare(Cells.of(cells)) == {}


def test_two_results_of_one_cell_are_an_error_that_names_both(result):
    one, other = result("uegr"), result("uegr", id="imdb-texthan-uegr-s0-other")
    with pytest.raises(UserError, match="same settings, of different texts") as caught:
        Cells.of([one, other])
    assert one.id in str(caught.value)
    assert other.id in str(caught.value)


def test_settings_by_name():
    recipe = {
        "forward": {"kind": "freelb", "alpha": 0.5},
        "dropout": None,
        "backward": {"kind": "selective", "a": 1},
    }
    settings = {"recipe": recipe, "text": {"fold": 3, "folds": 5}, "model": {"widths": [2, 3]}}
    assert by_name(settings) == {
        "forward": "freelb", "alpha": 0.5, "dropout": "none", "update": "selective", "a": 1,
        "folds": 5, "widths": [2, 3],
    }  # fmt: skip
    assert by_name(settings, "model", "text") == {"folds": 5, "widths": [2, 3]}
    assert recipe["forward"]["kind"] == "freelb"
    assert by_name({"train": {"epochs": 2, "patience": 0}}) == by_name({"train": {"epochs": 2}}) != {}
    assert by_name({"train": {"patience": 2}}) == {"patience": 2}
    assert differing([{"a": 4, "b": 1}, {"a": 4.0, "b": 2, "c": 1}]) == ["b", "c"]
    assert differing([]) == []
    texts = {"x": "x", 4.0: "4", True: "on", None: "–", (2, 3): "2 3", (): "(default)", "": "–"}
    assert {shown(value) for value in texts} == set(texts.values())


def test_what_older_results_do_not_say_is_known() -> None:
    """A setting of training that is new makes no other method of results from before it (`UNSAID`)."""
    committed = Path(__file__).parents[3] / "results"
    lacking = {
        name
        for path in committed.glob("full/*.json")
        if "train" in (settings := json.loads(path.read_text(encoding="utf-8"))["settings"])
        for name in TrainSettings().as_json()
        if name not in settings["train"]
    }
    assert lacking <= set(UNSAID)
    assert {name: TrainSettings().as_json()[name] for name in UNSAID} == UNSAID


def test_what_no_clean_pass_reads_are_the_fields_of_an_attack() -> None:
    """The same names stand on two floors, since no evidence may import the method."""
    assert set(_ATTACK) == {field.name for field in fields(Attack)} <= set(BiStage().unread())
    assert not set(_ATTACK) & set(BiStage(adversarial=1).unread())


def test_a_method_without_an_attack_is_the_same_under_any(result):
    """Plain methods of before and after the default attack changed are one method; attacking ones are two."""

    def cell(seed: int, adversarial: int, epsilon: float):
        forward = {"kind": "bi_stage", "adversarial": adversarial, "attack": "fgm", "epsilon": epsilon}
        made = result("mine", seed=seed)
        return replace(made, settings={**made.settings, "recipe": {"forward": forward}})

    for adversarial, methods in ((0, 1), (2, 2)):
        cells = Cells.of([cell(0, adversarial, 0.05), cell(1, adversarial, 0.5)])
        assert len(cells.methods()) == methods
