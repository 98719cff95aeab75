"""What must be read with a table, and what only says how a number came about."""

from __future__ import annotations

import pytest

from zoo.report.footnotes import footnotes, shared_and_own
from zoo.report.tables import build_tables


def notes_of(results, glance: bool | None = None, **options) -> str:
    (table,) = build_tables(results, **options)
    return "\n".join(note.text for note in footnotes(table) if glance is None or note.glance == glance)


def test_few_are_needed_at_a_glance(small):
    assert notes_of(small, glance=True) == (
        "One run a recipe, so no spread.\n"
        "Intervals over the test texts only: one run says nothing about another seed and earns no star.\n"
        "Failed: R-Drop on IMDB, seed 0: the loss is NaN in epoch 1."
    )
    assert notes_of(small, glance=False) == (
        "Differences are paired by seed (same initial weights, same order of batches) and by test example; "
        "how the intervals are made: zoo/evidence/intervals.py; how often they cover: "
        "python -m zoo.report.coverage.\n"
        "AVG is the mean of the columns, each counting the same; its spread and its interval take them as "
        "independent.\n"
        "Test macro-F1: Mean of the classes' F1.\n"
        "Cost: time of a training step in multiples of a step of w/o Dropout (CPU time; wall time on CUDA), "
        "geometric mean over corpora and runs.\n"
        "TF-IDF + linear SVM: one run against all seeds.\n"
        "IMDB: 1,000 training and 100 test texts.\n"
        "AG News: 1,000 training and 100 test texts; partial: 45,746 of 120,000 training rows."
    )


def test_what_is_needed_comes_first(small):
    (table,) = build_tables(small)
    glances = [note.glance for note in footnotes(table)]
    assert glances == sorted(glances, reverse=True)
    assert len(set(glances)) == 2


def test_seeds_of_one_fold_are_runs_of_a_fold(result):
    cells = [result(r, seed=s, fold=0) for r in ("dropout", "uegr") for s in (0, 1)]
    assert "over 2 runs (seeds and folds)." in notes_of(cells, glance=True)


def test_a_baseline_that_names_one_class_is_no_network_without_skill(result):
    cells = [result(r, wrong=range(3)) for r in ("dropout", "uegr")]
    half = result("tfidf_svm", "imdb", "-", wrong=range(1, 100, 2))
    assert "naming the largest class" not in notes_of([*cells, half])
    assert "naming the largest class" in notes_of([*cells, result("at", wrong=range(1, 100, 2))])


def test_a_run_that_was_made_elsewhere_is_named_once(result):
    cells = [result(r, seed=s, processor="AVX2") for r in ("dropout", "uegr") for s in (0, 1)]
    text = notes_of([*cells[:3], result("uegr", seed=1, processor="AVX512")], glance=True)
    assert "1 run not compared: Dropout ran on another kind of processor" in text
    assert "count in a mean but in no difference" not in text


def test_shared_notes_stand_once_for_all_models(result):
    cells = [result(r, arch=a, seed=s) for r in ("dropout", "uegr") for a in "ab" for s in (0, 1)]
    cells.append(result("at", arch="b", wrong=range(50, 100)))
    shared, own = shared_and_own(build_tables(cells))
    texts = [note.text for note in shared]
    assert "IMDB: 1,000 training and 100 test texts." in texts
    assert not {note.text for notes in own for note in notes} & set(texts)
    assert own[0] != own[1]
    # One table has no one to share with: its notes stand below it.
    alone, (notes,) = shared_and_own(build_tables(cells[:1]))
    assert (alone, bool(notes)) == ([], True)


def test_what_the_intervals_are_over(result):
    cells = [result(r, seed=s, fold=f) for r in ("dropout", "uegr") for s in (0, 1) for f in (0, 1)]
    text = notes_of(cells, glance=True)
    assert "over seeds, folds and examples;" in text
    assert "Mean ± standard deviation over 4 runs (seeds and folds)." in text
    assert "sign-flip" not in notes_of(cells)
    cells = [result(r, seed=s) for r in ("dropout", "uegr") for s in (0, 1)]
    assert "over seeds and examples; * p < 0.05 after Holm's correction for all 1 comparisons" in notes_of(
        cells
    )
    assert "over 2 runs cannot go below p = 0.5" in notes_of(cells)
    family = (
        "The family of Holm's correction: every recipe against Dropout, on each corpus and model with several"
    )
    assert family in notes_of(cells)
    assert "family" not in notes_of(cells[::2])


def test_kinds_of_processor_are_told_apart(result):
    cells = [result("dropout", seed=s, processor="AVX512") for s in (0, 1)]
    cells += [result("uegr", processor="AVX512"), result("uegr", seed=1, processor="AVX2")]
    text = notes_of(cells, glance=True)
    assert "Made on several kinds of processor: cpu, AVX2 (1 result), cpu, AVX512 (3 results)." in text
    assert "1 run not compared: Dropout ran on another kind of processor" in text
    # The baseline has no training that a processor's arithmetic could change.
    assert "processor" not in notes_of([*cells[:3], result("tfidf_svm", arch="-", processor="AVX2")])


def test_versions_of_the_program_are_told_apart(result):
    cells = [result("dropout"), result("uegr", made_by={"version": "2.0", "commit": None})]
    text = notes_of(cells, glance=True)
    said = "Made by several versions of this program: 1.0 at commit abc1234; 2.0 at commit not recorded."
    assert said in text
    assert "several versions" not in notes_of(cells[:1])
    other = [result("dropout"), result("uegr", made_by={"version": "1.0", "commit": "2"})]
    assert "versions of this program: 1.0 at commits 2, abc1234." in notes_of(other, glance=True)


def test_mixed_settings_are_named_but_not_the_recipes_own(result):
    cells = [result("dropout"), result("uegr", alpha=4)]
    assert "Caution" not in notes_of(cells)
    cells = [result("dropout"), result("uegr", train={"epochs": 9}), result("uegr", "tnews")]
    assert "Caution, IMDB: not all cells of a column share the settings" in notes_of(cells, glance=True)


def test_runs_without_partner_are_counted_in_one_line(result):
    cells = [result("dropout"), *(result("uegr", seed=s) for s in (0, 1)), result("at"), result("at", seed=2)]
    text = notes_of(cells, glance=True)
    assert "2 runs count in a mean but in no difference" in text
    assert "AT on IMDB (1), UEGR on IMDB (1)." in text


def test_many_failures_are_counted_and_all_of_them_named_behind(result, failed):
    cells = [result("dropout"), *(failed("uegr", seed=s, reason=f"reason {s}.") for s in range(5))]
    glance = notes_of(cells, glance=True)
    assert "Failed: UEGR on IMDB, seed 2: reason 2." in glance
    assert "reason 3" not in glance
    assert "Failed: 5 runs in all." in glance
    assert "reason 4" in notes_of(cells)


def test_networks_without_skill_are_named(result):
    cells = [result("dropout", corpus, wrong=range(0, 100, 2)) for corpus in ("a", "b", "c", "d")]
    cells.append(result("dropout", "a", seed=1, wrong=range(60)))
    text = notes_of(cells, glance=True)
    assert text.startswith("Mean ±")
    assert "† Little more than naming the largest classes: " in text
    assert text.count("predicts one class only (1 run)") + text.count("is at chance (1 run)") == 3
    assert "; and 2 more." in text


def test_a_wrong_average_of_the_paper_is_named_below_the_table(result):
    corpora = ("imdb", "ag_news", "tnews", "iflytek")
    cells = [result(r, c, "textcnn") for r in ("dropout", "uegr") for c in corpora]
    wrong = (
        "The paper prints 71.51 as the average of Dropout; the mean of the four cells is 71.71, shown here."
    )
    assert wrong in notes_of(cells, paper=True)
    (table,) = build_tables(cells, paper=True)
    assert table.rows[0].average.paper == pytest.approx(0.7171)
    part = [cell for cell in cells if cell.cell.corpus != "imdb"]
    assert "The paper prints" not in notes_of(part, paper=True)
    demo = notes_of([result("dropout", "bbc_news")], paper=True)
    assert "The paper has no numbers for TextHAN on these corpora." in demo


def attacked(value: float, rows: int = 100, epsilon: float = 0.1) -> dict[str, object]:
    how = {"attack": "fgsm", "epsilon": epsilon, "epsilon_unit": "rms", "rows": rows}
    return {"attacked": how, "measures": {"attacked_accuracy": value}}


def test_the_attack_is_described(result):
    cells = [result("dropout", **attacked(0.2)), result("uegr", "tnews", **attacked(0.3, 1000))]
    cells.append(result("uegr"))
    assert (
        "Test accuracy under FGSM: on 100 to 1,000 test texts, the same in all runs; epsilon 0.1 of the "
        "word vectors' RMS, the same for all recipes whatever they trained with."
    ) in notes_of(cells)
    assert "1 of the 3 runs have no such number." in notes_of(cells)
    assert "not all runs were attacked" not in notes_of(cells)
    cells.append(result("dropout", seed=2, **attacked(0.2, epsilon=0.2)))
    assert "Caution: not all runs were attacked with the same epsilon" in notes_of(cells, glance=True)
