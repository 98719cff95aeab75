"""Calibration and detection against direct loops, pair counting, scikit-learn and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from zoo.core.classes import decode_scores
from zoo.robustness.calibration import (
    adaptive_error,
    brier,
    by_chance,
    calibrated,
    error_of,
    expected_error,
    likelihood,
    softmax,
    temperature,
)
from zoo.robustness.detection import auroc, confidence, energy


def drawn(n: int = 400, classes: int = 3, sharp: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from softmax(logits / sharp): the right temperature is `sharp`."""
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(size=(n, classes)) * 1.5
    p = softmax(logits, sharp)
    return logits, np.array([rng.choice(classes, p=row) for row in p])


def slow_error(confidences: list[float], right: list[bool], bins: int) -> float:
    """Bin by bin: the texts whose confidence is in (b / bins, (b + 1) / bins]."""
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        own = [i for i, c in enumerate(confidences) if low < c <= high or (b == 0 and c == 0)]
        if own:
            share = sum(right[i] for i in own) / len(own)
            mean = sum(confidences[i] for i in own) / len(own)
            total += len(own) / len(right) * abs(share - mean)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_error_of_calibration_is_the_loop_over_bins(bins: int) -> None:
    logits, truth = drawn()
    p = softmax(logits)
    right = (p.argmax(1) == truth).tolist()
    assert expected_error(p, truth, bins) == pytest.approx(
        slow_error(p.max(1).tolist(), right, bins), abs=1e-12
    )


def test_bins_are_closed_above() -> None:
    """0.8 and 0.6 end the bins (0.6, 0.8] and (0.4, 0.6] of five."""
    p = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert expected_error(p, np.array([0, 1, 0]), 5) == pytest.approx((abs(1 - 0.75 * 2) + abs(1 - 0.6)) / 3)


@pytest.mark.parametrize("n", [200, 2000])
def test_chance_alone_shows_this_error(n: int) -> None:
    """The mean over 2,000 draws of right answers is normal: 5 standard errors miss once in a million.

    The normal form of a bin's gap is off by a few per cent where a bin is of few texts.
    """
    rng = np.random.default_rng(n)
    sure = rng.uniform(0.3, 1, n)
    drawn_errors = [error_of(sure, rng.random(n) < sure) for _ in range(2000)]
    spread = np.std(drawn_errors) / math.sqrt(len(drawn_errors))
    assert abs(np.mean(drawn_errors) - by_chance(sure)) < 5 * spread + 0.03 * by_chance(sure)
    assert by_chance(np.ones(n)) == 0


def test_adaptive_bins_have_equally_many_texts() -> None:
    """By hand: confidences 0.5 0.6 | 0.7 0.8 | 0.9, answers wrong right | right right | wrong."""
    p = np.array([[0.5, 0.5], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1]])[[4, 2, 0, 3, 1]]
    truth = np.array([1, 0, 0, 0, 1])[[4, 2, 0, 3, 1]]
    wanted = (abs(1 - 1.1) + abs(2 - 1.5) + abs(0 - 0.9)) / 5
    assert adaptive_error(p, truth, 3) == pytest.approx(wanted)
    logits, truth = drawn(37)
    assert adaptive_error(softmax(logits), truth, 100) == pytest.approx(
        float(np.abs((softmax(logits).argmax(1) == truth) - softmax(logits).max(1)).mean())
    )  # a bin a text


def test_likelihood_and_brier_are_those_of_scikit_learn() -> None:
    logits, truth = drawn()
    assert likelihood(logits, truth) == pytest.approx(log_loss(truth, softmax(logits)))
    assert likelihood(logits, truth, 3.0) == pytest.approx(log_loss(truth, softmax(logits, 3.0)))
    two, answers = drawn(classes=2)
    # Of two classes scikit-learn's is that of one of them.
    assert brier(softmax(two), answers) == pytest.approx(2 * brier_score_loss(answers, softmax(two)[:, 1]))
    assert math.isfinite(likelihood(1e5 * logits, truth))


@pytest.mark.parametrize("sharp", [0.5, 1.0, 3.0])
def test_the_temperature_is_that_of_a_grid_and_near_the_truth(sharp: float) -> None:
    logits, truth = drawn(2_000, sharp=sharp)
    found = temperature(logits, truth)
    grid = np.exp(np.linspace(-2, 3, 5_001))
    best = grid[np.argmin([likelihood(logits, truth, float(t)) for t in grid[::10]]) * 10]
    assert found == pytest.approx(best, rel=0.02)
    assert likelihood(logits, truth, found) <= likelihood(logits, truth, float(best)) + 1e-9
    assert found == pytest.approx(sharp, rel=0.15)


def test_a_temperature_changes_no_answer_and_mends_the_error() -> None:
    logits, truth = drawn(2_000, sharp=3.0)
    own, other = drawn(2_000, sharp=3.0, seed=1)
    plain, scaled = calibrated(logits, truth, 1.0), calibrated(logits, truth, temperature(own, other))
    assert scaled["ece"] < plain["ece"] / 2
    assert scaled["nll"] < plain["nll"]
    assert (softmax(logits, 3.0).argmax(1) == logits.argmax(1)).all()


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20)
)
def test_auroc_counts_pairs_with_ties_half(inside: list[int], outside: list[int]) -> None:
    wins = sum((a > b) + 0.5 * (a == b) for a in inside for b in outside)
    found = auroc(np.array(inside, float), np.array(outside, float))
    assert found == pytest.approx(wins / len(inside) / len(outside), abs=1e-12)
    labels = [1] * len(inside) + [0] * len(outside)
    assert found == pytest.approx(roc_auc_score(labels, inside + outside))


def test_scores_of_familiar_texts() -> None:
    logits = np.array([[5.0, 0.0], [0.5, 0.0], [500.0, 500.0]])
    assert confidence(logits) == pytest.approx([1 / (1 + math.exp(-5)), 1 / (1 + math.exp(-0.5)), 0.5])
    assert energy(logits)[:2] == pytest.approx([math.log(math.exp(5) + 1), math.log(math.exp(0.5) + 1)])
    assert energy(logits)[2] == pytest.approx(500 + math.log(2))
    with pytest.raises(ValueError, match="inside or outside is empty"):
        auroc(np.array([]), np.array([1.0]))


def test_the_confidence_of_each_text_is_kept() -> None:
    """So that another network's can be held against it, text by text: `error_of` gives the ECE again."""
    logits, truth = drawn()
    for by in (1.0, 2.0):
        found = calibrated(logits, truth, by)
        p = softmax(logits, by)
        kept = decode_scores(found["confidence"])
        np.testing.assert_allclose(kept, p.max(1), rtol=1e-6)
        assert error_of(kept, p.argmax(1) == truth) == pytest.approx(found["ece"], abs=1e-3)
