from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from zoo.report.blocks import Figure, Heading, List, Table, Text, csv_text, latex, markdown, terminal

TABLE = Table(("Name", "One", "Two"), (("a|b", "1.0", "x"), ("c", "–", "y")), "Title", numbers=1, strong=(1,))
PAGE = [
    Heading("Top", 1),
    Text("Plain *text*."),
    Text("**Marked** `up`.", markup=True),
    TABLE,
    List(("one_two", "three")),
    Figure("a.svg", "What it shows"),
]


def test_markdown_golden():
    assert (
        markdown(PAGE)
        == r"""# Top

Plain \*text\*.

**Marked** `up`.

**Title**

| Name | One | Two |
| --- | ---: | --- |
| a\|b | 1.0 | x |
| **c** | **–** | **y** |

- one\_two
- three

![What it shows](a.svg)
"""
    )


def test_terminal_golden():
    assert (
        terminal(PAGE, 30)
        == """\
Top
===

Plain *text*.

**Marked** `up`.

Title
----------------
  Name  One  Two
----------------
  a|b   1.0  x
> c       –  y
----------------

- one_two
- three

What it shows: a.svg
"""
    )


def test_latex_golden():
    assert (
        latex(PAGE[:1] + PAGE[3:])
        == r"""% Needs \usepackage{booktabs}.

\begin{table}
\centering\small
\caption{Top: Title}
\begin{tabular}{lrl}
\toprule
Name & One & Two \\
\midrule
a|b & 1.0 & x \\
\textbf{c} & \textbf{--} & \textbf{y} \\
\bottomrule
\end{tabular}
\end{table}

\begin{itemize}\footnotesize
\item one\_two
\item three
\end{itemize}
"""
    )


words = st.text("abcdefg ü", min_size=1, max_size=9).map(lambda text: text.strip() or "w")


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=2, max_size=5)
    ),
    st.integers(25, 60),
)
def test_no_line_is_longer_than_the_terminal_and_no_cell_is_lost(grid: list[list[str]], width: int):
    header, *rows = (tuple(row) for row in grid)
    text = terminal([Table(header, tuple(rows), "A title of several words"), List(("note " * 30,))], width)
    assert max(map(len, text.splitlines())) <= width
    for row in grid:
        for cell in row:
            assert cell in text


def test_wide_tables_go_on_below_themselves_with_their_names():
    table = Table(("Name", *"abcdef"), (("first", *["1" * 9] * 6), ("second", *["2" * 9] * 6)))
    text = terminal([table], 40)
    assert text.count("second") == text.count("Name") == 2
    assert text.count("2" * 9) == 6
    assert terminal([table], None).count("second") == 1


def test_marks_and_numbers_in_parentheses_leave_the_numbers_below_each_other():
    texts = ("1.00", "22.00†", "3.00*", "4.00 (50.00)", "5.00† (6.00)")
    table = Table(("Name", "Value"), tuple((str(i), text) for i, text in enumerate(texts)))
    lines = terminal([table], None).splitlines()[3:-1]
    assert len({line.index(".00") for line in lines}) == 1


def test_lines_break_at_words():
    text = terminal([Text("word " * 40)], 33)
    assert {line.strip() for line in text.split()} == {"word"}


def test_a_wide_character_takes_two_columns():
    rows = (("影评", "1"), ("reviews", "22"))
    lines = terminal([Table(("Name", "n"), rows)], None).splitlines()
    assert lines[3] == "影评      1"
    assert lines[4] == "reviews  22"


def test_csv_has_nine_digits_and_nothing_for_none():
    text = csv_text([{"a": 1 / 3, "b": None, "c": 2}, {"a": "x,y", "b": 1e-20, "c": True}])
    assert text == 'a,b,c\n0.333333333,,2\n"x,y",1e-20,True\n'
    assert list(csv.reader(io.StringIO(text)))[2] == ["x,y", "1e-20", "True"]
    assert csv_text([]) == ""


def test_every_sign_that_means_something_to_latex_is_escaped() -> None:
    """An unescaped per cent sign takes the rest of the line with it."""
    signs = "&%$#_{}"
    text = latex([Table((signs, "a"), ((signs, "1"),), title=signs), Text(signs), List((signs,))])
    for sign in signs:
        assert text.count(f"\\{sign}") >= 5, sign
    assert "\\textbackslash{}\\textasciitilde{}\\textasciicircum{}" in latex([Text("\\~^")])
