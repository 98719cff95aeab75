"""Launches are counted operator by operator; what stands in the table is no less than a step launches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import command as bench
from bench.cases import Case
from bench.files import read
from bench.launches import META, SEEDS, VOCABULARY, counted, launches_of, stacked_launches_of
from bench.report_launches import launches, stacked
from zoo.method.several import why_alone
from zoo.recipes import RECIPES
from zoo.training.graphs import why_not_recorded

RESULTS = Path(__file__).parents[2] / "results" / "performance"


def small(arch: str, recipe: str = "uegr", length: int = 24) -> Case:
    return Case(arch, recipe, length, batch=4, vocabulary=50, sizes="demo")


def test_what_computes_counts_and_views_do_not() -> None:
    x = torch.empty(4, 6, device=META, requires_grad=True)
    with counted() as found:
        y = x.detach().view(2, 12)[:1].expand(3, 12).t()
        empty = torch.empty_like(y).new_empty(3)
    assert (sum(found.values()), empty.shape) == (0, (3,))
    with counted() as found:
        (x.sort(-1).values * 2).sum().backward()  # sort, product, sum; ones, product, scatter into zeros
    assert sum(found.values()) == 3 + 4


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_recurrent_layer_is_one_launch_whatever_its_length(kind: type[nn.LSTM] | type[nn.GRU]) -> None:
    zeros = 2 if kind is nn.LSTM else 1  # its first states
    for length in (1, 7):
        layer = kind(3, 5, batch_first=True, device=META)
        x = torch.empty(2, length, 3, device=META, requires_grad=True)
        with counted() as found:
            states, _ = layer(x)
            assert (states.shape, sum(found.values())) == ((2, length, 5), zeros + 1)
            states.backward(states.detach())
        assert sum(found.values()) == zeros + 2
        assert x.grad is not None


def test_a_step_is_counted_by_what_asks_for_it() -> None:
    standard, uegr = (launches_of(small("bilstm", recipe)) for recipe in ("standard", "uegr"))
    assert "method/rates" not in standard
    assert {"method/rates", "method/trainee", "fast/recurrent", "fast/ranks"} <= set(uegr)
    assert "others" not in uegr
    assert sum(uegr.values()) > 2 * sum(standard.values())
    assert launches_of(small("bilstm", length=48)) == uegr, "a launch a layer, not a word"


def test_every_recipe_that_a_gpu_records_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["launches", "--arch", "textcnn", "--length", "24", "--sizes", "demo"]
    assert bench.main(options) == 0
    found = json.loads(capsys.readouterr().out)
    names = [name for name, recipe in RECIPES.items() if why_not_recorded(recipe) is None]
    assert [(row["arch"], row["recipe"]) for row in found["launches"]] == [("textcnn", n) for n in names]
    assert all(row["launches"] == sum(row["where"].values()) for row in found["launches"])
    assert found["made_by"]["version"]
    several = {row["recipe"]: row for row in found["stacked"]}
    assert list(several) == [name for name in names if not why_alone(RECIPES[name])]
    for row in found["launches"]:
        if row["recipe"] in several:
            assert several[row["recipe"]]["seeds"] == SEEDS == 3
            assert row["launches"] < several[row["recipe"]]["launches"] < SEEDS * row["launches"]


def test_a_standard_step_of_six_seeds_launches_what_one_of_three_does() -> None:
    three, six = (stacked_launches_of(small("textcnn", "standard"), seeds) for seeds in (3, 6))
    assert three == six


def test_bad_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["launches", "--arch", "textcn"]) == 2
    assert "did you mean 'textcnn'" in capsys.readouterr().err


def test_the_tables_are_before_and_now(tmp_path: Path) -> None:
    def write(name: str, commit: str, uegr: int, file: str) -> None:
        rows = [
            {"arch": "textcnn", "recipe": "standard", "launches": 50, "where": {"method/trainee": 50}},
            {"arch": "textcnn", "recipe": "uegr", "launches": uegr, "where": {file: uegr - 9, "a": 9}},
        ]
        several = [
            {"arch": "textcnn", "recipe": recipe, "seeds": 3, "launches": count}
            for recipe, count in (("standard", 60), ("uegr", 180))
        ]
        found = {"launches": rows, "stacked": several, "made_by": {"commit": commit}}
        (tmp_path / name).write_text(json.dumps(found))

    write("launches_before.json", "first", 200, "fast/ranks")
    write("launches.json", "second", 125, "b")
    (table,) = stacked(tmp_path)
    assert table.rows == (
        (
            "standard",
            "3 × 50 → 60",
        ),
        ("uegr", "3 × 125 → 180"),
    )
    said, recipes, _, parts = launches(tmp_path)
    assert "at commit first" in said.text
    assert recipes.rows == (
        ("standard", "50 → 50"), ("uegr", "200 → 125"), ("uegr / standard", "4.0 → 2.5"),
    )  # fmt: skip
    assert parts.rows == (("ranks", "191 → 0"), ("b", "0 → 116")), "a file of 9 is left out"


@pytest.mark.parametrize("arch", ["textcnn", "bilstm"])
def test_a_step_launches_no_more_than_the_page_says(arch: str) -> None:
    """More: find out why; less or other sizes: python -m zoo.bench launches --out, then zoo.bench report."""
    committed = read(RESULTS / "launches.json")
    if committed["machine"]["torch"].split("+")[0] != torch.__version__.split("+")[0]:
        pytest.skip("another torch may take other operators")
    said = {(row["arch"], row["recipe"]): row["launches"] for row in committed["launches"]}
    found = launches_of(Case(arch, "uegr", 64, vocabulary=VOCABULARY, sizes="paper"))
    assert sum(found.values()) <= said[arch, "uegr"]
    several = {(row["arch"], row["recipe"]): row["launches"] for row in committed["stacked"]}
    found = stacked_launches_of(Case(arch, "uegr", 64, vocabulary=VOCABULARY, sizes="paper"), SEEDS)
    assert sum(found.values()) <= several[arch, "uegr"]
