"""The pages of results and their figures are what the command makes of the committed results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoo.report.page import NOTES, OTHERS, build_pages, draw_figures

REPOSITORY = Path(__file__).parents[2]
RESULTS, DOCS = REPOSITORY / "results", REPOSITORY / "docs"
MAKE_IT = "make it anew: python -m zoo.report.page"

pytestmark = pytest.mark.skipif(
    not (RESULTS / "quick").exists(), reason="results/quick is not there: no results of the quick grid yet"
)


@pytest.fixture(scope="module")
def pages():
    return build_pages(RESULTS, DOCS)


def test_the_pages_are_what_the_results_give(pages):
    for name, text in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name}: {MAKE_IT}"


def test_there_are_no_other_pages_and_each_note_is_in_one(pages):
    there = {f"{OTHERS}/{path.name}" for path in (DOCS / OTHERS).iterdir()}
    assert there == set(pages) - {"results.md"}
    assert {path.name for path in (DOCS / NOTES).iterdir()} <= {Path(name).name for name in pages}


def test_the_figures_are_what_the_results_give(tmp_path, pages):
    """Byte for byte under the matplotlib that drew the committed ones; else only that they are there."""
    import matplotlib

    drawn = [path for path in draw_figures(RESULTS, tmp_path) if path.suffix == ".svg"]
    shown = [
        name for text in pages.values() for name in re.findall(r"\((?:\.\./)?figures/(.*?\.svg)\)", text)
    ]
    assert sorted(shown) == sorted(path.name for path in drawn)
    for path in drawn:
        committed = (DOCS / "figures" / path.name).read_text(encoding="utf-8")
        if f"Matplotlib v{matplotlib.__version__}," in committed:
            assert path.read_text(encoding="utf-8") == committed, MAKE_IT
