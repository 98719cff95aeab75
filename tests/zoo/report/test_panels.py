"""Tables as they are printed."""

from __future__ import annotations

import re

import pytest

from zoo.core.result import Machine


def test_terminal_golden(small, draw):
    assert (
        draw(small)
        == """\
TextHAN
=======

Test accuracy, %
---------------------------------------------------
  Recipe                 IMDB  AG News    AVG  Cost
---------------------------------------------------
  w/o Dropout           88.00    80.00  84.00  1.0x
  Dropout               90.00    80.00  85.00  1.1x
  R-Drop               failed        –      –     –
> UEGR                  95.00    77.00  86.00  3.0x
  TF-IDF + linear SVM   85.00    85.00  85.00     –
---------------------------------------------------

Difference to Dropout, points [95% interval]
---------------------------------------------------------------------------------------
  Recipe                               IMDB               AG News                   AVG
---------------------------------------------------------------------------------------
  w/o Dropout          -2.00 [-5.78, +1.86]  +0.00 [-2.72, +2.72]  -1.00 [-3.35, +1.35]
  R-Drop                                  –                     –                     –
> UEGR                 +5.00 [-0.09, +9.90]  -3.00 [-7.99, +2.11]  +1.00 [-2.55, +4.55]
  TF-IDF + linear SVM  -5.00 [-9.90, +0.09]  +5.00 [-0.09, +9.90]  +0.00 [-3.53, +3.53]
---------------------------------------------------------------------------------------

Test macro-F1, %
--------------------------------------------
  Recipe                IMDB  AG News    AVG
--------------------------------------------
  w/o Dropout          88.00    80.00  84.00
  Dropout              90.00    80.00  85.00
> UEGR                 95.00    77.00  86.00
  TF-IDF + linear SVM  85.00    85.00  85.00
--------------------------------------------

- One run a recipe, so no spread.
- Intervals over the test texts only: one run says nothing about another seed and earns no star.
- Failed: R-Drop on IMDB, seed 0: the loss is NaN in epoch 1.
- Differences are paired by seed (same initial weights, same order of batches) and by test example;
  how the intervals are made: zoo/evidence/intervals.py; how often they cover: python -m
  zoo.report.coverage.
- AVG is the mean of the columns, each counting the same; its spread and its interval take them as
  independent.
- Test macro-F1: Mean of the classes' F1.
- Cost: time of a training step in multiples of a step of w/o Dropout (CPU time; wall time on CUDA),
  geometric mean over corpora and runs.
- TF-IDF + linear SVM: one run against all seeds.
- IMDB: 1,000 training and 100 test texts.
- AG News: 1,000 training and 100 test texts; partial: 45,746 of 120,000 training rows.
"""
    )


def test_markdown_golden(small, draw):
    assert (
        draw(small, "markdown", notes=False)
        == """\
## TextHAN

**Test accuracy, %**

| Recipe | IMDB | AG News | AVG | Cost |
| --- | ---: | ---: | ---: | ---: |
| w/o Dropout | 88.00 | 80.00 | 84.00 | 1.0x |
| Dropout | 90.00 | 80.00 | 85.00 | 1.1x |
| R-Drop | failed | – | – | – |
| **UEGR** | **95.00** | **77.00** | **86.00** | **3.0x** |
| TF-IDF + linear SVM | 85.00 | 85.00 | 85.00 | – |

**Difference to Dropout, points [95% interval]**

| Recipe | IMDB | AG News | AVG |
| --- | ---: | ---: | ---: |
| w/o Dropout | -2.00 [-5.78, +1.86] | +0.00 [-2.72, +2.72] | -1.00 [-3.35, +1.35] |
| R-Drop | – | – | – |
| **UEGR** | **+5.00 [-0.09, +9.90]** | **-3.00 [-7.99, +2.11]** | **+1.00 [-2.55, +4.55]** |
| TF-IDF + linear SVM | -5.00 [-9.90, +0.09] | +5.00 [-0.09, +9.90] | +0.00 [-3.53, +3.53] |

**Test macro-F1, %**

| Recipe | IMDB | AG News | AVG |
| --- | ---: | ---: | ---: |
| w/o Dropout | 88.00 | 80.00 | 84.00 |
| Dropout | 90.00 | 80.00 | 85.00 |
| **UEGR** | **95.00** | **77.00** | **86.00** |
| TF-IDF + linear SVM | 85.00 | 85.00 | 85.00 |

- One run a recipe, so no spread.
- Intervals over the test texts only: one run says nothing about another seed and earns no star.
- Failed: R-Drop on IMDB, seed 0: the loss is NaN in epoch 1.
"""
    )


def test_spread_and_partly_failed_and_paper(result, failed, draw):
    cells = [
        result(recipe, seed=s, wrong=range(w + s))
        for recipe, w in (("dropout", 10), ("uegr", 6))
        for s in (0, 2)
    ]
    cells.append(failed("uegr", seed=3, reason="out of memory"))
    text = draw(cells, paper=True)
    assert "  Dropout  89.00 ± 1.41 (90.71)\n" in text
    assert "> UEGR     93.00 ± 1.41, 1 failed (91.86)\n" in text
    assert "AVG" not in text
    assert "+1.15" in text
    assert "2 runs cannot go below p = 0.5" in text


def test_a_star_only_where_holm_allows_it_and_never_from_one_run(result, draw):
    wrong = {"dropout": 20, "uegr": 0, "at": 16, "r_at": 16}

    def cells(seeds):
        # p is 0.0007 for UEGR and 0.033 for the two others: below 0.05, but 0.066 after Holm.
        return [
            result(recipe, seed=s, n=400, wrong=range(w + (recipe == "dropout") * (0, 1, 3, 5)[s]))
            for recipe, w in wrong.items()
            for s in range(seeds)
        ]

    text = draw(cells(4))
    assert text.count("]*\n") == 1
    assert re.search(r"> UEGR +\+5.56 \[.*\]\*", text)
    assert "]*" not in draw(cells(1))
    assert "one run says nothing about another seed and earns no star" in " ".join(draw(cells(1)).split())


def test_a_network_without_skill_is_marked_beside_its_number(result, draw):
    cells = [result("dropout", wrong=range(10)), result("uegr", wrong=range(0, 100, 2))]
    for form in ("terminal", "markdown"):
        text = draw(cells, form, notes=False)
        assert "50.00†" in text
        assert "UEGR on IMDB predicts one class only (1 run)" in " ".join(text.split())
    assert r"50.00$\dagger$" in draw(cells, "latex")
    assert "†" not in draw(cells[:1])


def test_one_failure_of_a_baseline_is_no_lack_of_skill(result, draw):
    cells = [result("dropout"), result("tfidf_svm", arch="-", wrong=range(60))]
    assert "†" not in draw(cells)


def test_variants_are_printed_by_what_differs(result, draw):
    cells = [result("dropout"), result("uegr"), result("uegr", alpha=4, machine=Machine())]
    text = draw(cells)
    assert "> UEGR, alpha 0.5" in text
    assert "> UEGR, alpha 4 " in text


def test_no_reference_no_differences(result, draw):
    text = draw([result("uegr")])
    assert "Difference to Dropout, points" not in text
    assert "No differences: they need Dropout and another recipe" in text


def test_latex_of_names_that_need_escapes(result, draw):
    cells = [
        result(r, "50%_of&my{corpus}#1~^\\$", seed=s, wrong=range(s + (r == "dropout")))
        for r in ("dropout", "uegr")
        for s in (0, 1)
    ]
    text = draw(cells, "latex")
    assert r"50\%\_of\&my\{corpus\}\#1\textasciitilde{}\textasciicircum{}\textbackslash{}\$" in text
    assert r"\textbf{UEGR} & \textbf{99.50 $\pm$ 0.71}" in text
    assert r"\textbf{$+$1.00 [$" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    assert "–" not in text
    assert "±" not in text


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex"])
def test_accuracy_under_attack_is_a_panel_of_its_own(result, draw, form):
    cells = [result(r, "imdb") for r in ("dropout", "uegr")]
    assert "FGSM" not in draw(cells, form)
    cells = [
        result(r, "imdb", measures={"attacked_accuracy": value}, attacked=ATTACKED)
        for r, value in (("dropout", 0.2), ("uegr", 0.315))
    ]
    text = draw(cells, form)
    assert "Test accuracy under FGSM" in text
    assert "31.50" in text


ATTACKED = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 100}
