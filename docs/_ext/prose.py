"""Text of a docstring into Markdown: formulas between the words are set, shapes and names stay code.

What is a formula is told word by word. A run of words that could each stand in one is taken where one of them
cannot be anything else: it has a sign (`||delta||_inf <= eps`), is a Greek letter, or a single letter.
"""

from __future__ import annotations

import re

from formula import GREEK, latex

# Kept as they are: code, quoted names, (B, T, D) and what it becomes.
AXIS = r"(?:\w|\.\.|2\^n|\w_\w|-1)"
SHAPE = rf"(?<!\w)(?:\((?:{AXIS}, ?)+{AXIS}?\)|\({AXIS},\))"
KEPT = re.compile(
    rf"(?P<code>`[^`]+`)|(?P<quoted>\"[^\"\s]+\")|(?P<shape>{SHAPE}(?:(?:,| ->| x| or| and) {SHAPE})*)"
    r"|(?P<strong>\*[A-Za-z][\w ]*\*)"
)
EQUATION = re.compile(r"Eqs?\. (\d+)(?:(?:-|, | and )\d+)*")
OPERATORS = {"=", "<", ">", "<=", ">=", "<-", "->", "+", "-", "/", "*", "~"}
STANDS_ALONE = {*GREEK, "gbar", "ghat", "dtheta", "infinity"}
OPENS = {"ln", "exp", "max", "min", "clip", "diag", "Cov", "KL", "JS", "CE", "sqrt", "grad"}
SIGN = re.compile(r"[_^=<>|+*/~]|^\w{1,3}'|\w\(")
NAME = re.compile(r"[a-z]+(?:_[a-z]+)+\w*(?:=\w+)?|[a-z]{2,}=\w+")  # of an argument or a function
WITH_INDEX = re.compile(
    r"(?:[A-Za-z]|mu|ghat|gbar|delta|sigma|grad|sum|mean|max)_(?:\w{1,2}|min|max|theta|adv)'?"
)
WORDS = re.compile(r"[a-z]+(?:/[a-z]{2,})+|[A-Z]\w*-[A-Z]\w*|\w+'s")


def marked(text: str, equations: frozenset[str] = frozenset()) -> str:
    """A paragraph in Markdown; `Eq. 2` becomes a link where that equation has an anchor.

    >>> marked("The step eps * sign(G) of a gradient (B, T, D).")
    'The step $\\\\varepsilon \\\\cdot \\\\operatorname{sign}(G)$ of a gradient `(B, T, D)`.'
    """
    pieces, place = [], 0
    for match in KEPT.finditer(text):
        pieces.append(_words(text[place : match.start()]))
        kept = match[0].replace("->", "→")
        pieces.append(kept if match["code"] or match["strong"] else f"`{kept}`")
        place = match.end()
    pieces.append(_words(text[place:]))
    return EQUATION.sub(lambda found: _linked(found, equations), "".join(pieces))


def _linked(found: re.Match[str], equations: frozenset[str]) -> str:
    return f"[{found[0]}](#eq-{found[1]})" if found[1] in equations else found[0]


def _words(text: str) -> str:
    """Text without code: its runs of formula words are set."""
    words = re.split(r"(\s+)", text)
    done: list[str] = []
    run: list[str] = []

    def close() -> None:
        spaces: list[str] = []
        while run and (run[-1].isspace() or run[-1] in OPERATORS):
            spaces.insert(0, run.pop())
        done.extend([_set("".join(run)) if run else "", *map(escaped, spaces)])
        run.clear()

    for i, word in enumerate(words):
        core = word.rstrip(",.;:")
        following = words[i + 2].rstrip(",.;:") if i + 2 < len(words) else ""
        if word.isspace() and run:
            run.append(word)
        elif run and _open("".join(run)):
            run.append(word)
            if not _open("".join(run)) and core != word:
                run[-1] = core
                close()
                done.append(word[len(core) :])
        elif core and _belongs(core, bool(run), following):
            run.append(core if not _open("".join([*run, core])) else word)
            if run[-1] != word:
                close()
                done.append(word[len(core) :])
        else:
            close()
            done.append(f"`{core}`{word[len(core) :]}" if NAME.fullmatch(core) else escaped(word))
    close()
    return "".join(done)


def _open(run: str) -> bool:
    """Whether a bracket is open."""
    opened = len(re.findall(r"[(\[{]|<(?=\w)", run))
    return opened > len(re.findall(r"[)\]}]|(?<=[\w)])>", run))


def _belongs(word: str, inside: bool, following: str) -> bool:
    """Whether a word belongs to a formula, which has begun or begins with it."""
    if word in OPERATORS or word == "a":
        return inside  # "a" may be the article
    bare = word.strip("()[]-<>")
    if bare in OPERATORS:
        return inside
    if not bare or WORDS.fullmatch(bare) or (NAME.fullmatch(bare) and not WITH_INDEX.fullmatch(bare)):
        return False
    if re.fullmatch(r"\d+/\d+", bare):
        return inside
    if re.fullmatch(r"[\d.]+", bare):
        return inside or (
            (following in OPERATORS and following != "-") or (following == "-" and word[0] in "(1")
        )
    if bare in OPENS or bare == "sum":
        return inside or (bare != "sum" and following not in OPERATORS and _belongs(following, False, ""))
    if bare in ("A", "I"):
        return inside
    return (len(bare) == 1 and bare.isalpha()) or bare in STANDS_ALONE or bool(SIGN.search(word))


def _set(run: str) -> str:
    """A run as a formula between dollars, if it is one; brackets that it does not close stay outside."""
    before = after = ""
    while run.startswith("(") and run.count("(") > run.count(")"):
        before, run = before + "(", run[1:]
    while run.endswith(")") and run.count(")") > run.count("("):
        run, after = run[:-1], ")" + after
    if run.startswith("(") and run.endswith(")") and not _open(run[1:-1]) and ")" not in run[1:-1]:
        before, run, after = before + "(", run[1:-1], ")" + after
    if run.endswith(" a") and not re.search(r"[-+*/=<>] a$", run):  # the article after all
        return escaped(before) + _set(run[:-2]) + " a" + escaped(after)
    text = latex(run)
    if run == "E":
        text = "E"
    plain = not re.search(r"[A-Za-z]", run) or (
        re.fullmatch(r"[A-Za-z]{2,}", run) and run not in STANDS_ALONE
    )
    if before and after and text and r"\text" in text:  # words in brackets
        plain = True
    return escaped(before) + (escaped(run) if plain or not text else f"${text}$") + escaped(after)


def escaped(text: str) -> str:
    """Plain text in Markdown."""
    return re.sub(r"([*_<>$\[\]|~])", r"\\\1", text.replace("->", "→"))
