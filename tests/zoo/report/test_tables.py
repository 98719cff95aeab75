from __future__ import annotations

import csv
import io
import json

import pytest

from zoo.core.names import RECIPES, in_order
from zoo.evidence.paper import paper
from zoo.report.render import latex, markdown, plain_text, to_csv
from zoo.report.tables import as_dict, build_tables, long_form


@pytest.fixture
def small(result):
    """Two corpora, one seed; R-Drop failed on one and is missing on the other."""
    return [
        result("standard", "imdb", wrong=range(12), step=0.01),
        result("standard", "ag_news", wrong=range(20), step=0.02),
        result("dropout", "imdb", wrong=range(10), step=0.011),
        result("dropout", "ag_news", wrong=range(20), step=0.022),
        result("uegr", "imdb", wrong=range(5), step=0.03),
        result("uegr", "ag_news", wrong=range(1, 24), step=0.06),
        result("r_drop", "imdb", status="failed", reason="the loss is NaN in epoch 1."),
        result("tfidf_svm", "imdb", "-", wrong=range(15), step_cpu_seconds=None, step_seconds=None),
        result("tfidf_svm", "ag_news", "-", wrong=range(15), step_cpu_seconds=None, step_seconds=None),
    ]


def test_plain_text_golden(small):
    assert (
        plain_text(build_tables(small))
        == """\
TextHAN
=======

Test accuracy, %
-----------------------------------------------------
Recipe                  IMDB   AG News     AVG   Cost
-----------------------------------------------------
w/o Dropout            88.00     80.00   84.00   1.0x
Dropout                90.00     80.00   85.00   1.1x
R-Drop                failed         –       –      –
UEGR                   95.00     77.00   86.00   3.0x
TF-IDF + linear SVM    85.00     85.00   85.00      –
-----------------------------------------------------

Difference to Dropout, points [95% interval]
----------------------------------------------------------------------------------------
Recipe                                IMDB                AG News                    AVG
----------------------------------------------------------------------------------------
w/o Dropout           -2.00 [-5.78, +1.86]   +0.00 [-2.72, +2.72]   -1.00 [-3.35, +1.35]
R-Drop                                   –                      –                      –
UEGR                  +5.00 [-0.09, +9.90]   -3.00 [-7.99, +2.11]   +1.00 [-2.55, +4.55]
TF-IDF + linear SVM   -5.00 [-9.90, +0.09]   +5.00 [-0.09, +9.90]   +0.00 [-3.53, +3.53]
----------------------------------------------------------------------------------------

- Test accuracy in %. One run a recipe, so no spread.
- Difference to Dropout in points with its 95% interval, paired by seed (same initial weights, same
  order of batches) and by test example; one run a recipe: interval over the test examples only, it
  says nothing about another seed.
- * p < 0.05 after Holm's correction for all 4 comparisons of this report; without a star the
  difference may be chance.
- AVG is the mean of the columns; its spread and its interval take them as independent.
- Cost: time of a training step in multiples of a step of w/o Dropout (CPU time; wall time on CUDA),
  geometric mean over corpora and runs.
- TF-IDF + linear SVM: one run against all seeds.
- IMDB: 1,000 training and 100 test texts.
- AG News: 1,000 training and 100 test texts; partial: 45,746 of 120,000 training rows.
- Failed: R-Drop on IMDB, seed 0: the loss is NaN in epoch 1.
"""
    )


def test_markdown_golden(small):
    assert (
        markdown(build_tables(small))
        == r"""## TextHAN

**Test accuracy, %**

| Recipe | IMDB | AG News | AVG | Cost |
| --- | ---: | ---: | ---: | ---: |
| w/o Dropout | 88.00 | 80.00 | 84.00 | 1.0x |
| Dropout | 90.00 | 80.00 | 85.00 | 1.1x |
| R-Drop | failed | – | – | – |
| UEGR | 95.00 | 77.00 | 86.00 | 3.0x |
| TF-IDF + linear SVM | 85.00 | 85.00 | 85.00 | – |

**Difference to Dropout, points [95% interval]**

| Recipe | IMDB | AG News | AVG |
| --- | ---: | ---: | ---: |
| w/o Dropout | -2.00 [-5.78, +1.86] | +0.00 [-2.72, +2.72] | -1.00 [-3.35, +1.35] |
| R-Drop | – | – | – |
| UEGR | +5.00 [-0.09, +9.90] | -3.00 [-7.99, +2.11] | +1.00 [-2.55, +4.55] |
| TF-IDF + linear SVM | -5.00 [-9.90, +0.09] | +5.00 [-0.09, +9.90] | +0.00 [-3.53, +3.53] |

- Test accuracy in %. One run a recipe, so no spread.
- Difference to Dropout in points with its 95% interval, paired by seed (same initial weights, same order of batches) and by test example; one run a recipe: interval over the test examples only, it says nothing about another seed.
- \* p \< 0.05 after Holm's correction for all 4 comparisons of this report; without a star the difference may be chance.
- AVG is the mean of the columns; its spread and its interval take them as independent.
- Cost: time of a training step in multiples of a step of w/o Dropout (CPU time; wall time on CUDA), geometric mean over corpora and runs.
- TF-IDF + linear SVM: one run against all seeds.
- IMDB: 1,000 training and 100 test texts.
- AG News: 1,000 training and 100 test texts; partial: 45,746 of 120,000 training rows.
- Failed: R-Drop on IMDB, seed 0: the loss is NaN in epoch 1.
"""  # noqa: E501
    )


def test_spread_and_partly_failed_and_paper(result):
    cells = [
        result(recipe, seed=s, wrong=range(w + s))
        for recipe, w in (("dropout", 10), ("uegr", 6))
        for s in (0, 2)
    ]
    cells.append(result("uegr", seed=3, status="failed", reason="out of memory"))
    (table,) = build_tables(cells, paper=True)
    text = plain_text([table])
    assert "Dropout             89.00 ± 1.41 (90.71)\n" in text
    assert "UEGR      93.00 ± 1.41, 1 failed (91.86)\n" in text
    assert "AVG" not in text
    assert "+1.15" in text
    assert table.rows[1].scores[0].paper == pytest.approx(0.9186)
    assert "2 runs cannot go below p = 0.5" in text


def test_a_star_only_where_holm_allows_it(result):
    # 20 of 20 in favour: p = 2^-19. Twice 6 of 6: p = 2^-5 = 0.031 each, below 0.05, but 0.062 after Holm.
    wrong = {"dropout": 20, "uegr": 0, "at": 14, "r_at": 14}
    text = plain_text(build_tables([result(recipe, wrong=range(w)) for recipe, w in wrong.items()]))
    assert "+20.00 [+11.44, +27.78]*" in text
    assert text.count("+6.00 [+0.57, +11.20]\n") == 2


def test_order_of_rows_and_columns(result):
    recipes = [*reversed(RECIPES), "mine", "tfidf_svm"]
    cells = [
        result(r, c, "-" if r == "tfidf_svm" else "texthan")
        for r in recipes
        for c in ("own", "tnews", "imdb")
    ]
    (table,) = build_tables(cells)
    assert [row.recipe for row in table.rows] == [*RECIPES, "mine", "tfidf_svm"]
    assert table.corpora == ("imdb", "tnews", "own")
    assert in_order(["han", "bilstm", "x"]) == ("bilstm", "han", "x")


def test_one_table_an_arch_and_the_baseline_in_each(result):
    cells = [result(r, arch=a) for r in ("dropout", "uegr") for a in ("textcnn", "bilstm")]
    tables = build_tables([*cells, result("tfidf_svm", arch="-")])
    assert [table.name for table in tables] == ["BiLSTM", "TextCNN"]
    assert all(table.rows[-1].scores[0].accuracy for table in tables)
    (alone,) = build_tables([result("tfidf_svm", arch="-")])
    assert alone.rows[0].name == "TF-IDF + linear SVM"
    assert build_tables([]) == ()


def test_wanted_rows_and_columns_appear_before_their_results(result):
    (table,) = build_tables([result("dropout")], recipes=["dropout", "uegr"], corpora=["tnews", "imdb"])
    assert table.corpora == ("imdb", "tnews")
    assert "UEGR           –       –     –\n" in plain_text([table])


def test_no_reference_no_differences(result):
    text = plain_text(build_tables([result("uegr")]))
    assert "Difference to Dropout, points" not in text
    assert "No differences: they need Dropout and another recipe" in text


def test_mixed_settings_are_named_but_not_the_recipes_own(result):
    cells = [result("dropout"), result("uegr")]
    cells[1]["settings"]["recipe"]["alpha"] = 4
    assert "caution" not in plain_text(build_tables(cells))
    cells[1]["settings"] = {**cells[1]["settings"], "train": {"epochs": 9}}
    assert "IMDB: caution, the cells of a column do not share all settings" in plain_text(build_tables(cells))


def test_runs_without_partner_are_named(result):
    cells = [result("dropout"), result("uegr"), result("uegr", seed=1)]
    text = " ".join(plain_text(build_tables(cells)).split())
    assert "UEGR on IMDB: 1 of its runs count in the mean but not in the difference" in text


def test_wide_panels_go_on_below_themselves(small):
    (table,) = build_tables(small)
    narrow = plain_text([table], width=60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow.count("w/o Dropout ") > plain_text([table]).count("w/o Dropout ")
    for number in ("-2.00", "+5.00", "-3.00"):
        assert number in narrow


def test_latex_is_escaped(result):
    cells = [
        result(r, "50%_of&my{corpus}#1~^\\$", seed=s, wrong=range(s + (r == "dropout")))
        for r in ("dropout", "uegr")
        for s in (0, 1)
    ]
    text = latex(build_tables(cells))
    assert r"50\%\_of\&my\{corpus\}\#1\textasciitilde{}\textasciicircum{}\textbackslash{}\$" in text
    assert r"UEGR & 99.50 $\pm$ 0.71" in text
    assert r"$+$1.00 [$" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert "–" not in text
    assert "±" not in text


def test_markdown_is_escaped(result):
    text = markdown(build_tables([result("dropout", "a|b_c"), result("uegr", "a|b_c")]))
    assert r"a\|b\_c" in text


def test_every_row_of_a_latex_table_has_all_columns(small):
    lines = [
        line for line in latex(build_tables(small)).splitlines() if " & " in line and line.endswith("\\\\")
    ]
    assert {line.count(" & ") for line in lines} == {4}


def test_csv_and_json_hold_the_same_numbers(small):
    tables = build_tables(small)
    rows = list(csv.DictReader(io.StringIO(to_csv(tables))))
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
    (table,) = json.loads(json.dumps(as_dict(tables), allow_nan=False))
    assert table["corpora"] == ["imdb", "ag_news"]
    nested = {row["recipe"]: row["scores"] for row in table["rows"]}
    for row in long_form(tables):
        expected = {k: v for k, v in row.items() if k not in ("arch", "recipe", "corpus")}
        assert nested[row["recipe"]][row["corpus"]] == expected


def test_tables_do_not_depend_on_the_order_of_results(small):
    assert as_dict(build_tables(small)) == as_dict(build_tables(small[::-1]))


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


def test_a_wrong_average_of_the_paper_is_named_below_the_table(result):
    corpora = ("imdb", "ag_news", "tnews", "iflytek")
    cells = [result(r, c, "textcnn") for r in ("dropout", "uegr") for c in corpora]
    (table,) = build_tables(cells, paper=True)
    assert (
        "The paper prints 71.51 as the average of Dropout; the mean of the four cells is 71.71, shown here."
        in table.footnotes
    )
    assert table.rows[0].average.paper == pytest.approx(0.7171)
    (part,) = build_tables([c for c in cells if c["cell"]["corpus"] != "imdb"], paper=True)
    assert not any("The paper prints" in note for note in part.footnotes)
    (demo,) = build_tables([result("dropout", "bbc_news")], paper=True)
    assert "The paper has no numbers for TextHAN on these corpora." in demo.footnotes


def _attacked(accuracy: float, rows: int = 100, epsilon: float = 0.1) -> dict[str, object]:
    return {"attack": "fgsm", "epsilon": epsilon, "epsilon_unit": "rms", "rows": rows, "accuracy": accuracy}


@pytest.fixture
def attacked(small):
    """Accuracy under FGSM for Dropout and UEGR, as if w/o Dropout came from an older version."""
    for cell in small:
        if cell["status"] == "done" and cell["cell"]["recipe"] in ("dropout", "uegr"):
            rows = 100 if cell["cell"]["corpus"] == "imdb" else 1000
            cell["attacked"] = _attacked(0.315 if cell["cell"]["recipe"] == "uegr" else 0.2, rows)
    return small


def test_accuracy_under_attack_is_the_third_block(attacked):
    text = plain_text(build_tables(attacked))
    assert (
        """
Test accuracy under FGSM, %
---------------------------------
Recipe     IMDB   AG News     AVG
---------------------------------
Dropout   20.00     20.00   20.00
UEGR      31.50     31.50   31.50
---------------------------------
"""
        in text
    )
    assert text.index("Difference to Dropout, points") < text.index("under FGSM, %")
    assert (
        "- Under FGSM: 100 to 1,000 test texts drawn by seed, after one step on their word vectors from the "
        "clean point, epsilon 0.1 of the word vectors' RMS, the same for all recipes whatever they trained "
        "with; one step only, so an upper bound on the accuracy under attack. TF-IDF + linear SVM has no "
        "word vectors, so no such row. 2 of the 6 runs have no such number."
    ) in " ".join(text.split())
    assert "| UEGR | 31.50 | 31.50 | 31.50 |" in markdown(build_tables(attacked))
    assert r"UEGR & 31.50 & 31.50 & 31.50 &  \\" in latex(build_tables(attacked))


def test_accuracy_under_attack_in_csv_and_json(attacked):
    rows = {
        (r["recipe"], r["corpus"]): r for r in csv.DictReader(io.StringIO(to_csv(build_tables(attacked))))
    }
    assert rows["uegr", "imdb"]["attacked_accuracy"] == rows["uegr", "AVG"]["attacked_accuracy"] == "0.315"
    assert rows["uegr", "imdb"]["attacked_runs"] == "1"
    assert (
        rows["standard", "imdb"]["attacked_accuracy"] == rows["tfidf_svm", "AVG"]["attacked_accuracy"] == ""
    )
    (table,) = as_dict(build_tables(attacked))
    scores = {row["recipe"]: row["scores"] for row in table["rows"]}
    assert scores["uegr"]["ag_news"]["attacked_accuracy"] == 0.315
    assert scores["standard"]["ag_news"]["attacked_accuracy"] is None


def test_accuracy_under_attack_over_seeds(result):
    cells = [result("dropout", seed=s, attacked=_attacked(0.2 + s / 10)) for s in (0, 1)]
    assert "Dropout   25.00 ± 7.07\n" in plain_text(build_tables(cells))
    assert "not all runs were attacked" not in plain_text(build_tables(cells))
    cells.append(result("dropout", seed=2, attacked=_attacked(0.2, epsilon=0.2)))
    assert "Caution: not all runs were attacked with the same epsilon" in plain_text(build_tables(cells))


def test_no_accuracy_under_attack_no_block(small):
    for text in (render(build_tables(small)) for render in (plain_text, markdown, latex)):
        assert "FGSM" not in text
