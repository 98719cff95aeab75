"""The exercises in Chinese: each English text has its line, names and numbers are the same, lines fit."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.learn import checking, child, exercises, language, telling
from uegr_ref.learn.__main__ import main
from uegr_ref.learn.grading import LAWS, Verdict
from uegr_ref.learn.steps import STEPS
from uegr_ref.support.console import columns

HOME = Path(language.__file__).parent
CHINESE = tomllib.loads((HOME / "chinese.toml").read_text("utf-8"))
PAIRS = [pair for section in CHINESE.values() for pair in section.items()]
steps = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
WIDE = re.compile("[一-鿿]")


def functions(text: str) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]


def paragraphs() -> list[str]:
    """Of the docstrings in all English exercises."""
    texts = [exercises.text(step) for step in STEPS]
    heads = [
        (ast.get_docstring(ast.parse(text)) or "").partition("of the reference:\n\n")[2] for text in texts
    ]
    docs = [ast.get_docstring(node) or "" for text in texts for node in functions(text)]
    return [paragraph for doc in heads + docs for paragraph in doc.split("\n\n")]


def messages() -> set[str]:
    """What the commands and the exercises' heads say: the texts given to `said`, or to its short form."""
    found = {child.LOADS}
    for module in (telling, exercises):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("said", "say"):
                found |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    return found


def in_cells() -> set[str]:
    """What stands in columns in the exercises: formulas, tables, the numbered comments."""
    lines = [line for text in paragraphs() for line in text.split("\n")
             if not language.is_prose(text) and not text.startswith(">>>")]  # fmt: skip
    lines += [line for line in exercises.text(STEPS[-1]).split("\n") if re.match(r" *# \d", line)]
    return {cell for line in lines for _, cell in language.cells(line)}


def test_every_english_text_has_its_line_and_no_line_is_left_over():
    prose = {" ".join(text.split()) for text in paragraphs() if language.is_prose(text)}
    assert set(CHINESE["messages"]) == messages()
    assert set(CHINESE["steps"]) == {text for step in STEPS for text in (step.title, step.task)}
    assert set(CHINESE["hints"]) == {hint for step in STEPS for hint in step.hints}
    assert set(CHINESE["laws"]) == {law.says for graded in LAWS.values() for law, _, _ in graded}
    assert set(CHINESE["docstrings"]) == prose
    sentences = {cell for cell in in_cells() if re.search(r"(?<!\S)[a-z]{3,} [a-z]{3,}(?![(\w])", cell)}
    assert sentences <= set(CHINESE["cells"]) <= in_cells()
    assert len(dict(PAIRS)) == len(PAIRS)  # no text stands in two sections
    assert len(sentences) > 15


def test_a_translation_has_the_same_names_numbers_and_places():
    names, numbers, places = r"[A-Za-z]\w*_\w+|[\w.]+\(", r"\d[\d,.]*\d|\d", r"\{\w+\}"
    for english, chinese in PAIRS:
        assert WIDE.search(chinese), english
        for kind in (names, numbers, places, r"`[^`]+`", r'"\w+"'):
            assert set(re.findall(kind, english)) == set(re.findall(kind, chinese)), (kind, english)


@steps
def test_the_code_is_the_same_and_every_docstring_is_chinese(step):
    english, chinese = exercises.text(step), exercises.text(step, language="zh")
    pairs = list(zip(functions(english), functions(chinese), strict=True))
    assert WIDE.search(ast.get_docstring(ast.parse(chinese)) or "")
    for one, other in pairs:
        docs = [ast.get_docstring(node) or "" for node in (one, other)]
        assert WIDE.search(docs[1]) or not language.is_prose(docs[0])
        assert re.findall("^>>>.*", docs[0], re.M) == re.findall("^>>>.*", docs[1], re.M)
        for node in (one, other):
            node.body.pop(0)
        assert ast.dump(one) == ast.dump(other)
    parts = [ast.dump(ast.Module(ast.parse(text).body[1 : -len(pairs)], [])) for text in (english, chinese)]
    assert parts[0] == parts[1]
    assert max(map(columns, chinese.splitlines())) <= exercises.WIDTH


@given(
    st.lists(
        st.sampled_from(["掩", "码，", "（如", "p）", "。", "name_of", "x = 1", " ", "“是”"]), max_size=60
    )
)
def test_lines_fit_lose_nothing_and_do_not_begin_with_a_stop(pieces):
    text = "文" + "".join(pieces)
    lines = language.fill(text, 20, "1  ", "   ").split("\n")
    assert "".join("".join(lines).split()) == "1" + "".join(text.split())
    assert all(line[:3] == ("   " if i else "1  ") for i, line in enumerate(lines))
    for line in lines:
        # A row of stops hangs together, however long; so does a word.
        assert columns(line) <= 20 or " " not in line[3:]
        assert not line.endswith(("（", "“"))
    if " " not in text:
        assert not any(line[3:4] in tuple("，。）”") for line in lines)


def test_columns_stay_where_they_were():
    line = "    b    sharpness     > 0          b -> infinity is the step 1[s~ > a]       (paper: smoothness)"
    told = language.in_columns(line, "zh")
    assert columns(told[: told.index("（论文")]) == line.index("(paper")
    assert language.in_columns(line, "en") == line


def test_a_folder_keeps_its_language(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["start", str(folder), "--language", "zh", "--step", "9"]) == 0
    assert main(["start", str(folder), "--step", "10"]) == 0  # as the folder was started
    assert "第 10 步（共 12 步）：无偏的梯度。" in (folder / STEPS[9].file).read_text("utf-8")
    assert main(["check", str(folder), "9", "--examples", "3"]) == 1
    assert main(["hint", str(folder), "9"]) == 0
    printed = capsys.readouterr().out
    assert "  9  掩码                                           空白\n" in printed
    assert "1  rng.random(p.shape) 在 [0, 1) 上均匀分布。\n\n还有 1 个：再问一次。\n" in printed
    assert max(map(columns, printed.replace(str(folder), "my_uegr").splitlines())) <= 80
    assert main(["start", str(folder), "--language", "en", "--step", "11"]) == 0
    assert "Step 11 of 12" in (folder / STEPS[10].file).read_text("utf-8")
    assert json.loads((folder / "progress.json").read_text("utf-8"))["language"] == "en"


def test_without_the_option_all_is_english_and_nothing_is_kept(tmp_path, capsys):
    assert main(["start", str(tmp_path / "mine"), "--step", "9"]) == 0
    assert not (tmp_path / "mine" / "progress.json").exists()
    assert not WIDE.search(capsys.readouterr().out)


@pytest.mark.parametrize("kept", ["fr", ["zh"], None])
def test_a_language_that_is_none_is_told_in_a_line(tmp_path, capsys, kept):
    main(["start", str(tmp_path), "--step", "9"])
    (tmp_path / "progress.json").write_text(json.dumps({"language": kept, "steps": {}}), "utf-8")
    for command in (["start", str(tmp_path)], ["hint", str(tmp_path), "9"]):
        with pytest.raises(SystemExit, match="2"):
            main(command)
        assert "progress.json: wanted what `check` wrote" in capsys.readouterr().err


def test_the_chinese_page_shows_what_is_printed_of_the_english_pages_verdict():
    docs = Path(__file__).parents[2] / "docs"
    if not docs.is_dir():
        pytest.skip("no docs/ here: this is a copy of the package and its tests alone")
    page, english = [(docs / name).read_text("utf-8") for name in ("zh/learn.md", "learn.md")]
    words = re.search(r"> (the divergence .*)\n", english)[1]
    call = re.search(r"       at (js.*)\n", english)[1]
    laws = [law for law, _, _ in LAWS[3]]
    wrong = Verdict(laws[0].name, laws[0].says, False, words=words, call=call)._asdict()
    other = Verdict(laws[1].name, laws[1].says, True)._asdict()
    verdicts = (wrong, other, *[wrong] * (len(laws) - 2))
    told = telling.told_of(checking.Checked(STEPS[2], (), verdicts, (), False), "zh")
    assert re.search(r"```text\n(.*?)```", page, re.DOTALL)[1] == "\n".join([*told, ""])
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == [str(step.number) for step in STEPS]


def test_a_training_in_chinese_stands_in_columns():
    row = {"epoch": 1, "loss": 1.5, "kept_share": 0.455, "test_accuracy": 0.52}
    checked = checking.Checked(STEPS[-1], (), (), (row,), True)
    *_, head, rule, line = "\n".join(telling.told_of_training(checked, "zh")).splitlines()
    assert columns(head) == columns(rule) == columns(line)
    assert "测试准确率" in head
