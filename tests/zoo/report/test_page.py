from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from zoo.evidence.cells import Cells
from zoo.evidence.statements import findings
from zoo.grid.store import Store
from zoo.report.blocks import markdown
from zoo.report.diagnostics import diagnostics
from zoo.report.page import FIRST, NOTES, build_pages, main
from zoo.report.setup import _DEFAULT_RATES, changed_settings, setup
from zoo.report.tables import build_tables
from zoo.report.tuning import tuning
from zoo.report.verdicts import highest, verdicts

TENTH = "results/a-tenth-of-the-data.md"
TUNE = {
    "dropout": {"best": {}, "settings": [{"setting": {}, "validation": 0.7, "difference": 0.0}]},
    "uegr": {
        "best": {"alpha": "4"},
        "settings": [
            {"setting": {}, "validation": 0.8, "difference": 0.0},
            {"setting": {"alpha": "4"}, "validation": 0.8125, "difference": 0.0125},
            {"setting": {"alpha": "4", "gamma": "2"}, "validation": 0.79, "difference": -0.01},
        ],
    },
}


def setup_text(results) -> str:
    return markdown(setup(Cells.of(results)))


def cells(result, **changes):
    """UEGR above Dropout on TNEWS and IMDB, both models."""
    return [
        result(recipe, corpus, arch, seed, n=400, wrong=range(wrong + seed), **changes)
        for recipe, wrong in (("dropout", 40), ("uegr", 10))
        for corpus in ("imdb", "tnews")
        for arch in ("bilstm", "textcnn")
        for seed in (0, 1)
    ]


@pytest.fixture
def folders(tmp_path, result):
    results, docs = tmp_path / "results", tmp_path / "docs"
    for cell in [*cells(result), result("tfidf_svm", "imdb", "-", n=400, curve=(), best_epoch=None)]:
        Store(results / "quick").write(cell)
    return results, docs


def run(folders) -> str:
    results, docs = folders
    assert main(["--results", str(results), "--docs", str(docs)]) == 0
    return (docs / TENTH).read_text(encoding="utf-8")


def test_the_pages_say_what_was_run_and_what_follows(folders, capsys):
    text = run(folders)
    pages = build_pages(*folders)
    assert list(pages) == [FIRST, TENTH]
    assert pages[TENTH] == text
    assert f"- [A tenth of the data]({TENTH}): What do five epochs" in pages[FIRST]
    assert "(../results.md)" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What was run",
        "## Accuracy, differences, cost",
        "## Which of the paper's statements these results support",
        "## Which differences could be resolved",
        "## Inside the runs",
    ]
    assert "16 cells, 0 of them failed: models BiLSTM, TextCNN; recipes Dropout, UEGR" in text
    assert "| UEGR is above Dropout: the whole method helps | supported | supported | supported |" in text
    assert "Of 3 verdicts: 3 supported. The family of Holm's correction: 3 differences." in text
    assert "The paper's difference to Dropout, points" in text
    assert text.count("paired by seed (same initial weights") == 1  # shared footnotes stand once
    names = sorted(path.name for path in (folders[1] / "figures").iterdir())
    assert names == ["quick.png", "quick.svg"]
    assert "(../figures/quick.svg)" in text
    said = capsys.readouterr().out
    assert all(str(folders[1] / name) in said for name in pages)


def section(text: str, heading: str) -> str:
    """What stands under a heading of the third level."""
    return text.split(f"### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]


def test_accuracy_robustness_and_controls_stand_apart(result):
    attacked = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 200}
    results = [
        result(
            r,
            c,
            seed=s,
            n=400,
            wrong=range(w + s),
            attacked=attacked,
            measures={"attacked_accuracy": 1 - w / 100},
        )
        for r, w in (("dropout", 40), ("uegr_no_mask", 20), ("uegr", 10))
        for c in ("imdb", "tnews")
        for s in (0, 1)
    ]
    text = markdown(verdicts(findings(results)))
    whole, robust, control = (
        "the whole method helps",
        "the whole method makes robust",
        "inside UEGR the selective",
    )
    for heading, own in (("Accuracy", whole), ("Robustness", robust), ("Controls", control)):
        for reading in (whole, robust, control):
            assert (reading in section(text, heading)) == (reading == own), (heading, reading)


def test_the_highest_is_the_highest_of_the_networks(result):
    """The reference row, with every answer right, stands apart."""
    reference = [result("tfidf_svm", corpus, "-", n=400) for corpus in ("imdb", "tnews")]
    text = markdown(highest(build_tables([*cells(result), *reference], paper=True)))
    for model in ("BiLSTM", "TextCNN"):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {model} |")]
        assert row.startswith(f"| {model} | UEGR 97.38 | TF-IDF + linear SVM 100.00 | UEGR ")


def test_the_papers_difference_is_inside_or_outside_of_the_interval(result):
    """About 1.7 points in the paper: outside of an interval around 7.5, inside of one around 1.7."""
    for wrong, where in ((10, "outside"), (33, "inside")):
        found = findings(
            result(r, c, "bilstm", seed=s, n=400, wrong=range(w + s))
            for r, w in (("dropout", 40), ("uegr", wrong))
            for c in ("imdb", "ag_news", "tnews", "iflytek")
            for s in (0, 1)
        )
        assert f"(+1.70, {where})" in markdown(verdicts(found))


def test_other_numbers_other_verdicts(folders):
    before = run(folders)
    for cell in list(Store(folders[0] / "quick").cells()):
        swapped = {"dropout": "uegr", "uegr": "dropout"}.get(cell.cell.recipe)
        if swapped:
            other = dataclasses.replace(cell.cell, recipe=swapped)
            Store(folders[0] / "quick").write(dataclasses.replace(cell, cell=other))
    after = run(folders)
    assert "Of 3 verdicts: 3 not supported." in after
    assert "Of 3 verdicts: 3 not supported." not in before


def test_parts_that_are_there_are_shown(folders, result):
    results, docs = folders
    (results / "tune.json").write_text(json.dumps(TUNE), encoding="utf-8")
    (results / "full_search").mkdir()
    (results / "full_search" / "tune_imdb.json").write_text(json.dumps(TUNE), encoding="utf-8")
    for cell in cells(result):
        recipe, corpus, arch, seed = (getattr(cell.cell, n) for n in ("recipe", "corpus", "arch", "seed"))
        tuned = result(recipe, corpus, arch, seed, n=400, wrong=range(10 + seed), alpha=4)
        Store(results / "tuned").write(tuned if recipe == "uegr" else cell)
        Store(results / "demo").write(cell)
    for name, note in (("results.md", "All of it."), (Path(TENTH).name, "A guess: too little data.")):
        (docs / NOTES).mkdir(parents=True, exist_ok=True)
        (docs / NOTES / name).write_text(f"{note}\n", encoding="utf-8")
    text = run(folders)
    pages = build_pages(*folders)
    assert "### tune.json" in text
    assert "### tune\\_imdb.json" in pages["results/settings-tried-on-validation.md"]
    assert "tune\\_imdb.json" not in text
    assert "| Setting | Dropout | UEGR |" in text
    assert "| default | 70.00 (best) | 80.00 |" in text
    assert "| alpha 4 | – | 81.25 (best) |" in text
    assert "| alpha 4, gamma 2 | – | 79.00 |" in text
    assert "- Dropout: none.\n- UEGR: alpha 4 (default 0.5), BiLSTM and TextCNN.\n" in text
    assert text.count("Of 3 verdicts") == 2
    assert pages["results/the-demo.md"].startswith("# The demo\n")
    assert text.endswith("A guess: too little data.\n")
    assert pages[FIRST].endswith("All of it.\n")
    assert "All of it" not in text
    assert len(list((docs / "figures").iterdir())) == 6


def test_mistakes_are_named(folders, capsys, tmp_path):
    results, docs = folders
    assert main(["--results", str(tmp_path / "nowhere"), "--docs", str(docs)]) == 2
    assert "holds no results" in capsys.readouterr().err
    for text, said in [
        ("{", "line 1: broken JSON"),
        ("[]", "expected an object"),
        ('{"uegr": {"best": {}}}', "uegr: expected best and settings"),
        ('{"uegr": {"best": {}, "settings": [{"setting": {}}]}}', "uegr: expected best and settings"),
    ]:
        (results / "tune.json").write_text(text, encoding="utf-8")
        assert main(["--results", str(results), "--docs", str(docs)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not docs.exists()


@pytest.mark.parametrize(
    ("arch", "rates", "said"),
    [
        ("hf:minilm", [0.2], "each module's own"),
        ("mtdnn:minilm", [0.2], "each module's own"),
        ("hf:minilm", [0.1], "0.1"),
        ("bilstm", [0.2], "0.2"),
    ],
)
def test_a_pre_trained_model_keeps_its_own_drop_rates(result, arch, rates, said):
    """`uegr.attach` decides by the same default."""
    from zoo.method.sites import Dropout

    assert list(Dropout().base_rates) == _DEFAULT_RATES
    settings = {"recipe": {"forward": None, "dropout": {"kind": "uniform", "base_rates": rates}}}
    text = setup_text([dataclasses.replace(result("dropout", arch=arch), settings=settings)])
    assert f"base\\_rates {said}" in text


def test_without_a_difference_there_is_no_figure(tmp_path, result):
    Store(tmp_path / "results" / "quick").write(result("uegr"))
    text = run((tmp_path / "results", tmp_path / "docs"))
    assert "![" not in text
    assert "No statement can be tested" in text


def test_settings_are_told_apart_by_corpus_and_recipe(result):
    def settings(cell):
        uegr = cell.recipe == "uegr"
        backward = {"kind": "selective", "threshold": 0.6} if uegr else None
        return {
            "text": {"max_length": 32 if cell.corpus == "tnews" else 128, "folds": 0, "fold": 0},
            "train": {"epochs": 5, "batch_size": 16, "bucketed": True, "vectors": "word2vec"},
            "model": {"hidden": 3} if cell.arch == "bilstm" else {"widths": [2, 3]},
            "recipe": {"forward": {"kind": "bi_stage", "alpha": 0.5}, "dropout": None, "backward": backward},
        }

    results = [dataclasses.replace(cell, settings=settings(cell.cell)) for cell in cells(result)]
    text = setup_text(results)
    assert "- Model: hidden 3, widths 2 3.\n" in text
    assert "- Training: epochs 5, batch\\_size 16, bucketed on, vectors word2vec.\n" in text
    # 16 cells, 2 epochs of ceil(1000 / 16) = 63 steps, 10 ms each: 20.16 s
    assert "CPU time of the training steps in it: 0.3 minutes." in text
    assert "- Text: folds 0.\n" in text
    assert "- Text, max\\_length: IMDB 128, TNEWS 32." in text
    assert "| Recipe | update |\n| --- | --- |\n| Dropout | all |\n| UEGR | selective |" in text
    assert (
        "The same in every recipe that has it: forward bi\\_stage, alpha 0.5, dropout none, threshold 0.6."
        in text
    )
    assert "Time of all cells together, each counted by itself: 0.8 minutes;" in text


def test_failed_cells_processors_and_programs_are_counted(result, failed):
    results = [
        result("dropout", processor="AVX2"),
        failed("uegr"),
        result("at", processor="AVX512", made_by={"version": "2.0"}),
    ]
    text = setup_text(results)
    assert "3 cells, 1 of them failed" in text
    assert "Processor: cpu, AVX2 (1 result), cpu, AVX512 (1 result); threads a cell: 1." in text
    assert "Program: 1.0 at commit abc1234; 2.0 at commit not recorded." in text


def test_a_method_that_attacks_nothing_has_no_attack(result):
    """Its settings say one all the same, which the default has been; no pass reads it."""
    fgm, fgsm = {"attack": "fgm", "epsilon": 0.5}, {"attack": "fgsm", "epsilon": 0.1}
    forward = {
        ("dropout", 0): {"adversarial": 0} | fgm, ("dropout", 1): {"adversarial": 0} | fgsm,
        ("uegr", 0): {"adversarial": 2} | fgm, ("uegr", 1): {"adversarial": 2} | fgm,
    }  # fmt: skip
    made = [
        dataclasses.replace(result(*place), settings={"recipe": {"forward": own}})
        for place, own in (((recipe, "imdb", "bilstm", seed), own) for (recipe, seed), own in forward.items())
    ]
    text = setup_text(made)
    assert "| Recipe | adversarial |" in text
    assert "The same in every recipe that has it: forward none, attack fgm, epsilon 0.5." in text
    assert "fgsm" not in text


def test_changed_settings_names_only_what_differs(result):
    tuned = [result("uegr", alpha=4.0, train={"learning_rate": 0.01})]
    plain = [result("uegr", alpha=4, train={"learning_rate": 0.003})]
    assert changed_settings(Cells.of(tuned), Cells.of(plain)) == {
        "UEGR": ["learning_rate 0.01 (default 0.003), TextHAN"]
    }
    assert changed_settings(Cells.of(tuned), Cells.of([])) == {"UEGR": []}


def test_diagnostics_are_means_of_the_last_epochs(result, failed):
    def curve(last: float, kept: float) -> tuple[dict[str, object], ...]:
        first = {"epoch": 1, "loss_clean": 9.0, "kept_share": 0.9, "drop_rate": {"pooled": 0.9}}
        second = {"epoch": 2, "loss_clean": last, "kept_share": kept, "drop_rate": {"pooled": 0.2}}
        return (first, second)

    results = [
        result("uegr", "imdb", seed=0, curve=curve(0.2, 0.4), best_epoch=1),
        result("uegr", "imdb", seed=1, curve=curve(0.4, 0.5), best_epoch=2),
        result("uegr", "tnews", curve=curve(0.9, 0.6), best_epoch=2),
        result("standard", "imdb", curve=({"epoch": 1, "loss_clean": 0.1},), best_epoch=1),
        failed("standard", "tnews"),
    ]
    assert (
        markdown(diagnostics(Cells.of(results)))
        == """\
### TextHAN

| Recipe | Drop rate, pooled | Kept share | Perturbation | Divergence | Adversarial loss | Clean loss |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| w/o Dropout | – | – | – | – | – | 0.100 |
| UEGR | 0.200 | 0.500 | – | – | – | 0.500 |

| Clean loss (best epoch) | IMDB | TNEWS |
| --- | ---: | ---: |
| w/o Dropout | 0.100 (epoch 1.0 of 1) | – |
| UEGR | 0.300 (epoch 1.5 of 2) | 0.900 (epoch 2.0 of 2) |
"""
    )


def test_where_runs_may_stop_early_the_epochs_reached_are_a_mean(result):
    def run(corpus: str, seed: int, reached: int, best: int, patience: int):
        curve = tuple({"epoch": e, "loss_clean": 0.5} for e in range(1, reached + 1))
        train = {"epochs": 10, "patience": patience}
        return result("uegr", corpus, seed=seed, curve=curve, best_epoch=best, train=train)

    runs = [run("imdb", 0, 4, 2, 2), run("imdb", 1, 7, 5, 2), run("tnews", 0, 10, 9, 2)]
    text = markdown(diagnostics(Cells.of(runs)))
    assert "| Clean loss (best epoch of those reached) | IMDB | TNEWS |" in text
    assert "| UEGR | 0.500 (epoch 3.5 of 5.5) | 0.500 (epoch 9.0 of 10.0) |" in text
    whole = markdown(diagnostics(Cells.of([run("imdb", 0, 10, 9, 0)])))
    assert "| Clean loss (best epoch) | IMDB |" in whole
    assert "(epoch 9.0 of 10) |" in whole


def test_diagnostics_are_of_one_model_each(result):
    results = [
        result("uegr", arch=arch, curve=({"epoch": 1, "loss_clean": loss, "kept_share": loss},), best_epoch=1)
        for arch, loss in (("bilstm", 0.25), ("textcnn", 0.75))
    ]
    first, second = markdown(diagnostics(Cells.of(results))).split("### TextCNN")
    for text, own, other in ((first, "0.250", "0.750"), (second, "0.750", "0.250")):
        assert text.count(own) == 3
        assert other not in text
        assert "0.500" not in text


def test_a_setting_that_failed_is_told_from_one_that_was_not_tried(tmp_path):
    rows = [{"setting": {}, "validation": 0.7, "difference": 0.0}]
    bad = {"setting": {"alpha": "4"}, "validation": None, "difference": None}
    answer = {"dropout": {"best": {}, "settings": rows}, "uegr": {"best": {}, "settings": [*rows, bad]}}
    (tmp_path / "tune.json").write_text(json.dumps(answer))
    assert "| alpha 4 | – | failed |" in markdown(tuning(tmp_path))
