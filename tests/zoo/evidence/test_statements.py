"""The rules that turn intervals into verdicts, on made-up results whose outcome is known."""

from __future__ import annotations

import pytest

from zoo.evidence.intervals import SEEDS_AND_EXAMPLES, Estimate, pool
from zoo.evidence.paper import paper
from zoo.evidence.parts import Part
from zoo.evidence.statements import (
    ALL_ARCHS,
    ATTACKED,
    NOT_MEASURED,
    NOT_RESOLVED,
    NOT_SUPPORTED,
    STATEMENTS,
    SUPPORTED,
    Statement,
    findings,
    verdict,
)
from zoo.evidence.statistics import holm
from zoo.report import verdicts as report
from zoo.report.blocks import markdown

HELPS = Statement("uegr", "dropout", "the whole method helps")
ROBUST = Statement("uegr", "dropout", "the whole method makes robust", ATTACKED)
CORPORA = ("imdb", "ag_news", "tnews", "iflytek")


def estimate(low: float, high: float, seeds: int = 3) -> Estimate:
    parts = (Part(1e-4, 2), Part(), Part(1e-4))
    return Estimate((low + high) / 2, low, high, 0.5, *parts, 0.0, seeds, 3, SEEDS_AND_EXAMPLES)


def verdicts_text(found) -> str:
    return markdown(report.verdicts(found))


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (estimate(0.001, 0.03), SUPPORTED),
        (estimate(-0.03, -0.001), NOT_SUPPORTED),
        (estimate(-0.001, 0.03), NOT_RESOLVED),
        (estimate(0.0, 0.03), NOT_RESOLVED),
        (estimate(-0.03, 0.0), NOT_RESOLVED),
        (estimate(0.0, 0.0), NOT_RESOLVED),
        (estimate(0.001, 0.03, seeds=1), NOT_RESOLVED),
        (estimate(-0.03, -0.001, seeds=1), NOT_RESOLVED),
        (None, NOT_MEASURED),
    ],
)
def test_the_rule(interval: Estimate | None, expected: str):
    assert verdict(interval) == expected


@pytest.fixture
def grid(result):
    """Results with so many wrong texts (of 400) a recipe, and the same number more for each further seed."""

    def make(wrong: dict[str, int], archs=("bilstm", "textcnn"), seeds=(0, 1), corpora=CORPORA, **changes):
        return [
            result(recipe, corpus, arch, seed, n=400, wrong=range(w + seed), **changes)
            for recipe, w in wrong.items()
            for corpus in corpora
            for arch in archs
            for seed in seeds
        ]

    return make


def verdicts(results, statement=HELPS) -> dict[str, str]:
    return {finding.arch: finding.verdict for finding in findings(results, [statement])}


def test_a_clear_difference_is_seen_in_either_direction(grid):
    archs = ("bilstm", "textcnn", ALL_ARCHS)
    assert verdicts(grid({"dropout": 40, "uegr": 10})) == dict.fromkeys(archs, SUPPORTED)
    assert verdicts(grid({"dropout": 10, "uegr": 40})) == dict.fromkeys(archs, NOT_SUPPORTED)
    assert verdicts(grid({"dropout": 10, "uegr": 10})) == dict.fromkeys(archs, NOT_RESOLVED)


def test_one_seed_resolves_nothing(grid):
    results = grid({"dropout": 200, "uegr": 0}, seeds=[3])
    assert set(verdicts(results).values()) == {NOT_RESOLVED}
    text = verdicts_text(findings(results, [HELPS]))
    assert "] one run" in text
    assert "Of 3 verdicts: 3 not resolved." in text


def test_models_that_disagree_give_no_pooled_verdict(grid):
    results = grid({"dropout": 10, "uegr": 40}, archs=["bilstm"])
    results += grid({"dropout": 40, "uegr": 10}, archs=["textcnn"])
    assert verdicts(results) == {
        "bilstm": NOT_SUPPORTED,
        "textcnn": SUPPORTED,
        ALL_ARCHS: NOT_RESOLVED,
    }


def test_models_are_pooled_as_measured_on_the_same_texts(grid):
    """UEGR is right on 50 texts more in every run: what the choice of texts adds does not average out."""
    found = findings(grid({"dropout": 60, "uegr": 10}, seeds=(0, 1, 2)), [HELPS])
    *own, pooled = (finding.estimate for finding in found)
    assert pooled == pool(own)
    assert pooled.examples_part.variance == pytest.approx(own[0].examples_part.variance)


def test_one_model_needs_no_pooling(grid):
    assert verdicts(grid({"dropout": 40, "uegr": 10}, archs=["texthan"])) == {"texthan": SUPPORTED}


def test_a_missing_corpus_leaves_the_average_unmeasured(grid, failed):
    lost = ("bilstm", "tnews", "uegr")
    results = [
        failed(r.cell.recipe, r.cell.corpus, r.cell.arch, r.cell.seed)
        if (r.cell.arch, r.cell.corpus, r.cell.recipe) == lost
        else r
        for r in grid({"dropout": 40, "uegr": 10})
    ]
    assert verdicts(results) == {"bilstm": NOT_MEASURED, "textcnn": SUPPORTED, ALL_ARCHS: NOT_MEASURED}


def test_kinds_of_processor_give_no_verdict_together(grid):
    results = grid({"dropout": 40}, processor="AVX2") + grid({"uegr": 10}, processor="AVX512")
    assert verdicts(results) == {}
    results += grid({"uegr": 10}, seeds=(2, 3), processor="AVX2")
    assert verdicts(results) == {}  # another seed is no partner either


def test_a_recipe_under_two_settings_has_no_statement(grid):
    results = grid({"dropout": 40, "uegr": 10}) + grid({"uegr": 10}, alpha=4)
    assert verdicts(results) == {}


def test_statements_about_recipes_that_were_not_run_are_left_out(grid):
    results = grid({"dropout": 40, "at": 10})
    assert {finding.statement.text for finding in findings(results)} == {"AT is above Dropout"}
    assert findings([]) == []
    assert "No statement can be tested" in verdicts_text([])


def test_the_papers_difference_is_the_mean_of_its_cells(grid):
    results = grid({"dropout": 40, "uegr": 10})
    found = {finding.arch: finding.paper for finding in findings(results, [HELPS])}
    cells = {
        arch: sum(paper()[arch, "uegr", c][0] - paper()[arch, "dropout", c][0] for c in CORPORA) / 400
        for arch in ("bilstm", "textcnn")
    }
    assert found["bilstm"] == pytest.approx(cells["bilstm"])
    assert found["bilstm"] == pytest.approx(0.017025)
    assert found[ALL_ARCHS] == pytest.approx(sum(cells.values()) / 2)
    assert "+7.50 [" in (text := verdicts_text(findings(results, [HELPS])))
    assert "(+1.70, outside)" in text
    (own,) = findings(grid({"dropout": 4, "uegr": 1}, ["bilstm"], corpora=["imdb", "bbc_news"]), [HELPS])
    assert own.paper is None


def attacked(accuracy: float, rows: int = 1000, **changes: object) -> dict[str, object]:
    head = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms"}
    return {"attacked": {**head, "rows": rows, **changes}, "measures": {"attacked_accuracy": accuracy}}


def under_attack(result, dropout: float, uegr: float, **of_uegr):
    return [
        result(
            recipe,
            corpus,
            arch,
            seed,
            **attacked(accuracy + seed / 100, **(of_uegr if recipe == "uegr" else {})),
        )
        for recipe, accuracy in (("dropout", dropout), ("uegr", uegr))
        for corpus in CORPORA
        for arch in ("bilstm", "textcnn")
        for seed in (0, 1)
    ]


def test_robustness_is_judged_by_accuracy_under_attack(result):
    archs = ("bilstm", "textcnn", ALL_ARCHS)
    assert verdicts(under_attack(result, 0.2, 0.5), ROBUST) == dict.fromkeys(archs, SUPPORTED)
    assert verdicts(under_attack(result, 0.5, 0.2), ROBUST) == dict.fromkeys(archs, NOT_SUPPORTED)
    assert verdicts(under_attack(result, 0.30, 0.31), ROBUST) == dict.fromkeys(archs, NOT_RESOLVED)
    # The clean accuracies of all these are equal, and the paper has no such numbers.
    assert verdicts(under_attack(result, 0.2, 0.5)) == dict.fromkeys(archs, NOT_RESOLVED)
    assert {f.paper for f in findings(under_attack(result, 0.2, 0.5), [ROBUST])} == {None}


def test_runs_that_were_attacked_otherwise_or_not_are_not_compared(result, grid):
    mixed = under_attack(result, 0.2, 0.5, epsilon=0.05)
    assert verdicts(mixed, ROBUST) == {}
    assert verdicts(grid({"dropout": 40, "uegr": 10}), ROBUST) == {}


def test_holm_is_over_all_findings_with_several_runs(grid):
    found = findings(grid({"dropout": 30, "at": 27, "r_drop": 36, "uegr": 10}))
    assert len(found) == 9
    assert [f.p_holm for f in found] == holm([f.estimate.p_value for f in found])
    assert {f.p_holm for f in findings(grid({"dropout": 30, "uegr": 10}, seeds=[0]))} == {None}


def test_every_statement_of_the_table_reads_well_and_is_of_table_iv_or_a_control():
    assert len({statement.text for statement in STATEMENTS}) == len(STATEMENTS)
    for statement in STATEMENTS:
        pair = {statement.recipe, statement.reference}
        in_paper = all(("bilstm", recipe, "imdb") in paper() for recipe in pair)
        assert in_paper != statement.control
    assert {s.text for s in STATEMENTS} >= {
        "UEGR is above Dropout",
        "UEGR is above R-AT-SU",
        "R-AT-SU is above R-AT",
        "AT is above Dropout",
        "R-Drop is above Dropout",
        "UEGR is above Dropout under FGSM",
    }


def test_verdicts_are_told_apart_by_kind(grid, result):
    text = verdicts_text(findings(grid({"dropout": 40, "uegr": 10, "uegr_no_js": 12})))
    assert "### Accuracy" in text
    assert "### Controls" in text
    assert "### Robustness" not in text
    assert "| UEGR is above Dropout: the whole method helps | supported | supported | supported |" in text
    assert "### Robustness" in verdicts_text(findings(under_attack(result, 0.2, 0.5)))


def test_the_first_cells_of_another_model_take_no_verdict_away(grid, result):
    """A grid that is still running: one network, then one seed of it."""
    whole = grid({"dropout": 60, "uegr": 10}, archs=["bilstm"], seeds=(0, 1, 2))
    (alone,) = findings(whole, [HELPS])
    begun = [result("dropout", "imdb", "textcnn", 0, n=400, wrong=range(60))]
    begun.append(result("uegr", "imdb", "textcnn", 0, n=400, wrong=range(10)))
    for more in (begun[:1], begun):
        *_, pooled = findings([*whole, *more], [HELPS])
        assert (pooled.arch, pooled.over) == (ALL_ARCHS, ("bilstm",))
        assert pooled.estimate.difference == pytest.approx(alone.estimate.difference)
        assert (pooled.estimate.low, pooled.estimate.high) == pytest.approx(
            (alone.estimate.low, alone.estimate.high)
        )


def test_where_two_models_have_several_seeds_one_of_a_single_seed_is_not_pooled(grid, result):
    several = grid({"dropout": 60, "uegr": 10}, seeds=(0, 1, 2))
    single = [
        result(r, "imdb", "texthan", 0, n=400, wrong=range(w)) for r, w in (("dropout", 10), ("uegr", 60))
    ]
    *_, pooled = findings([*several, *single], [HELPS])
    assert pooled.over == ("bilstm", "textcnn")
    assert pooled.estimate == findings(several, [HELPS])[-1].estimate
    text = verdicts_text(findings([*several, *single]))
    assert "| Statement | BiLSTM | TextCNN | TextHAN | BiLSTM + TextCNN |" in text
    assert "all models" in verdicts_text(findings(several))
