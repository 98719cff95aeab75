"""The values of the tables: worked out by hand, and the same in CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from zoo.core.names import RECIPES, in_order
from zoo.evidence.intervals import average
from zoo.evidence.paper import paper
from zoo.evidence.statistics import holm
from zoo.report.blocks import csv_text
from zoo.report.tables import as_dict, build_tables, long_form


def rows_of(table):
    return {row.method.name: row for row in table.rows}


def test_order_of_rows_and_columns(result):
    recipes = [*reversed(RECIPES), "mine", "tfidf_svm"]
    cells = [
        result(r, c, "-" if r == "tfidf_svm" else "texthan")
        for r in recipes
        for c in ("own", "tnews", "imdb")
    ]
    (table,) = build_tables(cells)
    assert [row.method.recipe for row in table.rows] == [*RECIPES, "mine", "tfidf_svm"]
    assert table.corpora == ("imdb", "tnews", "own")
    assert in_order(["han", "bilstm", "x"]) == ("bilstm", "han", "x")


def test_one_table_an_arch_and_the_baseline_in_each(result):
    cells = [result(r, arch=a) for r in ("dropout", "uegr") for a in ("textcnn", "bilstm")]
    tables = build_tables([*cells, result("tfidf_svm", arch="-")])
    assert [table.name for table in tables] == ["BiLSTM", "TextCNN"]
    assert all(table.rows[-1].scores[0].main for table in tables)
    (alone,) = build_tables([result("tfidf_svm", arch="-")])
    assert alone.rows[0].method.name == "TF-IDF + linear SVM"
    assert build_tables([]) == ()


def test_wanted_rows_and_columns_appear_before_their_results(result):
    cells = [result("dropout"), result("at")]
    (table,) = build_tables(cells, recipes=["uegr", "dropout"], corpora=["tnews", "imdb"])
    assert table.corpora == ("imdb", "tnews")
    assert [row.method.recipe for row in table.rows] == ["dropout", "uegr"]
    assert table.rows[1].scores[0].main is None


def test_two_variants_of_a_recipe_are_two_rows(result):
    """The same corpus, model, recipe and seed under two settings: named by what differs."""
    cells = [
        result("dropout", wrong=range(10)),
        result("uegr", alpha=0.5),
        result("uegr", alpha=4, wrong=[1]),
    ]
    (table,) = build_tables(cells)
    scores = {name: row.scores[0] for name, row in rows_of(table).items()}
    assert list(scores) == ["Dropout", "UEGR, alpha 0.5", "UEGR, alpha 4"]
    assert scores["UEGR, alpha 4"].estimate.difference == pytest.approx(0.09)
    assert scores["UEGR, alpha 0.5"].estimate.difference == pytest.approx(0.1)
    assert [row["variant"] for row in long_form([table])] == ["", "alpha 0.5", "alpha 4"]


def test_averages_by_hand(result):
    """Three seeds on IMDB, two on TNEWS: each counts the same, and the spread is that of their mean."""
    wrong = {"imdb": (10, 12, 17), "tnews": (20, 26)}
    cells = [
        result("dropout", corpus, seed=s, wrong=range(n), measures={"macro_f1": n / 100})
        for corpus, own in wrong.items()
        for s, n in enumerate(own)
    ]
    (table,) = build_tables(cells)
    score = table.rows[0].average
    assert score.main.mean == pytest.approx((0.87 + 0.77) / 2)
    sds = [np.std(own, ddof=1) / 100 for own in wrong.values()]
    assert score.main.sd == pytest.approx(math.hypot(*sds) / 2)
    assert score.main.n == 2
    assert score.values["macro_f1"].mean == pytest.approx((0.13 + 0.23) / 2)


def test_the_average_difference_takes_the_degrees_of_freedom_of_both(result):
    cells = [
        result(recipe, corpus, seed=s, wrong=range(base + (recipe == "dropout") * (5 + 2 * s)))
        for recipe in ("dropout", "uegr")
        for corpus, base, seeds in (("imdb", 1, 4), ("tnews", 3, 2))
        for s in range(seeds)
    ]
    (table,) = build_tables(cells)
    row = rows_of(table)["UEGR"]
    first, second = (score.estimate for score in row.scores)
    assert row.average.estimate == average([first, second])
    parts = [e.seeds_part.variance for e in (first, second)]
    parts[parts.index(max(parts))] *= 4  # the larger spread is doubted
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 1)
    assert row.average.estimate.seeds_part.degrees == pytest.approx(degrees)


def test_an_average_has_no_more_than_its_columns_have(result, failed):
    """One run on TNEWS has no spread, and AT is not there: neither is an average over IMDB alone."""
    cells = [result(r, "imdb", seed=s) for r in ("dropout", "uegr", "at") for s in (0, 1)]
    cells += [result(r, "tnews", wrong=[s]) for s, r in enumerate(("dropout", "uegr"))]
    (table,) = build_tables([*cells, failed("at", "tnews")])
    rows = rows_of(table)
    assert [score.main.sd is None for score in table.places(rows["UEGR"])] == [False, True, True]
    assert [score.estimate is None for score in table.places(rows["UEGR"])] == [False, False, False]
    assert [score.estimate is None for score in table.places(rows["AT"])] == [False, True, True]
    assert rows["AT"].average.main is None


def test_a_table_has_the_comparisons_of_its_model_and_counts_those_of_all(result):
    """Holm's correction is for the whole report; a run of the other model without partner is not its own."""
    cells = [
        result(r, c, a, s, n=400, wrong=range(20 * (r == "dropout") + s))
        for r in ("dropout", "uegr", "at")
        for c in ("imdb", "tnews")
        for a in ("bilstm", "textcnn")
        for s in (0, 1)
    ]
    cells += [result("uegr", "imdb", "bilstm", seed=9, n=400), result("tfidf_svm", "imdb", "-", n=400)]
    tables = build_tables(cells)
    for table in tables:
        assert {key.arch for key in table.comparisons} == {table.arch}
        assert table.claims == 2 * 2 * 2
        (alone,) = build_tables(r for r in cells if r.cell.arch in (table.arch, "-"))
        assert [row.scores[0].estimate for row in alone.rows] == [
            row.scores[0].estimate for row in table.rows
        ]
    found = [row for row in long_form(tables) if row["p_holm"] is not None]
    assert [row["p_holm"] for row in found] == holm([row["p"] for row in found])
    assert len(found) == 8
    assert [row["p_holm"] for row in found] != [row["p"] for row in found]


def test_the_cost_of_an_average_is_geometric(result):
    cells = [result("standard", corpus, step=1.0) for corpus in ("imdb", "tnews")]
    cells += [result("uegr", "imdb", step=2.0), result("uegr", "tnews", step=8.0)]
    (table,) = build_tables(cells)
    assert rows_of(table)["UEGR"].average.cost == pytest.approx(4.0)


def test_a_missing_corpus_leaves_no_average(small):
    (table,) = build_tables(small)
    row = rows_of(table)["R-Drop"]
    assert row.scores[0].failed == 1
    assert row.average.values == {}
    assert row.average.estimate is None


def test_the_paper_beside(result):
    (table,) = build_tables([result("dropout"), result("uegr")], paper=True)
    assert table.rows[1].scores[0].paper == pytest.approx(0.9186)
    assert table.rows[1].scores[0].paper_difference == pytest.approx(0.0115)
    assert table.rows[0].scores[0].paper_difference is None


def test_csv_and_json_hold_the_same_numbers(small):
    tables = build_tables(small)
    rows = list(csv.DictReader(io.StringIO(csv_text(long_form(tables)))))
    assert [(r["recipe"], r["corpus"]) for r in rows] == [
        (recipe, corpus)
        for recipe in ("standard", "dropout", "r_drop", "uegr", "tfidf_svm")
        for corpus in ("imdb", "ag_news", "AVG")
    ]
    by_place = {(r["recipe"], r["corpus"]): r for r in rows}
    assert by_place["uegr", "imdb"]["difference"] == "0.05"
    assert by_place["uegr", "AVG"]["difference"] == "0.01"
    assert by_place["r_drop", "imdb"]["status"] == "failed"
    assert by_place["r_drop", "ag_news"]["status"] == "missing"
    assert by_place["r_drop", "AVG"]["accuracy"] == ""
    (table,) = json.loads(json.dumps([as_dict(table, ["note"]) for table in tables], allow_nan=False))
    assert table["corpora"] == ["imdb", "ag_news"]
    assert table["footnotes"] == ["note"]
    nested = {row["recipe"]: row["scores"] for row in table["rows"]}
    for row in long_form(tables):
        expected = {k: v for k, v in row.items() if k not in ("arch", "recipe", "variant", "corpus")}
        assert nested[row["recipe"]][row["corpus"]] == expected


def test_tables_do_not_depend_on_the_order_of_results(small):
    assert long_form(build_tables(small)) == long_form(build_tables(small[::-1]))


def test_the_papers_table_is_complete_and_its_wrong_averages_are_named():
    table = paper()
    assert len(table) == 3 * 7 * 5
    for (arch, recipe, corpus), (printed, note) in table.items():
        if corpus != "AVG":
            continue
        cells = [table[arch, recipe, name][0] for name in ("imdb", "ag_news", "tnews", "iflytek")]
        mean = sum(cells) / 4
        assert bool(note) == (abs(mean - printed) > 0.006)
        assert not note or f"{mean:.2f}" in note
    assert {key[:2] for key, (_, note) in table.items() if note} == {
        ("bilstm", "r_drop"),
        ("bilstm", "r_at"),
        ("bilstm", "uegr"),
        ("textcnn", "dropout"),
    }
