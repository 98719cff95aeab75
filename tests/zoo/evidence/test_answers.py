"""Variants of a study against its reference, corpus by corpus and over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from zoo.evidence.answers import Measure, Row, best, on_test_part, on_validation_part, rows
from zoo.evidence.statements import Statement, findings


def cells(result, recipe, offset, corpora=("imdb", "tnews"), archs=("bilstm", "textcnn"), seeds=(0, 1)):
    """Made-up validation accuracies that differ by corpus, model and seed, plus the variant's own part."""
    return [
        result(
            recipe, corpus, arch, seed=seed, validation_accuracy=0.5 + 0.1 * i + 0.03 * j + 0.01 * s + offset
        )
        for i, corpus in enumerate(corpora)
        for j, arch in enumerate(archs)
        for s, seed in enumerate(seeds)
    ]


def answer(measure: Measure | None = None, over_corpora: bool = False, **variants):
    """The rows of name -> results, under one learning rate."""
    found = {f"{name}/{r.id}": r for name, own in variants.items() for r in own}
    owners = {(name, 0.1): [f"{name}/{r.id}" for r in own] for name, own in variants.items()}
    return rows(measure or on_validation_part(), "plain", owners, found, over_corpora)


def test_means_and_paired_differences_by_hand(result):
    plain, other = answer(plain=cells(result, "dropout", 0.0), other=cells(result, "uegr", 0.02))
    assert plain.means == {"imdb": pytest.approx(0.52), "tnews": pytest.approx(0.62)}
    assert plain.mean == pytest.approx(0.57)
    assert plain.differences == {"imdb": 0, "tnews": 0}
    assert other.differences == {"imdb": pytest.approx(0.02), "tnews": pytest.approx(0.02)}
    assert other.difference == pytest.approx(0.02)
    assert plain.interval is None
    assert plain.models == {"bilstm": (pytest.approx(0.555), 0), "textcnn": (pytest.approx(0.585), 0)}
    assert other.models["textcnn"] == (pytest.approx(0.605), pytest.approx(0.02))


def test_a_missing_or_failed_run_leaves_a_gap_and_never_a_mean_of_the_rest(result, failed):
    own = cells(result, "uegr", 0.0)
    own[0] = failed("uegr", "imdb", "bilstm", seed=0)
    _, other = answer(plain=cells(result, "dropout", 0.0), other=own)
    assert other.means["imdb"] is None
    assert other.means["tnews"] is not None
    assert other.mean is None
    assert other.models["bilstm"] == (None, None)
    assert None not in other.models["textcnn"]
    assert other.difference is None
    assert other.interval is None
    (alone,) = answer(other=cells(result, "uegr", 0.0))
    assert alone.difference is None
    assert alone.worst is None


# The fixture is a function that keeps nothing.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(differences=st.lists(st.integers(-200, 200).map(lambda n: n / 1000), min_size=3, max_size=4))
def test_the_interval_over_corpora_is_scipys_t(result, differences):
    names = ("imdb", "ag_news", "tnews", "iflytek")[: len(differences)]
    plain, other = answer(
        over_corpora=True,
        plain=[result("dropout", name, validation_accuracy=0.5) for name in names],
        other=[
            result("uegr", name, validation_accuracy=0.5 + less)
            for name, less in zip(names, differences, strict=True)
        ],
    )
    assert plain.interval is None
    assert other.interval is not None
    if np.std(differences) > 1e-6:
        wanted = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert other.interval == pytest.approx((wanted.low, wanted.high))
    assert other.worst[1] == pytest.approx(min(differences))


def test_two_corpora_that_agree_are_not_sure_of_a_third(result):
    _, other = answer(
        over_corpora=True, plain=cells(result, "dropout", 0.0), other=cells(result, "uegr", 0.02)
    )
    assert other.difference == pytest.approx(0.02)
    assert other.interval is None


def test_over_runs_it_is_the_interval_of_a_comparison_of_methods(result):
    """The test answers are known text by text: that of `findings`, which claims and tables take."""
    kinds = {"plain": ("dropout", 40), "other": ("uegr", 30)}
    own = {
        name: [
            result(recipe, corpus, arch, seed, n=400, wrong=range(wrong + 5 * seed))
            for corpus in ("imdb", "tnews")
            for arch in ("bilstm", "textcnn")
            for seed in (0, 1)
        ]
        for name, (recipe, wrong) in kinds.items()
    }
    _, other = answer(on_test_part("accuracy"), **own)
    wanted = findings([*own["plain"], *own["other"]], [Statement("uegr", "dropout", "")])[-1].estimate
    assert other.interval == pytest.approx((wanted.low, wanted.high))
    assert other.difference == pytest.approx(wanted.difference)
    one = {name: [r for r in all_ if r.cell.seed == 0] for name, all_ in own.items()}
    _, alone = answer(on_test_part("accuracy"), **one)
    assert alone.interval[0] < alone.difference < alone.interval[1]


def test_over_runs_of_validation_single_answers_are_not_known(result):
    """From accuracies and the number of texts alone: wider than the spread over seeds."""
    _, other = answer(plain=cells(result, "dropout", 0.0), other=cells(result, "uegr", 0.02))
    low, high = other.interval
    assert (low + high) / 2 == pytest.approx(0.02)
    assert high - low > 0.01


def test_the_best_rate_is_that_of_the_highest_mean():
    made = [Row("a", rate, {"x": mean}, {}) for rate, mean in ((0.1, 0.4), (0.2, 0.6), (0.3, None))]
    assert best(made, "a") is made[1]
    assert best(made, "b") is None
