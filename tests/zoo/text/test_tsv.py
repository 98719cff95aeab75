"""Files of tabs: a quote is text where lines are rows, and no row is lost where cells are quoted."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text.sources.columns import Asked
from zoo.text.sources.lines import tsv_rows
from zoo.text.sources.own import own_source

TEXTS = [f"film {i} was {'good' if i % 2 else 'bad'}" for i in range(120)]
LABELS = ["pos" if i % 2 else "neg" for i in range(120)]


def unquoted(path: Path, texts: list[str]) -> Path:
    rows = "".join(f"{text}\t{label}\n" for text, label in zip(texts, LABELS, strict=True))
    path.write_text(f"text\tlabel\n{rows}")
    return path


def texts_of(path: Path) -> list[str]:
    return own_source(path, Asked()).read().parts["train"].texts


def test_a_quote_that_begins_a_text_swallows_no_row(tmp_path: Path) -> None:
    """Taken for the beginning of a quoted cell, it would reach to the next text that ends with one."""
    texts = list(TEXTS)
    texts[10], texts[40], texts[70] = f'"{texts[10]}', f'{texts[40]}"', f'"film" {texts[70]}'
    assert texts_of(unquoted(tmp_path / "mine.tsv", texts)) == texts


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("more", ['"', ' "so" they say', '""', "\nsecond line", '\n\n"quoted"'])
def test_quoted_cells_lose_their_quotes(tmp_path: Path, more: str, quoting: int) -> None:
    texts = [f"{text}{more}" for text in TEXTS]
    with (tmp_path / "mine.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t", quoting=quoting)
        rows.writerows([("text", "label"), *zip(texts, LABELS, strict=True)])
    assert texts_of(tmp_path / "mine.tsv") == texts


def test_what_may_be_a_row_in_quotes_is_refused(tmp_path: Path) -> None:
    """Line 7 has a cell too many, so that lines are no rows; then line 12 would swallow those up to 43."""
    texts = list(TEXTS)
    texts[5], texts[10], texts[41] = '"film\t5"', f'"{texts[10]}', f'{texts[41]}"'
    path = unquoted(tmp_path / "mine.tsv", texts)
    with pytest.raises(UserError, match=r"mine.tsv, line 7: a quote that opens here closes in line 7, over"):
        texts_of(path)
    texts[5] = "film\t5"
    unquoted(path, texts)
    with pytest.raises(UserError, match=r"mine.tsv, line 7: 3 cells; expected 2 as in the header"):
        texts_of(path)
    texts[5], texts[119] = "film 5", '"film\n119"'
    unquoted(path, texts)
    with pytest.raises(UserError, match=r"mine.tsv, line 12: a quote .* in line 43, over a tab or a row"):
        texts_of(path)


def test_in_one_column_a_line_break_in_quotes_may_part_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text('text\none\n"two\nthree"\nfour\n')
    with pytest.raises(UserError, match=r"mine.tsv, line 3: a quote that opens here closes in line 4"):
        list(tsv_rows(path))
    path.write_text('text\n\n"one ""1"""\ntwo')
    assert list(tsv_rows(path)) == [(1, ["text"]), (3, ['one "1"']), (4, ["two"])]
