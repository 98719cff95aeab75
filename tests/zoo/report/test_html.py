"""The page: whole by itself, well-formed, named for readers of every kind, and the same as the JSON."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

import zoo.report.html as page
from zoo.evidence.cells import Cells
from zoo.evidence.judged import Held, judged
from zoo.report.blocks import Figure, Fold, Heading, List, Table, Text, latex, markdown, terminal
from zoo.report.chart import Chart, Mark, Series
from zoo.report.drawn import drawings, drawn
from zoo.report.folder import Read
from zoo.report.html import MOST_ROWS, html

VOID = {"meta", "br", "img", "link"}
MARKS = (
    Mark(1, 2, "first", notes=("settings",)),
    Mark(2, 3, "second", notes=("settings", "command")),
)
CHART = Chart(
    "A chart", "How it is read.", "x", "y", (Series("s", MARKS, 1),), ("", "1", "2"), (("s", "2", "3"),)
)  # fmt: skip
ATTACKED = {"rows": 100, "attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms"}


class Parsed(HTMLParser):
    """Every element with its attributes and its text; complains of what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}"
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for i in self._open:
            self.elements[i][2].append(data)

    def all(self, *tags: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for tag, attributes, text in self.elements if tag in tags]


@pytest.fixture
def what(result, failed) -> Read:
    """A grid of two corpora and a missing and a failed place, three seeds, with the reference row."""
    attacked = {"measures": {"attacked_accuracy": 0.5}, "attacked": ATTACKED}
    made = [
        result(recipe, corpus, "texthan", seed, n=200, wrong=range(w + seed), **attacked)
        for recipe, w in (("standard", 40), ("dropout", 40), ("uegr", 10))
        for corpus in ("imdb", "tnews")
        for seed in range(3)
    ]
    made += [failed("at", "imdb", "texthan"), result("tfidf_svm", "imdb", "-", n=200)]
    return Read(Held({"two": Cells.of(made)}), {}, ("results/times",))


@pytest.fixture
def made(what: Read) -> str:
    return drawn("html", what, judged(what.held), Path("results"), 80)


def test_it_needs_no_network(made: str) -> None:
    parsed = Parsed(made)
    for tag, attributes, _ in parsed.elements:
        assert not {"src", "srcset", "action", "background", "xlink:href"} & set(attributes), tag
        assert (attributes.get("href") or "#").startswith("#")
    assert not {tag for tag, _, _ in parsed.elements} & {"link", "iframe", "object", "embed", "img"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?://(?!www\.w3\.org/2000/svg)", made)


def test_everything_has_a_name(made: str) -> None:
    parsed = Parsed(made)
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(parsed.all("h1")) == len(parsed.all("main")) == len(parsed.all("nav")) == 1
    tables, captions, figures = parsed.all("table"), parsed.all("caption"), parsed.all("figure")
    assert len(tables) == len(captions) > 5
    assert all(text.strip() for _, text in captions)
    assert all(attributes.get("scope") in ("col", "row") for attributes, _ in parsed.all("th"))
    drawings = [attributes for attributes, _ in parsed.all("svg") if attributes.get("role") == "group"]
    assert len(figures) == len(drawings) == len(parsed.all("figcaption")) == len(parsed.all("title")) - 1 > 3
    for drawing in drawings:
        assert {drawing["aria-labelledby"], drawing["aria-describedby"]} <= set(ids)
    marks = [a for a, _ in parsed.all("g") if a.get("class") == "m"]
    assert marks
    assert all(mark["aria-label"] for mark in marks)
    links = {attributes["href"] for attributes, _ in parsed.all("a")}
    assert links <= {f"#{name}" for name in ids}
    levels = [int(tag[1]) for tag, _, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels)), "a level of headings is left out"


def test_its_claims_are_those_of_the_json(what: Read, made: str) -> None:
    """Text, verdict, estimate with interval and n, row by row."""
    table = made[made.index("<caption>Every claim</caption>") :].split("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)[1:]]
    found = [own.as_json() for own in judged(what.held)]
    assert len(rows) == len(found) >= 10
    for own, (text, verdict, numbers, n, *_) in zip(found, rows, strict=True):
        assert text == f"{own['text']} ({own['source']})"
        assert re.sub("<.*?>", "", verdict) == own["verdict"]
        assert int(n) == own["n"]
        if own["unit"] and own["interval"]:
            low, high = own["interval"]
            assert numbers == f"{own['estimate']:+.2f} [{low:+.2f}, {high:+.2f}] points"
    assert {own["verdict"] for own in found} == {"supported", "cannot tell"}
    number = sum(own["verdict"] == "supported" for own in found)
    assert f"Of {len(found)} claims of the paper, these results support {number}, do not support 0" in made


def test_a_name_is_never_markup() -> None:
    evil = '</script><script>alert("x")</script> & <b>'
    series = Series(evil, (Mark(0, 0, evil, notes=(evil,)),), 0)
    chart = Chart(evil, evil, evil, evil, (series,), (evil,), ((evil,),))
    table = Table((evil, evil), ((evil, evil),), evil, prose=True)
    blocks = [Heading(evil, 1), Heading(evil), Text(evil), Text(evil, markup=True), List((evil,)), table]
    blocks += [Figure("", evil, chart), Fold(evil, ())]
    made = html(blocks, evil)
    parsed = Parsed(made)
    assert len(parsed.all("script")) == 2
    assert made.count("alert") == made.count("&gt;alert") + made.count(">alert(\\") > 10
    (notes,) = (text for attributes, text in parsed.all("script") if attributes.get("id") == "notes")
    assert json.loads(notes) == [evil]


def test_a_mark_points_to_its_notes_and_each_note_stands_once() -> None:
    parsed = Parsed(html([Figure("", "", CHART), Figure("", "", CHART)], "t"))
    (notes,) = (text for attributes, text in parsed.all("script") if attributes.get("id") == "notes")
    assert json.loads(notes) == ["settings", "command"]
    assert [a.get("data-n") for a, _ in parsed.all("g")] == ["0", "0 1"] * 2


def test_verdicts_are_told_apart_without_colour() -> None:
    made = html([Table(("a", "b"), (("x", "supported"), ("y", "not supported"), ("z", "cannot tell")))], "t")
    assert re.findall(r'<b class="(\w+)">', made) == ["yes", "no", "open"]
    style = (Path(page.__file__).parent / "page.css").read_text()
    assert len(set(re.findall(r'b\.(?:yes|no|open)::before\{content:"(.)', style))) == 3


def test_the_prose_of_other_pages_is_read() -> None:
    made = html([Text("A `code` and\n**bold**.\n\n- one \\< two\n- three", markup=True)], "t")
    assert "<p>A <code>code</code> and\n<strong>bold</strong>.</p>" in made
    assert "<li>one &lt; two\n</li><li>three</li>" in made


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = tuple((f"row {i}", "1") for i in range(MOST_ROWS + 5))
    made = html([Table(("a", "b"), rows)], "t")
    assert made.count("<tr>") == 1 + MOST_ROWS
    assert "And 5 more rows" in made
    assert "more rows" not in html([Table(("a", "b"), rows[:MOST_ROWS])], "t")


def test_a_page_of_many_cells_is_not_longer(result) -> None:
    """Forty seeds make the page of three: what is shown are means, and each setting and command once."""

    def size(seeds: int) -> int:
        made = [
            result(recipe, "imdb", "textcnn", seed, n=50, wrong=range(w + seed % 3))
            for recipe, w in (("dropout", 9), ("uegr", 5))
            for seed in range(seeds)
        ]
        own = Read(Held({"one": Cells.of(made)}), {}, ())
        return len(drawn("html", own, judged(own.held), Path("one"), 80))

    assert size(40) < 1.05 * size(3)


def test_the_same_blocks_in_every_form(what: Read) -> None:
    found = judged(what.held)
    texts = {form: drawn(form, what, found, Path("r"), 80) for form in ("markdown", "latex", "csv", "text")}
    for form in ("markdown", "latex", "text"):
        words = " ".join(texts[form].split())
        assert "UEGR is more accurate than training with dropout alone." in words
        assert "TextHAN: differences to Dropout" in words, "a chart is a table where nothing is drawn"
    assert max(map(len, texts["text"].splitlines())) <= 80
    assert texts["csv"].startswith("folder,arch,recipe,")
    assert texts["csv"].count("\ntwo,texthan,uegr,") == 3
    files = drawings(what, found, Path("r"))
    assert len(files) == len(Parsed(drawn("html", what, found, Path("r"), 80)).all("figure"))
    for text in files.values():
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "<style>" in text


def test_folds_and_charts_are_headings_and_tables_elsewhere() -> None:
    blocks = [Heading("Top"), Fold("More", (Text("inner"), Figure("", "alt", CHART)))]
    drawn_as = markdown(blocks)
    assert drawn_as.startswith("## Top\n\n### More\n\ninner\n\n**A chart**\n\n|  | 1 | 2 |")
    assert drawn_as.endswith("| s | 2 | 3 |\n")
    assert "More: A chart" in latex(blocks)
    assert "A chart" in terminal(blocks)
    assert "![alt](p.svg)" in markdown([Figure("p.svg", "alt", CHART)])


def contrast(first: str, second: str) -> float:
    """As WCAG 2.2 defines it, of two colours in hexadecimal."""

    def luminance(colour: str) -> float:
        digits = colour * 2 if len(colour) == 3 else colour
        if len(colour) == 3:
            digits = "".join(c * 2 for c in colour)
        shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_in_light_and_dark() -> None:
    """Text at least 4.5 to 1, marks 3 to 1, on the page and on a figure's ground."""
    assert contrast("000", "ffffff") == pytest.approx(21)
    style = (Path(page.__file__).parent / "page.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+):#([0-9a-f]+)", part))
        for part in re.findall(r":root\{(.*?)\}", style, re.S)[:2]
    )
    assert set(light) == set(dark)
    for colours in (light, dark):
        for ground in (colours["paper"], colours["card"]):
            for name in ("ink", "soft", "link", "yes", "no", "open"):
                assert contrast(colours[name], ground) >= 4.5, name
            for i in range(8):
                assert contrast(colours[f"c{i}"], ground) >= 3, i
