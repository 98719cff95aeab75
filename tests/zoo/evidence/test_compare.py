from __future__ import annotations

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.evidence.compare import compare, cost, group
from zoo.evidence.intervals import EXAMPLES, RUNS, RUNS_AND_EXAMPLES
from zoo.evidence.statistics import exact_mcnemar, holm

UEGR = ("texthan", "imdb", "uegr")


def test_one_seed_is_paired_by_example(result):
    # Dropout misses 0-9; UEGR misses 8-13: right alone on 0-7, wrong alone on 10-13.
    found = compare(group([result("dropout", wrong=range(10)), result("uegr", wrong=range(8, 14))]))
    comparison = found[UEGR]
    assert comparison.differences == (0.04,)
    assert comparison.estimate.difference == pytest.approx(0.04)
    assert comparison.estimate.method == EXAMPLES
    assert comparison.estimate.p_value == exact_mcnemar(8, 4)
    assert comparison.p_sign_flip == 1.0
    assert comparison.improvement == 1.0
    assert list(found) == [UEGR]


def test_several_seeds_are_paired_by_seed_whatever_their_order(result):
    cells = [result("dropout", seed=s, wrong=range(10 + s)) for s in range(3)]
    cells += [result("uegr", seed=s, wrong=range(8 - s)) for s in (2, 0, 1)]
    comparison = compare(group(cells))[UEGR]
    assert comparison.differences == pytest.approx((0.02, 0.04, 0.06))
    assert comparison.estimate.method == RUNS_AND_EXAMPLES
    assert comparison.p_sign_flip == 0.25
    assert comparison.unpaired == 0


def test_runs_without_a_partner_are_counted_and_left_out(result):
    cells = [result("dropout", wrong=range(10))]
    cells += [result("uegr", seed=s, wrong=range(5)) for s in range(3)]
    comparison = compare(group(cells))[UEGR]
    assert comparison.differences == (0.05,)
    assert comparison.unpaired == 2
    # The one run of a network stands for no other seed, unlike that of the baseline.
    cells = [*(result("dropout", seed=s, wrong=range(10)) for s in range(3)), result("uegr")]
    assert compare(group(cells))[UEGR].differences == (0.1,)


def test_other_test_texts_are_not_paired(result):
    cells = [result("dropout", wrong=range(10)), result("uegr", truth_shift=1)]
    assert compare(group(cells)) == {}
    cells = [result("dropout", n=100), result("uegr", n=50)]
    assert compare(group(cells)) == {}


def test_runs_on_different_texts_get_the_interval_over_runs(result):
    cells = [
        result(recipe, fold=fold, wrong=range(wrong + fold * (recipe == "uegr")), truth_shift=fold)
        for recipe, wrong in (("dropout", 10), ("uegr", 5))
        for fold in (0, 1)
    ]
    comparison = compare(group(cells))[UEGR]
    assert comparison.differences == pytest.approx((0.05, 0.04))
    assert comparison.estimate.method == RUNS


def test_failed_cells_take_no_part(result):
    failed = result("uegr", status="failed", reason="NaN")
    groups = group([result("dropout"), failed])
    assert groups[UEGR].failed == {(0, None): failed}
    assert compare(groups) == {}


def test_the_baseline_stands_against_every_arch_and_seed(result):
    cells = [
        result("dropout", arch=arch, seed=s, wrong=range(10))
        for arch in ("texthan", "bilstm")
        for s in (0, 1)
    ]
    found = compare(group([*cells, result("tfidf_svm", arch="-", wrong=range(4))]))
    assert set(found) == {("texthan", "imdb", "tfidf_svm"), ("bilstm", "imdb", "tfidf_svm")}
    comparison = found["texthan", "imdb", "tfidf_svm"]
    assert comparison.differences == pytest.approx((0.06, 0.06))
    assert comparison.p_holm is None


def test_holm_is_over_all_archs_and_corpora(result):
    cells = []
    for arch in ("texthan", "bilstm"):
        for corpus in ("imdb", "tnews"):
            cells.append(result("dropout", corpus, arch, wrong=range(20)))
            cells.append(result("uegr", corpus, arch, wrong=range(8 if corpus == "imdb" else 15)))
    found = compare(group(cells))
    expected = holm([c.estimate.p_value for c in found.values()])
    assert [c.p_holm for c in found.values()] == expected
    assert len(expected) == 4


def test_another_reference(result):
    cells = [result("standard", wrong=range(9)), result("dropout", wrong=range(5))]
    assert compare(group(cells), reference="standard")["texthan", "imdb", "dropout"].differences == (0.04,)


def test_cost_is_the_geometric_mean_of_paired_ratios(result):
    def costs(plain, other):
        found = group([*plain, *other])
        return cost(found["texthan", "imdb", "uegr"], found.get(("texthan", "imdb", "standard")))

    plain = [result("standard", seed=s, step=0.01 * (s + 1)) for s in (0, 1)]
    assert costs(plain, [result("uegr", seed=s, step=0.02 * (s + 1) ** 2) for s in (0, 1)]) == pytest.approx(
        np.sqrt(2 * 4)
    )
    assert costs(plain, [result("uegr", seed=5)]) is None
    assert costs([], [result("uegr")]) is None
    assert costs(plain, [result("uegr", device="another GPU")]) is None
    assert costs(plain, [result("uegr", threads=2)]) is None
    # No CPU time (CUDA): the wall time of both, which the fixture makes twice the CPU time.
    assert costs(plain, [result("uegr", step_cpu_seconds=None, step_seconds=0.06)]) == pytest.approx(3)


def test_two_results_of_one_cell_are_an_error_that_names_both(result):
    one, other = result("uegr"), result("uegr", id="imdb-texthan-uegr-s0-other")
    with pytest.raises(UserError, match="different settings") as caught:
        group([one, other])
    assert one["id"] in str(caught.value)
    assert other["id"] in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"predictions": "no base64!"}, "no readable 'predictions'"),
        ({"truth": None}, "no readable 'predictions'"),
        ({"n": 40, "truth": None}, "no readable"),
    ],
)
def test_unreadable_predictions_are_named(result, changes, said):
    with pytest.raises(UserError, match=said):
        compare(group([result("dropout"), result("uegr", **changes)]))


def test_too_few_predictions_are_named(result):
    short = result("uegr", n=100, predictions=result("uegr", n=40)["predictions"])
    with pytest.raises(UserError, match="40 predictions for 100 texts"):
        compare(group([result("dropout"), short]))
