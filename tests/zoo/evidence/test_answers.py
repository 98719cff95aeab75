"""Variants of a study against its reference, corpus by corpus and over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zoo.core.result import Result
from zoo.evidence.answers import Row, best, rows


def validation(result: Result) -> float | None:
    return result.validation_accuracy


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


def answer(**variants):
    """(results by id, owners) of name -> results, under one learning rate."""
    found = {f"{name}/{r.id}": r for name, own in variants.items() for r in own}
    owners = {(name, 0.1): [f"{name}/{r.id}" for r in own] for name, own in variants.items()}
    return rows(validation, "plain", owners, found)


def test_means_and_paired_differences_by_hand(result):
    plain, other = answer(plain=cells(result, "dropout", 0.0), other=cells(result, "uegr", 0.02))
    assert plain.means == {"imdb": pytest.approx(0.52), "tnews": pytest.approx(0.62)}
    assert plain.mean == pytest.approx(0.57)
    assert plain.differences == {"imdb": 0, "tnews": 0}
    assert other.differences == {"imdb": pytest.approx(0.02), "tnews": pytest.approx(0.02)}
    assert other.difference == pytest.approx(0.02)
    assert other.half_width == pytest.approx(0, abs=1e-12)
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
    assert other.half_width is None
    (alone,) = answer(other=cells(result, "uegr", 0.0))
    assert alone.difference is None
    assert alone.worst is None


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=8))
def test_the_interval_is_scipys_t_over_corpora(differences):
    by_corpus = {str(i): value for i, value in enumerate(differences)}
    row = Row("other", 0.1, by_corpus, by_corpus)
    assert row.half_width is not None
    if np.std(differences) > 1e-6:
        wanted = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert row.difference is not None
        assert row.difference - row.half_width == pytest.approx(wanted.low)
        assert row.difference + row.half_width == pytest.approx(wanted.high)
    assert row.worst == min(by_corpus.items(), key=lambda item: item[1])


def test_the_best_rate_is_that_of_the_highest_mean():
    made = [Row("a", rate, {"x": mean}, {}) for rate, mean in ((0.1, 0.4), (0.2, 0.6), (0.3, None))]
    assert best(made, "a") is made[1]
    assert best(made, "b") is None
