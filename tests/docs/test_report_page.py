"""The report in a browser: nothing is asked of a network, it fits a phone, and every mark says what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import browser
from browser import Browser
from zoo.report.__main__ import main

RESULTS = Path(__file__).parents[2] / "results" / "demo"

# Texts of drawings that leave their drawing.
CUT = """[...document.querySelectorAll('figure svg text')].filter(text => {
  const own = text.getBoundingClientRect(), whole = text.ownerSVGElement.getBoundingClientRect();
  return own.left < whole.left - 1 || own.right > whole.right + 1;
}).map(text => text.textContent)"""

pytestmark = [
    pytest.mark.skipif(browser.found() is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.skipif(not RESULTS.exists(), reason="no committed results here"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "page.html"
    assert main([str(RESULTS), "--out", str(path)]) == 0
    return path


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as one:
        yield one


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (768, "light"), (1280, "dark")])
def test_it_opens_at_every_width_and_asks_for_nothing(report, page, width, scheme) -> None:
    page.open(report, width, 900, scheme)
    assert page.run("document.documentElement.scrollWidth") == width
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert asked == [report.resolve().as_uri()]
    assert not [e for e in page.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 27)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert page.run(CUT) == []


def test_marks_are_reached_by_key_and_say_cell_and_command(report, page) -> None:
    page.open(report)
    page.call("Emulation.setFocusEmulationEnabled", enabled=True)
    page.run("document.querySelector('figure .m').focus()")
    first = page.run("document.getElementById('tip').textContent")
    assert (
        page.run("document.querySelectorAll('figure')[0].querySelectorAll('.m[tabindex=\"0\"]').length") == 1
    )
    page.press("ArrowDown")
    second = page.run("document.getElementById('tip').textContent")
    assert first != second
    for said in (first, second):
        assert "python -m zoo.ablate --preset demo --arch texthan --corpus" in said
        assert "cell bbc_news-texthan-" in said or "cell zh_reviews-texthan-" in said
    assert page.run("document.activeElement.getAttribute('aria-describedby')") == "tip"
    page.press("Escape")
    assert page.run("document.getElementById('tip').hidden")


def test_print_unfolds_everything(report, page) -> None:
    page.open(report)
    shut = "document.querySelectorAll('details:not([open])').length"
    before = page.run(shut)
    assert before > 0
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(shut) == 0
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(shut) == before
