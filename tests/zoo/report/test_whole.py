"""The page and the README on parts of Table IV: from nothing over one model and one seed to all of it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from zoo.core.errors import UserError
from zoo.evidence.cells import Cells
from zoo.evidence.planned import table_iv
from zoo.evidence.questions import question
from zoo.grid.store import Store
from zoo.report.blocks import Text, markdown
from zoo.report.defaults import defaults
from zoo.report.page import FIRST, build_pages
from zoo.report.planned import progress
from zoo.report.readme import END, PARTS, Committed, filled, first_table, found_list
from zoo.report.whole import first, inside, planned_tables, said
from zoo.settings import PRESETS

PLAN = table_iv(Cells({}))
HOW = Text("How to read.")
ATTACK = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 100}


@pytest.fixture
def block(result):
    """All recipes of one model under one seed; a recipe's wrong answers of 100 are its place in the order."""

    def make(arch, seed, corpora=PLAN.corpora, recipes=PLAN.recipes, **changes):
        return [
            result(
                recipe, corpus, arch, seed, wrong=range(10 + i + seed), step=0.01 * (i + 1), attacked=ATTACK,
                measures={"attacked_accuracy": 0.5 + i / 100}, **changes,
            )
            for (i, recipe), corpus in itertools.product(enumerate(recipes), corpora)
        ]  # fmt: skip

    return make


@pytest.fixture
def folder(tmp_path, result):
    """Folders of results with the demo and a part of quick, and `full` as it is given."""

    def make(*parts, name="full"):
        for cell in itertools.chain(*parts):
            Store(tmp_path / name).write(cell)
        for recipe in ("dropout", "uegr"):
            Store(tmp_path / "quick").write(result(recipe))
            for corpus in ("bbc_news", "zh_reviews"):
                Store(tmp_path / "demo").write(result(recipe, corpus))
        return tmp_path

    return make


def page(results, name=FIRST):
    return build_pages(results, results / "docs")[name]


def headings(text):
    return [line[3:] for line in text.splitlines() if line.startswith("## ")]


def test_without_the_grid_the_first_page_is_a_list_of_the_others(folder):
    text = page(folder())
    assert headings(text) == ["Where the rest is"]
    assert text.count("](results/") == 2


def test_a_whole_model_of_one_seed_comes_first(folder, block):
    text = page(folder(block("textcnn", 0)))
    assert headings(text) == [
        "What we found",
        "Where the rest is",
        "What was run",
        "Accuracy, differences, cost",
        "Which of the paper's statements these results support",
        "Inside the runs",
    ]
    assert "28 of the 252 planned networks are there" in text
    assert "28 of 84 of seed 0, none of 84 of seed 1 and none of 84 of seed 2." in text
    assert "| TextCNN | 28 of 28 | none of 28 | none of 28 |" in text
    assert "conclude" not in text
    assert text.count("**supported**: the whole interval") == 1


def test_without_a_whole_model_nothing_is_concluded(folder, block, failed):
    cells = [*block("textcnn", 0)[1:], failed("standard", "imdb", "textcnn")]
    text = page(folder(cells))
    assert "there is nothing to conclude yet" in text
    assert "| TextCNN | 27 of 28, 1 failed | none of 28 | none of 28 |" in text
    assert "What we found" not in text
    assert ": none yet. The tables" in text
    assert "Inside the runs" not in headings(text)


def test_all_of_it_needs_no_table_of_what_is_there(block):
    every = [cell for arch in PLAN.archs for seed in PLAN.seeds for cell in block(arch, seed)]
    text = markdown(progress(table_iv(Cells.of(every))))
    assert text == ("All 252 planned networks are there: 3 models, 7 recipes, 4 corpora, seeds 0, 1, 2.\n")


def test_a_corpus_that_is_not_there_leaves_the_average_out(block):
    """Also that of the cost, and of a model of which no cell of the corpus is there."""
    (table,) = planned_tables(Cells.of(block("textcnn", 0, corpora=PLAN.corpora[:3])))
    assert table.corpora == PLAN.corpora
    for row in table.rows:
        assert row.scores[0].main
        assert row.average.main is row.average.estimate is row.average.cost is None
    (table,) = planned_tables(Cells.of(block("textcnn", 0)))
    assert all(row.average.main and row.average.cost for row in table.rows)


def test_runs_of_an_unfinished_seed_wait(block):
    cells = [*block("textcnn", 0), *block("textcnn", 1)[:9]]
    (table,) = planned_tables(Cells.of(cells))
    assert {score.main.n for row in table.rows for score in row.scores} == {1}
    assert "9 of 84 of seed 1" in markdown(first(Cells.of(cells)))


def test_verdicts_and_the_inside_are_of_whole_blocks(block):
    cells = Cells.of([*block("textcnn", 0), *block("bilstm", 0)[:-1]])
    for text in (markdown(said(cells, HOW)), markdown(inside(cells, HOW))):
        assert "TextCNN" in text
        assert "BiLSTM" not in text


def test_tuned_and_shared_stand_side_by_side(folder, block):
    results = folder(block("textcnn", 0))
    for cell in block("textcnn", 0, recipes=PLAN.recipes[::-1]):
        other = {**cell.settings, "train": {**cell.settings["train"], "learning_rate": 0.01}}
        Store(results / "full_tuned").write(dataclasses.replace(cell, settings=other))
    text = page(results).split("## At the best settings found")[1].split("\n## ")[0]
    assert "- UEGR: learning\\_rate 0.01 (default –), TextCNN." in text
    # UEGR has 16 of 100 wrong at the shared setting and 10 at its own.
    assert "| UEGR | 84.00 | 90.00 | -5.00 [" in text


def test_the_other_reading_of_bilstm_stands_beside_the_grid(folder, block):
    results = folder(block("bilstm", 0))
    for cell in block("bilstm", 0, recipes=PLAN.recipes[::-1]):
        other = {**cell.settings, "model": {"pooling": "last"}}
        Store(results / "full_last").write(dataclasses.replace(cell, settings=other))
    text = page(results, "results/bilstm-by-its-last-states.md")
    assert (
        "| Recipe | AVG, maximum | AVG, last states | Difference, maximum | Difference, last states |" in text
    )
    assert "| UEGR | 84.00 | 90.00 | " in text


@pytest.fixture
def study(result):
    """The cells of the question of the defaults under one seed."""
    asked = question("defaults")

    def make(seed, corpora=PRESETS["slices"]["corpora"], right=0.5):
        return [
            result(
                v.recipe, corpus, arch, seed, id=f"{corpus}-{arch}-{i}-{rate}-{seed}",
                settings={"train": {"learning_rate": rate * v.rate_factor}, "recipe": dict(v.changes)},
                validation_accuracy=right + i / 100,
            )
            for i, v in enumerate(asked.variants)
            for rate, arch, corpus in itertools.product(asked.rates, asked.archs, corpora)
        ]  # fmt: skip

    return make


def test_the_defaults_are_answered_from_whole_seeds(folder, study):
    text = page(folder(study(0), study(1, right=0.9)[1:], name="defaults"), "results/which-defaults.md")
    own = text.split("## The study defaults")[1].split("\n## ")[0]
    where = "BiLSTM, TextCNN and TextHAN on IMDB, AG News, TNEWS, IFLYTEK, BBC News and Chinese reviews"
    said = f"431 of 648 networks are there (12 rows, {where}, seeds 0, 1, 2)."
    assert said in own
    assert "from what is whole: seed 0." in own
    assert "| Dropout | 0.003 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |" in own
    assert "| UEGR, mask on the update | 0.01 | +3.0 | +3.0 |" in own
    assert "**Test accuracy, %**" in own


def on(cells, *corpora):
    return [cell for cell in cells if cell.cell.corpus in corpora]


def test_where_nothing_is_whole_there_is_no_answer(folder, study):
    """A corpus where one network is missing, and no other."""
    results = folder(on(study(0), "imdb")[1:], name="defaults")
    text = markdown(defaults(results / "defaults"))
    assert "35 of 648 networks are there" in text
    assert "no answer yet" in text
    assert "|" not in text
    assert defaults(results / "nowhere") == []


def test_without_a_whole_seed_the_whole_corpora_of_one_answer(folder, study):
    """Those of the seed that has most of them: neither the broken corpus nor another seed is mixed in."""
    broken = on(study(1, right=0.9), "imdb")[1:]
    cells = [*on(study(0), "imdb"), *on(study(1, right=0.9), "tnews", "iflytek"), *broken]
    text = markdown(defaults(folder(cells, name="defaults") / "defaults"))
    assert "143 of 648 networks are there" in text
    assert "The answer is from what is whole: seed 1 on TNEWS and IFLYTEK, and AVG is over these." in text
    assert "| Method | Rate | TNEWS | IFLYTEK | AVG |" in text
    assert "| Dropout | 0.003 | 90.0 | 90.0 | 90.0 |" in text


def test_a_failed_network_of_the_study_is_not_there(folder, study):
    cells = study(0)
    broken = dataclasses.replace(cells[0], status="failed", measures={}, validation_accuracy=None)
    text = markdown(defaults(folder(on([broken, *cells[1:]], "imdb"), name="defaults") / "defaults"))
    assert "35 of 648 networks are there" in text
    assert "no answer yet" in text


def test_two_cells_of_a_place_of_the_study_are_named(folder, study):
    cells = study(0)
    results = folder(cells, [dataclasses.replace(cells[0], id="another")], name="defaults")
    with pytest.raises(UserError, match="two results for Dropout"):
        defaults(results / "defaults")


def rows(text):
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip("*"): [cell.strip("*") for cell in row[1:]] for row in lines}


def test_the_first_table_is_the_demo_until_a_model_is_whole(folder, block):
    for part in ([], block("textcnn", 0)[1:]):
        text = first_table(Committed(folder(part)))
        assert "a demonstration" in text
        assert "BBC News" in text
        assert found_list(Committed(folder(part))) == ""


def test_the_first_table_by_hand_for_one_model(folder, block):
    text = first_table(Committed(folder(block("textcnn", 0), block("bilstm", 0)[1:])))
    found = rows(text)
    # UEGR: 84 right of 100 in every place, Dropout 89; the paper's of TextCNN.
    assert found["UEGR"][:5] == ["84.0 (90.9)", "84.0 (91.9)", "84.0 (56.1)", "84.0 (54.6)", "84.0 (73.4)"]
    assert found["UEGR"][5].startswith("-5.00 [")
    assert found["UEGR"][6:] == ["56.0", "7.0x"]
    assert found["Dropout"][5] == "–"
    assert "The model TextCNN, seed 0: 28 of the 55 networks that are there (252 are planned)." in text
    assert "covers other test texts alone" in text


def test_the_first_table_is_a_mean_over_the_models_named(folder, block):
    results = folder(*(block(arch, seed) for arch in ("bilstm", "textcnn") for seed in (0, 1)))
    text = first_table(Committed(results))
    assert (
        "Mean over the models BiLSTM and TextCNN, seeds 0, 1: 112 of the 112 networks that are there "
        "(252 are planned)." in text
    )
    assert "covers other seeds and other test texts" in text
    # 16 and 17 wrong; the paper's mean of 90.87 and 90.89.
    assert rows(text)["UEGR"][0] == "83.5 (90.9)"
    assert found_list(Committed(results)).startswith("On every row of the paper's four corpora that we have")
    assert "- From BiLSTM and TextCNN, seeds 0, 1" in found_list(Committed(results))


def test_the_first_table_says_which_corpora_are_there_in_part(folder, block):
    """AG News is (`NOTES`), IMDB is not."""
    assert "Trained on a part of what the paper has, all that we have: 45,746 of 120,000 of AG News." in (
        first_table(Committed(folder(block("textcnn", 0))))
    )


def test_every_part_is_put_between_its_marker_and_the_end(folder, block):
    text = "\n".join(f"before\n{marker}\nstale\n{END}\nafter" for marker in PARTS)
    made = filled(text, folder(block("textcnn", 0)))
    assert "stale" not in made
    assert made.count("before") == made.count("after") == made.count(END) == len(PARTS)
    assert filled(made, folder()) == made
    order = [made.index(word) for word in ("The highest average", "IFLYTEK |", "- From TextCNN", "BBC News")]
    assert order == sorted(order)
