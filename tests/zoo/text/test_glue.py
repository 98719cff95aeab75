"""GLUE as it is published: tab-separated files with quotes that are text, and parquet files of the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import load_examples
from zoo.text.settings import OwnTokens

BITS = ("0", "1")
RTE = "index\tsentence1\tsentence2\tlabel\n"
# Folder, head, a line, labels in turn.
TSV = {
    "glue_sst2": ("SST-2", "sentence\tlabel\n", 'a "film {i} \t{k}\n', BITS),
    "glue_cola": ("CoLA", "", 'gj04\t{k}\t*\tThe "cat {i}.\n', BITS),
    "glue_mrpc": (
        "MRPC", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n", '{k}\t1\t2\tA "b {i}\tC {i}\n', BITS
    ),
    "glue_rte": ("RTE", RTE, '{i}\tA "b {i}\tc {i}\t{k}\n', ("entailment", "not_entailment")),
    "glue_qqp": (
        "QQP", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n", '1\t2\t3\t"a {i}\tb {i}\t{k}\n', BITS
    ),
    "glue_stsb": (
        "STS-B", RTE.replace("label", "score"), '{i}\tA "b {i}\tc {i}\t{k}\n', ("0.000", "4.800")
    ),
}  # fmt: skip


def write(root: Path, name: str) -> Path:
    folder, head, line, labels = TSV[name]
    (root / folder).mkdir()
    for part, first, count in (("train", 0, 40), ("dev", 100, 10)):
        rows = [line.format(i=i, k=labels[i % 2]) for i in range(first, first + count)]
        (root / folder / f"{part}.tsv").write_text(head + "".join(rows))
    return root / folder


@pytest.mark.parametrize("name", TSV)
def test_no_line_of_the_tsv_is_lost(name: str, tmp_path: Path) -> None:
    """Every second line opens a quote that is never closed."""
    write(tmp_path, name)
    found = load_examples(name, OwnTokens(), tmp_path)
    assert (len(found.train), len(found.validation), len(found.test)) == (36, 4, 10)
    for part in (found.train, found.validation, found.test):
        for i, text in enumerate(part.texts):
            number = int("".join(filter(str.isdigit, text)))
            assert part.labels[i] == pytest.approx((4.8 if name == "glue_stsb" else 1) * (number % 2))
            assert '"' in text
            assert not part.pairs or part.pairs[i].endswith(str(number))
    assert bool(found.train.pairs) == (name not in ("glue_sst2", "glue_cola"))


def test_lines_of_another_number_of_cells_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, "glue_qqp")
    with (folder / "train.tsv").open("a") as file:
        file.write("1\t2\t3\tbroken\n")
    found = load_examples("glue_qqp", OwnTokens(), tmp_path)
    assert "train: 1 lines of another number of cells left out" in found.notes
    assert "broken" not in found.train.texts


def test_a_tsv_without_its_columns_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path, "glue_rte")
    (folder / "train.tsv").write_text("a\tb\nx\ty\n")
    with pytest.raises(UserError, match=r"train.tsv, line 1: columns a, b; expected sentence1"):
        load_examples("glue_rte", OwnTokens(), tmp_path)


def test_mnli_s_dev_part_is_the_matched_one(tmp_path: Path) -> None:
    (tmp_path / "MNLI").mkdir()
    labels = ("entailment", "neutral", "contradiction")
    for part, count in (("train", 60), ("dev_matched", 9), ("dev_mismatched", 12)):
        rows = [f"{i}\t{part} {i}\tb {i}\t{labels[i % 3]}\n" for i in range(count)]
        (tmp_path / "MNLI" / f"{part}.tsv").write_text(
            "index\tsentence1\tsentence2\tgold_label\n" + "".join(rows)
        )
    found = load_examples("glue_mnli", OwnTokens(), tmp_path)
    assert found.test.texts == [f"dev_matched {i}" for i in range(9)]
    assert found.test.labels.tolist() == [i % 3 for i in range(9)]


@pytest.mark.parametrize("name", ["glue_rte", "glue_stsb"])
def test_the_parquet_files_of_the_hub(name: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / name.removeprefix("glue_")
    folder.mkdir()
    unit = 4.8 if name == "glue_stsb" else 1
    for file, first, count in (
        ("train-00000-of-2", 0, 20),
        ("train-00001-of-2", 20, 20),
        ("validation-0", 100, 10),
    ):
        numbers = range(first, first + count)
        texts = {f"sentence{k}": [f"{k} {i}" for i in numbers] for k in (1, 2)}
        table = pyarrow.table({**texts, "label": [unit * (i % 2) for i in numbers], "idx": list(numbers)})
        # The hub names the classes in its own words.
        features = {"label": {"names": ["so", "not so"], "_type": "ClassLabel"}}
        written = {"huggingface": json.dumps({"info": {"features": features}})}
        parquet.write_table(table.replace_schema_metadata(written), folder / f"{file}.parquet")
    found = load_examples(name, OwnTokens(), tmp_path)
    assert (len(found.train), len(found.validation), len(found.test)) == (36, 4, 10)
    assert found.test.texts == [f"1 {i}" for i in range(100, 110)]
    assert found.test.pairs == [f"2 {i}" for i in range(100, 110)]
    assert found.test.labels.tolist() == pytest.approx([unit * (i % 2) for i in range(100, 110)])
