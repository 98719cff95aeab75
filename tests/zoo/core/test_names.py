"""The order of print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zoo.core.names import ARCHS, BASELINE, RECIPES, corpora, display, in_order


@given(st.permutations(["uegr", "zebra", "standard", BASELINE, "another", "uegr", "freelb"]))
def test_known_names_first_then_others_by_name_the_baseline_last(names: list[str]) -> None:
    assert in_order(names) == ("standard", "uegr", "freelb", "another", "zebra", BASELINE)


def test_the_order_of_the_tables_is_that_of_print() -> None:
    for table in (RECIPES, ARCHS, corpora()):
        assert in_order(reversed(list(table))) == tuple(table)


def test_an_unknown_name_prints_as_it_is() -> None:
    assert display("my_corpus.csv") == "my_corpus.csv"
    assert display("uegr") == "UEGR"
    assert display(BASELINE) == "TF-IDF + linear SVM"
