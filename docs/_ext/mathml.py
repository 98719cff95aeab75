"""Formulas as MathML, set when the site is built: no script, no font and no request is needed to read them.

Browsers draw MathML themselves. On the Read pages a letter of a formula leads to the table of symbols.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from latex2mathml.converter import convert

SPACES = re.compile(r"(>)\s+(<)")
THIN = '<mspace width="0.17em"/>'
FENCE = re.compile(r"<m[io][^>]*>(&#x(?:0007C|02016|027E8|027E9);)</m[io]>")


@cache
def mathml(latex: str, display: bool) -> str:
    """The formula as a `<math>` element.

    Raises ValueError for LaTeX that the converter cannot read.
    """
    try:
        text = convert(latex, display="block" if display else "inline")
    except Exception as error:  # latex2mathml has no common base class
        raise ValueError(f"{latex!r}: no formula that latex2mathml reads ({type(error).__name__})") from error
    # An operator of letters is a name: as an operator it would get the spaces of a relation.
    text = re.sub(r"<mo>([A-Za-z]{2,})</mo>", r"<mi>\1</mi>", SPACES.sub(r"\1\2", text))
    text = re.sub(
        r"(<mi>[A-Za-z]{2,}</mi>)(?=<m(?:i|n|frac|over|sub|sup|subsup|sqrt)[ >])", rf"\1{THIN}", text
    )  # Cov g, not Covg
    # Bars and angles are brackets here, "is drawn from" is a relation; the converter has them as letters.
    text = FENCE.sub(r'<mo lspace="0" rspace="0" stretchy="false">\1</mo>', text)
    text = text.replace("<mi>&#x02032;</mi>", '<mo lspace="0" rspace="0">&#x02032;</mo>')  # a prime
    return text.replace("<mi>&#x0007E;</mi>", '<mo lspace="0.28em" rspace="0.28em">&#x0223C;</mo>')


@cache
def inside(latex: str) -> str:
    """The elements of a short formula alone, as they stand within a longer one."""
    text = re.sub(r"^<math[^>]*>|</math>$", "", mathml(latex, False))
    return re.fullmatch(r"<mrow>(.*)</mrow>", text)[1]  # type: ignore[index]


def linked(text: str, signs: Mapping[str, str]) -> str:
    """The same with links on the letters of `signs` (elements, as `inside` gives them -> address).

    Longer signs go first, so that a letter with a tilde is not taken for the letter.
    """
    kept: list[str] = []

    def hold(found: re.Match[str], address: str) -> str:
        inner = re.sub(r"^<(\w+)>(.*)</\1>$", r"\2", found[0]) if found[0].startswith("<mi>") else ""
        if inner:
            kept.append(f'<mi><a href="{address}">{inner}</a></mi>')
        else:
            kept.append(re.sub(r"<mi>([^<]*)</mi>", rf'<mi><a href="{address}">\1</a></mi>', found[0]))
        return f"\0{len(kept) - 1}\0"

    for sign, address in sorted(signs.items(), key=lambda pair: -len(pair[0])):
        text = re.sub(re.escape(sign), lambda found, to=address: hold(found, to), text)
    while "\0" in text:
        text = re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], text)
    return text
