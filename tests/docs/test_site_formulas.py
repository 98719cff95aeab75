"""Formulas of the docstrings as LaTeX, and those between the words of a paragraph."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstring import Equations, Symbols, blocks, cells
from formula import latex
from prose import marked
from source import ORDER, read

ROOT = Path(__file__).resolve().parents[2]
MODULES = {name: read(ROOT, name) for name in ORDER}
EVERY = [(name, row.formula) for name, module in MODULES.items() for row in module.equations]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eps * G / ||G||_2", r"\varepsilon \cdot \frac{G}{\Vert G \Vert_{2}}"),
        ("(1/K) sum_k P_k", r"\frac{1}{K} \sum_{k} P_{k}"),
        ("s~_i", r"\tilde{s}_{i}"),
        ("h'^T", "h'^{T}"),
        ("dL_clean/dh'", r"\frac{\partial L_{\mathrm{clean}}}{\partial h'}"),
        ("d2L/dh_u^2", r"\frac{\partial^2 L}{\partial h_{u}^2}"),
        ("n_u^gamma / mean_u n_u^gamma", r"\frac{n_{u}^{\gamma}}{\operatorname{mean}_{u} \, n_{u}^{\gamma}}"),
        ("KL(P_k || M)", r"\operatorname{KL}(P_{k} \,\Vert\, M)"),
        ("<delta, g>", r"\langle \delta , g \rangle"),
        ("m ~ P", r"m \sim P"),
        ("1/length", r"\frac{1}{\text{length}}"),
        ("x = E[tokens]", r"x = E[\text{ tokens }]"),
        ("E[(1-p)/p g]", r"\mathbb{E}\left[ \frac{1 - p}{p} \, g \right]"),
        ("dL/dE", r"\frac{\partial L}{\partial E}"),
        ("G_W2", "G_{W_{2}}"),
        ("1e-8", "10^{-8}"),
        ("c >= 0 such that q = r", r"c \ge 0 \text{ such that } q = r"),
    ],
)
def test_the_notation_is_read(text: str, expected: str) -> None:
    assert latex(text) == expected


@pytest.mark.parametrize("text", ["a / ", "/ b", "(a", "a)", "a_", "a € b", ""])
def test_what_is_no_formula_is_refused(text: str) -> None:
    assert latex(text) is None


@pytest.mark.parametrize(("name", "formula"), EVERY, ids=[f"{n} {f[:30]}" for n, f in EVERY])
def test_every_formula_of_the_reference_is_read(name: str, formula: str) -> None:
    text = latex(formula)
    assert text is not None
    assert text.count("{") == text.count("}")
    assert "{}" not in text


# An independent reading: what Python and the LaTeX say of a formula of numbers must be one number.
numbers = st.integers(1, 9).map(str)
formulas = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} + {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} - {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} * {two[1]})"),
        st.tuples(inner, numbers).map(lambda two: f"({two[0]} / {two[1]})"),
        inner.map(lambda one: f"{one}^2" if one.endswith(")") else one),
    ),
    max_leaves=6,
)


def value(text: str) -> float:
    """A LaTeX formula of numbers, worked out: fractions, products and powers become Python's."""
    text = text.replace(r"\left", "").replace(r"\right", "").replace(r"\cdot", "*")
    while r"\frac" in text:
        start = text.rindex(r"\frac") + 5
        ends, depth, parts, begin = start, 0, [], start
        while len(parts) < 2:
            depth += {"{": 1, "}": -1}.get(text[ends], 0)
            if text[ends] == "{" and depth == 1:
                begin = ends + 1
            if text[ends] == "}" and depth == 0:
                parts.append(text[begin:ends])
            ends += 1
        text = f"{text[: start - 5]}(({parts[0]}) / ({parts[1]})){text[ends:]}"
    return float(eval(re.sub(r"\^\{(\d+)\}", r"**\1", text)))


@given(formulas)
def test_brackets_and_fractions_keep_the_value(text: str) -> None:
    shown = latex(text)
    assert shown is not None
    assert math.isclose(value(shown), eval(text.replace("^", "**")), rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "where ||delta||_inf <= eps for fgsm",
            r"where $\Vert \delta \Vert_{\infty} \le \varepsilon$ for fgsm",
        ),
        ("(B, T, D) -> (B, T, D).", "`(B, T, D) → (B, T, D)`."),
        ("A 0 has no 1/p: use `masked_gradient`.", r"A 0 has no $\frac{1}{p}$: use `masked_gradient`."),
        ("the ancestor's code and/or R-Drop", "the ancestor's code and/or R-Drop"),
        ("for a K of 2, as a letter", "for a $K$ of 2, as a letter"),
        ("the default of token_linf", "the default of `token_linf`"),
        ("over masks (E, inferred)", "over masks (E, inferred)"),
        ("m_0 is drawn", "$m_{0}$ is drawn"),
        ("*mean* of Eq. 2", "*mean* of [Eq. 2](#eq-2)"),
        ("E_m[h'] = h.", r"$\mathbb{E}_{m}[h'] = h$."),
    ],
)
def test_formulas_between_words_are_set(text: str, expected: str) -> None:
    assert marked(text, frozenset({"2"})) == expected


WORDS = ["the", "norm", "over", "a", "text", "with", "its", "mean", "and", "I", "know", "A", "story", "of"]


@given(st.lists(st.sampled_from(WORDS)))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert marked(" ".join(words)) == " ".join(words)


def test_columns_and_blocks_are_told_apart() -> None:
    assert cells("(2)  fgm    delta   = eps * G,   G = 1      stated") == [
        "(2)", "fgm", "delta = eps * G,  G = 1", "stated",
    ]  # fmt: skip
    text = (
        "A line.\n\n    (9)  p = a / b      stated\n         m ~ P          too\n\n"
        "    p    keep    (d,)    what it is\n    m    mask    (d,)    kept"
    )
    _, equations, symbols = blocks(text)
    assert isinstance(equations, Equations)
    assert isinstance(symbols, Symbols)
    assert [(row.number, row.formula, row.status) for row in equations.rows] == [
        ("9", "p = a / b", "stated"), ("9", "m ~ P", "too"),
    ]  # fmt: skip
    assert symbols.rows[1] == ("m", ("mask",), "(d,)", "kept")
