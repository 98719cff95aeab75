"""Parts of a planned grid: which blocks are whole, and what may be concluded from."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.evidence.cells import Cells, Method
from zoo.evidence.paper import paper
from zoo.evidence.planned import SEEDS, Planned, table_iv
from zoo.settings import PRESETS

ARCHS, RECIPES, CORPORA = ("bilstm", "textcnn"), ("dropout", "uegr"), ("imdb", "tnews")


@pytest.fixture
def planned(result):
    """A plan of two models, recipes, corpora and seeds, with the results of `there`, one per name."""

    def make(there, *others, seeds=(0, 1)):
        made = [result(recipe, corpus, arch, seed) for arch, recipe, corpus, seed in there]
        return Planned(ARCHS, RECIPES, CORPORA, seeds, Cells.of([*made, *others]))

    return make


def block(arch, seed):
    return [(arch, recipe, corpus, seed) for recipe in RECIPES for corpus in CORPORA]


def places(cells):
    return {
        (key.arch, key.method.recipe, key.corpus, run.seed)
        for key, g in cells.groups.items()
        for run in g.done
    }


def test_blocks_count_what_is_there_and_what_failed(planned, failed):
    there = [*block("textcnn", 0), *block("bilstm", 1)[:3]]
    plan = planned(there, failed("uegr", "tnews", "bilstm", 1))
    found = {(b.arch, b.seed): (b.done, b.failed, b.planned, b.whole, b.settled) for b in plan.blocks}
    assert found == {
        ("bilstm", 0): (0, 0, 4, False, False),
        ("bilstm", 1): (3, 1, 4, False, True),
        ("textcnn", 0): (4, 0, 4, True, True),
        ("textcnn", 1): (0, 0, 4, False, False),
    }


def test_only_whole_blocks_are_concluded_from(planned):
    plan = planned([*block("textcnn", 0), *block("textcnn", 1)[:3], *block("bilstm", 0)[1:]])
    assert places(plan.whole()) == places(plan.even_cells()) == set(block("textcnn", 0))
    assert plan.even() == (("textcnn",), (0,))
    nothing = planned(block("textcnn", 0)[1:])
    assert nothing.even() == ((), ())
    assert nothing.whole().groups == nothing.even_cells().groups == {}


def test_another_recipe_or_seed_is_not_planned(planned):
    other = [("textcnn", "at", "imdb", 0), *block("textcnn", 5)]
    plan = planned([*block("textcnn", 0), *other])
    assert places(plan.whole()) == set(block("textcnn", 0))
    assert sum(b.done for b in plan.blocks) == 4


def test_a_recipe_under_two_settings_fills_no_place(planned, result):
    plan = planned(block("textcnn", 0), result("uegr", "imdb", "textcnn", 0, alpha=4))
    assert plan.whole().groups == {}


def test_the_reference_row_comes_along(planned, result):
    row = result("tfidf_svm", "imdb", "-")
    assert planned(block("textcnn", 0), row).even_cells().get("-", "imdb", Method("tfidf_svm")).done
    assert not planned([], row).even_cells().groups


def test_even_takes_a_second_seed_before_a_second_model(planned):
    plan = planned([*block("textcnn", 0), *block("textcnn", 1), *block("bilstm", 1)])
    assert plan.even() == (("textcnn",), (0, 1))
    assert places(plan.whole()) == {*block("textcnn", 0), *block("textcnn", 1), *block("bilstm", 1)}
    assert planned([*block("textcnn", 1), *block("bilstm", 1)]).even() == (ARCHS, (1,))


PAIRS = list(itertools.product(ARCHS, (0, 1, 2)))


@given(st.sets(st.sampled_from(PAIRS)))
def test_even_is_a_full_product_of_whole_blocks_with_several_seeds_then_most_models(whole):
    """Against trying every set of models and every set of seeds."""

    class Stub(Planned):
        def whole_seeds(self, arch):
            return tuple(seed for seed in self.seeds if (arch, seed) in whole)

    archs, seeds = Stub(ARCHS, RECIPES, CORPORA, (0, 1, 2), Cells({})).even()
    assert set(itertools.product(archs, seeds)) <= whole
    assert bool(whole) == bool(archs) == bool(seeds)
    possible = [
        (a, s)
        for n in (1, 2)
        for a in itertools.combinations(ARCHS, n)
        for k in (1, 2, 3)
        for s in itertools.combinations((0, 1, 2), k)
        if set(itertools.product(a, s)) <= whole
    ]
    if possible:
        assert (len(seeds) > 1, len(archs), len(seeds)) == max(
            (len(s) > 1, len(a), len(s)) for a, s in possible
        )


def test_tables_show_the_settled_seeds_of_a_model_or_all_it_has(planned, failed):
    broken = failed("uegr", "tnews", "bilstm", 0)
    plan = planned([*block("bilstm", 0)[:3], *block("bilstm", 1)[:1], *block("textcnn", 1)[:2]], broken)
    shown = plan.shown()
    assert places(shown) == {*block("bilstm", 0)[:3], *block("textcnn", 1)[:2]}
    assert shown.get("bilstm", "tnews", Method("uegr")).failed


def test_table_iv_is_what_the_paper_prints():
    plan = table_iv(Cells({}))
    named = {(a, r, c) for a in plan.archs for r in plan.recipes for c in plan.corpora}
    assert named == {key for key in paper() if key[2] != "AVG"}
    assert sum(b.planned for b in plan.blocks) == 252


def test_the_seeds_are_those_of_the_preset():
    assert PRESETS["full"]["seeds"] == SEEDS
    assert set(PRESETS["full"]["corpora"]) == set(table_iv(Cells({})).corpora)
