from __future__ import annotations

import dataclasses

import pytest

from zoo.core.names import display
from zoo.evidence.power import Plan, seeds_needed
from zoo.report.blocks import Heading, List, Table, markdown
from zoo.report.resolution import resolution
from zoo.report.tables import build_tables

CORPORA = ("imdb", "ag_news", "tnews", "iflytek")


def cells(result, seeds=3, archs=("bilstm",), corpora=CORPORA, recipes=("dropout", "uegr")):
    def wrong(recipe: str, seed: int) -> list[int]:
        own = [*range(5, 30 + 3 * seed), 100, 101]
        return own if recipe != "dropout" else [*range(40 + 2 * seed)]

    return [
        result(r, c, a, s, n=400, wrong=wrong(r, s))
        for r in recipes
        for c in corpora
        for a in archs
        for s in range(seeds)
    ]


def rows(table: Table) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_each_number_is_that_of_its_plan(result):
    (table,) = build_tables(cells(result), paper=True)
    heading, found, notes = resolution([table])
    assert (heading, type(notes)) == (Heading("BiLSTM", 3), List)
    assert [*rows(found)] == [*map(display, CORPORA), "AVG"]
    estimates = [c.estimate for c in table.comparisons.values()]
    imdb, mean = rows(found)["IMDB"], rows(found)["AVG"]
    for row, plan, paper in ((imdb, Plan((estimates[0],)), 0.0194), (mean, Plan((*estimates,)), 0.017025)):
        assert row["Detectable, 3 seeds"] == f"{100 * plan.detectable():.2f}"
        assert row["6 seeds"] == f"{100 * dataclasses.replace(plan, seeds=6).detectable():.2f}"
        assert row["UEGR - Dropout in the paper"] == f"{100 * paper:+.2f}"
        assert row["Seeds for that"] == str(seeds_needed(plan, paper) or "over 100")
    # Of seed s Dropout misses 0 to 39 + 2 s, UEGR 5 to 29 + 3 s, 100 and 101: 5 + 10 - s + 2 of 400 differ.
    assert imdb["Answered differently"] == "4.0%"
    assert imdb["Test texts"] == "400"
    assert imdb["Spread over seeds"] == "0.25"  # differences of 13, 12 and 11 texts: sd 1 of 400
    assert float(mean["Spread over seeds"]) == pytest.approx(0.125, abs=0.0051)  # of a mean of four: a half
    assert (mean["Test texts"], mean["Answered differently"]) == ("–", "–")


def test_six_seeds_stand_once(result):
    (table,) = build_tables(cells(result, seeds=6), paper=True)
    header = resolution([table])[1].header
    assert [text for text in header if "6 seeds" in text] == ["Detectable, 6 seeds"]


def test_one_seed_has_no_table_and_a_corpus_without_pairs_no_average(result):
    assert resolution(build_tables(cells(result, seeds=1), paper=True)) == []
    assert resolution(build_tables(cells(result, recipes=("dropout", "at")), paper=True)) == []
    part = cells(result, corpora=("imdb", "tnews")) + cells(result, seeds=1, corpora=("iflytek",))
    (table,) = build_tables(part, paper=True)
    assert [*rows(resolution([table])[1])] == ["IMDB", "TNEWS"]


def test_corpora_of_other_numbers_of_seeds_are_named(result):
    part = cells(result, corpora=("imdb",)) + cells(result, seeds=2, corpora=("tnews",))
    (table,) = build_tables(part, paper=True)
    assert "Detectable, 2 to 3 seeds" in resolution([table])[1].header
    # The spread that is known worst: from two seeds.
    assert "From 2 seeds the true one is 0.4 to 31.9 times it (95%)" in markdown(resolution([table]))


def test_without_a_number_of_the_paper_there_is_none_to_resolve(result):
    for options in ({}, {"paper": True, "reference": "uegr"}):
        found = resolution(build_tables(cells(result), **options))
        texts = [
            row["Seeds for that"]
            for block in found
            if isinstance(block, Table)
            for row in rows(block).values()
        ]
        assert set(texts) <= {"–"}
    (own,) = build_tables(cells(result, corpora=("bbc_news",)), paper=True)
    assert rows(resolution([own])[1])["BBC News"]["Seeds for that"] == "–"


@pytest.mark.parametrize("archs", [("bilstm",), ("bilstm", "textcnn")])
def test_a_table_a_model_and_the_notes_once(result, archs):
    blocks = resolution(build_tables(cells(result, archs=archs), paper=True))
    assert [block.text for block in blocks if isinstance(block, Heading)] == [*map(display, archs)]
    assert sum(isinstance(block, List) for block in blocks) == 1
