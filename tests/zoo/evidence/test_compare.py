from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.core.result import Machine, encode_classes
from zoo.evidence.cells import Cells, Key, Method, Run
from zoo.evidence.compare import compare, compare_groups, cost, reference_of
from zoo.evidence.intervals import (
    EXAMPLES,
    FOLDS,
    SEEDS_AND_EXAMPLES,
    SEEDS_FOLDS_AND_EXAMPLES,
    by_run_and_example,
)
from zoo.evidence.statistics import exact_mcnemar, holm

UEGR = Key("texthan", "imdb", Method("uegr"))


def test_one_seed_is_paired_by_example(result):
    # Dropout misses 0-9; UEGR misses 8-13: right alone on 0-7, wrong alone on 10-13.
    found = compare(Cells.of([result("dropout", wrong=range(10)), result("uegr", wrong=range(8, 14))]))
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
    comparison = compare(Cells.of(cells))[UEGR]
    assert comparison.differences == pytest.approx((0.02, 0.04, 0.06))
    assert comparison.estimate.method == SEEDS_AND_EXAMPLES
    assert comparison.p_sign_flip == 0.25
    assert comparison.unpaired == 0


def test_runs_without_a_partner_are_counted_and_left_out(result):
    cells = [result("dropout", wrong=range(10))]
    cells += [result("uegr", seed=s, wrong=range(5)) for s in range(3)]
    comparison = compare(Cells.of(cells))[UEGR]
    assert comparison.differences == (0.05,)
    assert comparison.unpaired == 2
    # The one run of a network stands for no other seed, unlike that of the baseline.
    cells = [*(result("dropout", seed=s, wrong=range(10)) for s in range(3)), result("uegr")]
    assert compare(Cells.of(cells))[UEGR].differences == (0.1,)


def test_other_test_texts_are_not_paired(result):
    cells = [result("dropout", wrong=range(10)), result("uegr", truth_shift=1)]
    assert compare(Cells.of(cells)) == {}
    cells = [result("dropout", n=100), result("uegr", n=50)]
    assert compare(Cells.of(cells)) == {}


def test_runs_on_different_texts_get_the_interval_over_runs(result):
    cells = [
        result(recipe, fold=fold, wrong=range(wrong + fold * (recipe == "uegr")), truth_shift=fold)
        for recipe, wrong in (("dropout", 10), ("uegr", 5))
        for fold in (0, 1)
    ]
    comparison = compare(Cells.of(cells))[UEGR]
    assert comparison.differences == pytest.approx((0.05, 0.04))
    assert comparison.estimate.method == FOLDS


def test_failed_cells_take_no_part(result, failed):
    broken = failed("uegr")
    cells = Cells.of([result("dropout"), broken])
    assert cells.groups[UEGR].failed == {Run(0): broken}
    assert compare(cells) == {}


def test_the_baseline_stands_against_every_arch_and_seed(result):
    cells = [
        result("dropout", arch=arch, seed=s, wrong=range(10))
        for arch in ("texthan", "bilstm")
        for s in (0, 1)
    ]
    found = compare(Cells.of([*cells, result("tfidf_svm", arch="-", wrong=range(4))]))
    assert set(found) == {Key(arch, "imdb", Method("tfidf_svm")) for arch in ("texthan", "bilstm")}
    comparison = found[Key("texthan", "imdb", Method("tfidf_svm"))]
    assert comparison.differences == pytest.approx((0.06, 0.06))
    assert comparison.p_holm is None


def test_the_baseline_is_paired_with_its_own_fold(result):
    """Its fold 1 misses other texts than its fold 0: a pairing across folds would show in the differences."""
    cells = [result("dropout", seed=s, fold=f, wrong=range(10)) for s in (0, 1) for f in (0, 1)]
    cells += [result("tfidf_svm", arch="-", fold=f, wrong=range(4 + 3 * f)) for f in (0, 1)]
    comparison = compare(Cells.of(cells))[Key("texthan", "imdb", Method("tfidf_svm"))]
    assert comparison.differences == pytest.approx((0.06, 0.03, 0.06, 0.03))


def test_holm_is_over_all_archs_and_corpora_with_several_seeds(result):
    cells = []
    for arch in ("texthan", "bilstm"):
        for corpus in ("imdb", "tnews"):
            for seed in (0, 1):
                cells.append(result("dropout", corpus, arch, seed, wrong=range(20 + seed)))
                cells.append(result("uegr", corpus, arch, seed, wrong=range(8 if corpus == "imdb" else 15)))
    cells += [result("dropout", "own"), result("uegr", "own", wrong=range(30))]
    found = compare(Cells.of(cells))
    several = [c for key, c in found.items() if key.corpus != "own"]
    expected = holm([c.estimate.p_value for c in several])
    assert [c.p_holm for c in several] == expected
    assert len(expected) == 4
    # p = 2e-9, and still no star: one run covers no other seed.
    assert found[UEGR._replace(corpus="own")].estimate.p_value < 1e-8
    assert found[UEGR._replace(corpus="own")].p_holm is None


def test_the_reference_is_the_one_of_the_same_patience(result):
    """A patience of 0 and none are one setting, and neither is held against a run that may stop early."""
    stopped = [result(r, seed=s, train={"patience": 2}) for r in ("dropout", "uegr") for s in (0, 1)]
    older = [result("dropout", seed=s) for s in (0, 1)]
    newer = [result("uegr", seed=s, train={"patience": 0}) for s in (0, 1)]
    cells = Cells.of([*stopped, *older, *newer])
    held = {
        key.method.variant: reference_of(cells, key, "dropout")
        for key in cells.groups
        if key.method.recipe == "uegr"
    }
    assert held == {
        "patience 2": Method("dropout", "patience 2"),
        "patience –": Method("dropout", "patience –"),
    }


def test_another_reference(result):
    cells = [result("standard", wrong=range(9)), result("dropout", wrong=range(5))]
    key = UEGR._replace(method=Method("dropout"))
    assert compare(Cells.of(cells), reference="standard")[key].differences == (0.04,)


def test_seeds_by_folds_are_crossed(result):
    cells = [
        result(recipe, seed=s, fold=f, wrong=range((10 if recipe == "dropout" else 6) + s + 2 * f * s))
        for recipe in ("dropout", "uegr")
        for s in (0, 1)
        for f in (0, 1, 2)
    ]
    (comparison,) = compare(Cells.of(cells)).values()
    assert comparison.estimate.method == SEEDS_FOLDS_AND_EXAMPLES
    assert (comparison.estimate.seeds, comparison.estimate.runs) == (2, 6)
    assert comparison.p_sign_flip is None  # its runs are not independent
    grid = np.zeros((2, 3, 100), dtype=np.int8)
    for s in (0, 1):
        for f in (0, 1, 2):
            grid[s, f, 6 + s + 2 * f * s : 10 + s + 2 * f * s] = 1
    assert comparison.estimate == by_run_and_example(grid)


def test_an_incomplete_grid_of_folds_is_cut_to_a_full_one(result):
    runs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    cells = [result("dropout", seed=s, fold=f, wrong=range(10)) for s, f in runs]
    cells += [result("uegr", seed=s, fold=f, wrong=range(s + f)) for s, f in runs]
    (comparison,) = compare(Cells.of(cells)).values()
    assert comparison.estimate.runs == 6
    assert comparison.unpaired == 2


def test_one_seed_over_folds_covers_no_other_seed(result):
    cells = [result("dropout", fold=f, wrong=range(20 + f)) for f in (0, 1)]
    cells += [result("uegr", fold=f) for f in (0, 1)]
    (comparison,) = compare(Cells.of(cells)).values()
    assert comparison.estimate.seeds == 1
    assert comparison.p_holm is None


def test_kinds_of_processor_are_never_paired(result):
    cells = [result("dropout", seed=s, wrong=range(10), processor="AVX2") for s in range(3)]
    cells += [result("uegr", seed=s, processor=kind) for s, kind in enumerate(("AVX2", "AVX512", None))]
    (comparison,) = compare(Cells.of(cells)).values()
    assert comparison.differences == (0.1,)
    assert (comparison.unpaired, comparison.elsewhere) == (2, 2)
    # Not recorded is a kind of its own; the baseline is paired with all.
    cells = [result("dropout", wrong=range(10)), result("uegr"), result("tfidf_svm", arch="-", processor="x")]
    assert len(compare(Cells.of(cells))) == 2
    other = result("uegr", machine=Machine("another GPU", "9.0", threads=1))
    mine = result("dropout", machine=Machine("a GPU", "9.0", threads=1))
    assert compare(Cells.of([other, mine])) == {}


def test_cost_is_the_geometric_mean_of_paired_ratios(result):
    def costs(plain, other):
        cells = Cells.of([*plain, *other])
        return cost(*(cells.get("texthan", "imdb", Method(recipe)) for recipe in ("uegr", "standard")))

    plain = [result("standard", seed=s, step=0.01 * (s + 1)) for s in (0, 1)]
    assert costs(plain, [result("uegr", seed=s, step=0.02 * (s + 1) ** 2) for s in (0, 1)]) == pytest.approx(
        np.sqrt(2 * 4)
    )
    assert costs(plain, [result("uegr", seed=5)]) is None
    assert costs([], [result("uegr")]) is None
    assert costs(plain, [result("uegr", machine=Machine("another GPU", threads=1))]) is None
    assert costs(plain, [result("uegr", processor="AVX512")]) is None
    assert costs(plain, [result("uegr", machine=Machine("cpu", threads=2))]) is None
    busy = {"step_cpu_seconds": 0.03, "step_seconds": 9.0}  # the machine did something else meanwhile
    assert costs(plain, [result("uegr", **busy)]) == pytest.approx(3)
    # No CPU time (CUDA): the wall time of both, which the fixture makes twice the CPU time.
    assert costs(plain, [result("uegr", step_cpu_seconds=None, step_seconds=0.06)]) == pytest.approx(3)


def test_attacked_texts_are_paired_where_their_classes_were_kept(result):
    def attacked(recipe, wrong, **changes):
        truth = np.arange(50) % 2
        answers = np.where(np.arange(50) < wrong, 1 - truth, truth)
        head = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 50}
        kept = {"truth": encode_classes(truth), "predictions": encode_classes(answers)}
        share = {"attacked_accuracy": 1 - wrong / 50}
        return result(recipe, measures=share, attacked={**head, **kept, **changes})

    def between(first, second):
        cells = Cells.of([first, second])
        groups = (cells.get("texthan", "imdb", Method(recipe)) for recipe in ("uegr", "dropout"))
        return compare_groups(*groups, measure="attacked_accuracy")

    comparison = between(attacked("uegr", 5), attacked("dropout", 20))
    assert comparison.differences == pytest.approx((0.3,))
    assert comparison.estimate.p_value == exact_mcnemar(15, 0)
    assert between(attacked("uegr", 5), attacked("dropout", 20, epsilon=0.2)) is None
    assert between(attacked("uegr", 5), result("dropout")) is None
    # An accuracy under an attack of which nothing is said: that of both, and that of one.
    unsaid = [replace(attacked(*one), attacked=None) for one in (("uegr", 5), ("dropout", 20))]
    assert between(*unsaid) is None
    assert between(attacked("uegr", 5), unsaid[1]) is None


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        ([0] * 8, "predicts one class only"),
        ([3] * 8, "predicts one class only"),
        ([0, 0, 0, 0, 0, 0, 1, 0], ""),  # 5 of 8 right, the largest class has 4
        ([0, 0, 0, 1, 0, 0, 1, 0], "is at chance"),  # 4 of 8
        ([1, 2, 3, 1, 0, 0, 0, 0], "is at chance"),
        ([0, 0, 0, 0, 1, 1, 2, 3], ""),
    ],
)
def test_a_network_without_skill_is_known(result, predictions, said):
    truth = encode_classes(np.array([0, 0, 0, 0, 1, 1, 1, 2]))
    cell = result("uegr", truth=truth, predictions=encode_classes(np.array(predictions)))
    assert cell.without_skill == said


def test_few_of_many_classes_are_no_skill_whatever_the_accuracy(result):
    """30 classes, the two largest with 60 % of the texts: naming these two alone gives 60 % right."""
    truth = np.concatenate([np.zeros(40, dtype=int), np.ones(20, dtype=int), np.arange(40) % 28 + 2])
    cell = result("uegr", truth=encode_classes(truth), predictions=encode_classes(truth * (truth < 2)))
    assert cell.without_skill == "predicts less than a tenth of the classes"
    three = encode_classes(truth * (truth < 3))
    assert result("uegr", truth=encode_classes(truth), predictions=three).without_skill == ""


def test_one_class_of_texts_says_nothing_of_skill(result):
    only = encode_classes(np.zeros(8, dtype=int))
    assert result("uegr", truth=only, predictions=only).without_skill == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"predictions": "no base64!"}, "no readable 'predictions'"),
        ({"truth": ""}, "no readable 'predictions'"),
    ],
)
def test_unreadable_predictions_are_named(result, changes, said):
    with pytest.raises(UserError, match=said):
        compare(Cells.of([result("dropout"), result("uegr", **changes)]))


def test_too_few_predictions_are_named(result):
    short = result("uegr", n=100, predictions=result("uegr", n=40).predictions)
    with pytest.raises(UserError, match="40 predictions for 100 texts"):
        compare(Cells.of([result("dropout"), short]))
