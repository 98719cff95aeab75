"""What the written pages print as commands is understood, and what docs/howto/table_iv.md says is so."""

from __future__ import annotations

import json
import re
import shlex
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from zoo import ablate, fit, robust
from zoo.core.cards import load_card
from zoo.core.identity import cell_id
from zoo.recipes import TABLE_IV
from zoo.report import __main__ as report
from zoo.studies.options import study_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.glob("howto/*.md")),
    DOCS / "huggingface.md",
    DOCS / "machines.md",
    DOCS / "robustness.md",
]
PAGE = (DOCS / "howto" / "table_iv.md").read_text("utf-8")
PARSERS = {
    "zoo.ablate": ablate.parse, "zoo.fit": fit.parse, "zoo.robust": robust.parse, "zoo.report": report.parse,
}  # fmt: skip
COMMAND = re.compile(r"python -m (zoo\.\w+) ([^;]*)")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Module and words of each command after `$ `, with the lines that a backslash joins."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [COMMAND.search(line) for line in lines if line.startswith("$ ")]
    return [(one[1], shlex.split(one[2], comments=True)) for one in found if one]


def committed(folder: str) -> list[dict[str, Any]]:
    """The networks of Table IV among the committed results."""
    files = [json.loads(path.read_text("utf-8")) for path in (ROOT / "results" / folder).glob("*-s?-*.json")]
    return [file for file in files if file["cell"]["recipe"] in TABLE_IV]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    for module, words in commands(page.read_text("utf-8")):
        if module not in PARSERS or words[0] in ("merge", "report", "pack"):
            continue
        options = PARSERS[module](words)
        if module == "zoo.ablate" and "mine" not in words:
            study_of(options)  # refuses a name that nothing has


def test_extras_are_installed_as_a_clone_can() -> None:
    """The package is on no index, so that `pip install uegr[...]` finds nothing."""
    for page in [*DOCS.rglob("*.md"), ROOT / "data" / "README.md"]:
        assert "install 'uegr" not in " ".join(page.read_text("utf-8").split()), page


def test_a_method_of_ones_own_goes_where_its_page_says() -> None:
    beside = re.findall(r"^ (.*)\n\+", (DOCS / "howto" / "method.md").read_text("utf-8"), re.MULTILINE)
    lines = (ROOT / "zoo" / "recipes.py").read_text("utf-8").splitlines()
    assert len(beside) == 2
    assert set(beside) <= set(lines)


@pytest.mark.parametrize("folder", ["full", "quick"])
def test_the_command_for_a_folder_asks_for_the_committed_cells(folder: str) -> None:
    asking = [words for _, words in commands(PAGE) if "--preset" in words and f"runs/{folder}" in words]
    for words in asking:
        study = study_of(ablate.parse(words))
        asked = set(product(study.corpora, study.archs, study.recipes, study.seeds))
        assert len(asked) == 252
        for file in committed(folder):
            cell = file["cell"]
            assert (cell["corpus"], cell["arch"], cell["recipe"], cell["seed"]) in asked
            text = study.text(cell["corpus"], 0)
            named = study.settings(cell["arch"], cell["recipe"], text, cell["corpus"]).named()
            assert cell_id(cell, named, file["corpus"]["fingerprint"]) == file["id"]
    assert asking
    assert len(committed(folder)) >= 84


def test_rows_and_hours_are_those_of_cards_and_results() -> None:
    words = " ".join(PAGE.split())
    rows = [load_card(name).rows for name in ("imdb", "ag_news", "tnews", "iflytek")]
    printed = re.findall(r" ([\d,]+) / ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert printed == [(f"{each['train']:,}", f"{each['test']:,}") for each in rows]

    hours, partial = dict.fromkeys(("bilstm", "textcnn", "texthan"), 0.0), {}
    for file in committed("full"):
        if file["cell"]["seed"] == 0:
            hours[file["cell"]["arch"]] += file["seconds"]["total"] / 3600
        for note in file["corpus"]["notes"]:
            if note.startswith("partial"):
                partial[file["cell"]["corpus"]] = re.findall(r"[\d,]+", note)
    took = "took {:.1f} hours of one core with BiLSTM, {:.1f} with TextCNN and {:.1f} with TextHAN"
    assert took.format(*hours.values()) in words
    lacking = "from {} of the {} training rows of AG News and from {} of the {} of IFLYTEK"
    assert lacking.format(*partial["ag_news"], *partial["iflytek"]) in words
    assert len(partial) == 2
