"""Formulas of the docstrings, as they are typed there, into LaTeX: `eps * G / ||G||_2` and the like.

The reference writes its equations in plain text beside the code. This reads that notation, so that the site
shows the same text, set as mathematics, and nothing is copied by hand:

    x_adv  G_t  h_u^2  (a + b)^2     subscripts and powers, of a letter, a word, a number or a bracket
    s~  h'  gbar  ghat               tilde, prime, bar, hat
    a / b                            a fraction of the factors beside the slash
    ||G||_2  |B|  <delta, g>         norms, sizes, inner products
    sqrt( .. )  sum_k  max_j  E_m    roots, sums, extremes, expectations
    <-  ->  <=  m ~ P  ..            arrows, relations, "is drawn from", and so on
    words such that                  any other word is upright text

`latex` refuses what it cannot read (None), and the page then shows the line as it stands.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

GREEK = {
    "eps": r"\varepsilon", "delta": r"\delta", "theta": r"\theta", "alpha": r"\alpha", "gamma": r"\gamma",
    "sigma": r"\sigma", "mu": r"\mu", "eta": r"\eta", "lambda": r"\lambda", "rho": r"\rho", "beta": r"\beta",
}  # fmt: skip
SIGNS = {
    **GREEK, "grad": r"\nabla", "sum": r"\sum", "infinity": r"\infty", "inf": r"\infty",
    "dtheta": r"\Delta\theta", "gbar": r"\bar{g}", "ghat": r"\hat{g}", "E": r"\mathbb{E}",
}  # fmt: skip
FUNCTIONS = {
    "max", "min", "exp", "ln", "log", "tanh", "sign", "clip", "softmax", "sigmoid", "diag", "rank", "onehot",
    "Bernoulli", "Cov", "KL", "JS", "CE", "zscore", "mean", "project", "pool", "dropout",
}  # fmt: skip
ROMAN = {"JS"}  # short words as subscripts; longer ones are upright anyway
OPERATORS = {
    "<-": r"\leftarrow", "->": r"\to", "<=": r"\le", ">=": r"\ge", "+-": r"\pm", "-+": r"\mp",
    "..": r"\ldots", "...": r"\ldots", "*": r"\cdot", "=": "=", "+": "+", "-": "-", ",": ",", ";": ";",
    ":": ":", "<": "<", ">": ">", "~": r"\sim", ".": r"\cdot",
}  # fmt: skip
OPEN = {"(": ")", "[": "]", "{": "}"}
TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<derivative>d(?P<order>2?)(?P<top>[A-Za-z]\w*)/d(?P<below>[A-Za-z]\w*'?)(?P<square>\^2)?)
    |(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)
    |(?P<word>i\.i\.d\.)
    |(?P<name>[A-Za-z]+\d*)
    |(?P<sign><-|->|<=|>=|\+-|-\+|\|\||\.\.\.?|[-+*/=,;:<>~|_^'.()\[\]{}])""",
    re.VERBOSE,
)


class Unreadable(ValueError):
    """The text is no formula in this notation."""


class Token(NamedTuple):
    """A piece of a formula: its kind (a group of TOKEN), its text, and whether a space stands before it."""

    kind: str
    text: str
    spaced: bool


def tokens(text: str) -> list[Token]:
    """Cut a formula. Raises `Unreadable` at a character that none can hold."""
    found, place, spaced = [], 0, False
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise Unreadable(f"{text!r}: {text[place]!r} is no part of a formula")
        kind = next(k for k in ("space", "derivative", "number", "word", "name", "sign") if match[k])
        place = match.end()
        if kind != "space":
            found.append(Token(kind, match[0], spaced))
        spaced = kind == "space"
    return found


class Part(NamedTuple):
    """A piece of LaTeX. A factor may stand in a fraction; `bare` is it without its brackets.

    `word` is upright text; `wants` says that it acts on the factor after it, as mean_u does.
    """

    latex: str
    factor: bool = False
    bare: str = ""
    word: str = ""
    wants: bool = False


class Reader:
    """One formula, read from left to right."""

    def __init__(self, text: str) -> None:
        self.left = tokens(text)[::-1]

    def next_is(self, *texts: str) -> bool:
        """Whether the next token is one of these."""
        return bool(self.left) and self.left[-1].text in texts

    def whole(self) -> str:
        """Everything."""
        latex = self.until("")
        if self.left:
            raise Unreadable(f"{self.left[-1].text!r} closes nothing")
        return latex

    def until(self, closer: str) -> str:
        """The LaTeX up to a closing bracket, which is taken too; up to the end for ""."""
        parts: list[Part] = []
        while self.left:
            if closer and self.next_is(closer):
                self.left.pop()
                return joined(parts)
            if self.next_is(")", "]", "}"):
                break
            if self.next_is("/"):
                self.left.pop()
                if not parts or not parts[-1].factor or not self.left:
                    raise Unreadable("a slash wants a factor on both sides")
                above, below = parts.pop(), self.factor()
                under = below.bare or rf"\text{{{below.word}}}"
                if below.wants and self.left:
                    under = joined([below, self.factor()])
                fraction = rf"\frac{{{above.bare}}}{{{under}}}"
                parts.append(Part(fraction, True, fraction))
            else:
                parts.append(self.factor())
        if closer:
            raise Unreadable(f"{closer!r} is missing")
        return joined(parts)

    def factor(self) -> Part:
        """One operator, or one factor with its scripts."""
        token = self.left.pop()
        if token.kind == "derivative":
            match = TOKEN.match(token.text)
            assert match is not None
            square = "^2" if match["square"] else ""
            top, below = latex_of(match["top"]), "E" if match["below"] == "E" else latex_of(match["below"])
            both = rf"\frac{{\partial{'^2' if match['order'] else ''} {top}}}{{\partial {below}{square}}}"
            return Part(both, True, both)
        if token.kind == "number":
            part = self.scripted(number(token.text))
            if self.left and self.left[-1].kind == "name" and not self.left[-1].spaced:  # 2h is one factor
                both = rf"{part.latex}\,{self.factor().latex}"
                return Part(both, True, both)
            return part
        if token.kind == "word":
            return Part("", word=token.text)
        if token.kind == "name":
            return self.named(token)
        if token.text in OPEN:
            inside = self.until(OPEN[token.text])
            if token.text == "{":
                return self.scripted(bracketed(r"\{", inside, r"\}"))
            if re.fullmatch(r"\\frac\{[\w|]*\}\{[\w|]*\}", inside):  # (1/K): the fraction's bar is enough
                return self.scripted(inside)
            return self.scripted(bracketed(token.text, inside, OPEN[token.text]), inside)
        if token.text == "||" and token.spaced and self.left and self.left[-1].spaced:
            return Part(r"\,\Vert\,")
        if token.text in ("|", "||"):
            bar = r"\Vert" if token.text == "||" else "|"
            return self.scripted(bracketed(bar, self.until(token.text), bar))
        if token.text == "<" and self.left and not self.left[-1].spaced:
            return self.scripted(bracketed(r"\langle", self.until(">"), r"\rangle"))
        if token.text in OPERATORS:
            return Part(OPERATORS[token.text])
        raise Unreadable(f"{token.text!r} stands where a factor is wanted")

    def named(self, token: Token) -> Part:
        """A symbol, a function and what it is called on, or a word."""
        word, call = token.text, self.next_is("(") and not self.left[-1].spaced
        if word == "E" and len(self.left) > 2 and (self.left[-1].text, self.left[-3].text) == ("[", "]"):
            return self.scripted("E")  # a table looked up, E[tokens], and no expectation
        if word == "sqrt":
            inner = self.factor()
            return self.scripted(rf"\sqrt{{{inner.bare}}}")
        if word in FUNCTIONS:
            name = (
                rf"\operatorname{{{word}}}"
                if word not in ("max", "min", "exp", "ln", "tanh")
                else f"\\{word}"
            )
            head = self.scripted(name)
        elif len(word) == 1 or word in SIGNS or re.fullmatch(r"[A-Za-z]\d", word) or call:
            head = self.scripted(symbol(word) if len(word) < 3 or word in SIGNS else rf"\mathrm{{{word}}}")
        elif word == "in":
            return Part(r"\in")
        elif re.fullmatch(r"d[a-z]", word):
            head = self.scripted(symbol(word))
        else:
            return Part("", word=word)
        if call and self.next_is("("):
            self.left.pop()
            latex = head.latex + bracketed("(", self.until(")"), ")")
            return self.scripted(latex)
        return head._replace(factor=word not in ("sum", "max", "min"), wants=word in FUNCTIONS)

    def scripted(self, latex: str, bare: str = "") -> Part:
        """What follows a factor without a space: tilde, primes, a subscript, a power."""
        plain = bare
        while self.left and not self.left[-1].spaced:
            if self.next_is("~"):
                latex, plain = rf"\tilde{{{latex}}}", ""
            elif self.next_is("'"):
                latex, plain = latex + "'", ""
            elif self.next_is("["):
                self.left.pop()
                latex, plain = latex + bracketed("[", self.until("]"), "]"), ""
                continue
            elif self.next_is("_", "^"):
                mark = self.left.pop().text
                latex, plain = f"{latex}{mark}{{{self.script()}}}", ""
                continue
            else:
                break
            self.left.pop()
        return Part(latex, True, plain or latex)

    def script(self) -> str:
        """A subscript or a power: a number, a name with its primes, or a bracket."""
        if not self.left:
            raise Unreadable("a script is missing")
        token = self.left.pop()
        if token.text in OPEN:
            return self.until(OPEN[token.text])
        if token.text == "-" and self.left:
            return "-" + self.script()
        if token.kind not in ("number", "name"):
            raise Unreadable(f"{token.text!r} is no script")
        primes = ""
        while self.next_is("'") and not self.left[-1].spaced:
            primes += self.left.pop().text
        if token.text in ROMAN or (len(token.text) > 2 and token.text not in SIGNS and token.kind == "name"):
            return rf"\mathrm{{{token.text}}}{primes}"
        return (token.text if token.text == "E" else symbol(token.text)) + primes


def symbol(word: str) -> str:
    """A letter, a Greek one, a letter with a number, or several letters side by side."""
    if match := re.fullmatch(r"([A-Za-z])(\d+)", word):
        return f"{match[1]}_{{{match[2]}}}"
    return SIGNS.get(word, word)


def latex_of(word: str) -> str:
    """A name that may have a subscript and a prime, as `L_clean` and `h'`."""
    return Reader(word).whole()


def number(text: str) -> str:
    """A number; 1e-8 is a power of ten."""
    if match := re.fullmatch(r"1e(-?\d+)", text):
        return f"10^{{{match[1]}}}"
    return text


def bracketed(left: str, inside: str, right: str) -> str:
    """Brackets that grow with what is in them, where it is tall."""
    if r"\frac" in inside or r"\sum" in inside:
        return rf"\left{left} {inside} \right{right}"
    return f"{left} {inside} {right}" if left.startswith("\\") else f"{left}{inside}{right}"


def joined(parts: list[Part]) -> str:
    """Side by side: a thin space between factors, a wider one after the comma between two formulas."""
    pieces: list[str] = []
    before = Part("")
    for words, run in groupby(parts, key=lambda part: bool(part.word)):
        if words:
            before = Part("")
            pieces.append(rf"\text{{ {' '.join(part.word for part in run)} }}")
            continue
        for part in run:
            if before.factor and part.factor:
                pieces.append(r"\,")
            elif before.latex in (",", ";") and "=" in pieces and part.factor:
                pieces.append(r"\quad")
            pieces.append(part.latex)
            before = part
    return " ".join(pieces)


def latex(text: str) -> str | None:
    """The formula in LaTeX, or None where the text is none."""
    try:
        return Reader(text).whole() or None
    except Unreadable:
        return None
