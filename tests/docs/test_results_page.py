"""docs/results.md and its figures are what the command makes of the committed results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoo.report.page import build_page, write_page

REPOSITORY = Path(__file__).parents[2]
RESULTS, DOCS = REPOSITORY / "results", REPOSITORY / "docs"
MAKE_IT = "make it anew: python -m zoo.report.page"

pytestmark = pytest.mark.skipif(
    not (RESULTS / "quick").exists(), reason="results/quick is not there: no results of the quick grid yet"
)


def test_the_page_is_what_the_results_give():
    assert (DOCS / "results.md").read_text(encoding="utf-8") == build_page(RESULTS, DOCS), MAKE_IT


def test_the_figures_are_what_the_results_give(tmp_path):
    """Byte for byte under the matplotlib that drew the committed ones; else only that they are there."""
    import matplotlib

    drawn = [path for path in write_page(RESULTS, tmp_path) if path.suffix == ".svg"]
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(figures/(.*?\.svg)\)", page)) == sorted(path.name for path in drawn)
    for path in drawn:
        committed = (DOCS / "figures" / path.name).read_text(encoding="utf-8")
        if f"Matplotlib v{matplotlib.__version__}," in committed:
            assert path.read_text(encoding="utf-8") == committed, MAKE_IT
