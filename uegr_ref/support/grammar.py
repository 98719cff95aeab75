"""A corpus that fits in a file: short hotel reviews in English and Chinese, spun from a grammar.

A review is a remark on the stay (or none), one to four opinions and a verdict (or none). An opinion says
its label outright ("the bed was soft"), by negation ("the bed was not hard"), or after a concession
("although the view was dull, the bed was soft"), so its words may speak against its label and no bag of
words is always right. In addition one review in twenty-five carries the wrong label, as happens to real ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .checks import Bools, Ints
from .contract import contract, one_of

LABELS = ("negative", "positive")
WRONG_LABELS = 0.04
PADDING, UNKNOWN = 0, 1


class Grammar(NamedTuple):
    """The words of one language. Pairs are (negative, positive)."""

    joiner: str  # between the words of a text
    remarks: tuple[str, ...]
    things: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    degrees: tuple[str, ...]
    outright: str
    negated: str
    conceded: tuple[str, ...]
    verdicts: tuple[tuple[str, ...], tuple[str, ...]]


GRAMMARS = {
    "english": Grammar(
        " ",
        ("we stayed for two nights .", "my sister booked it .", "it was raining all week .",
         "we came by train .", "our third visit .", "i travel for my work .", "we arrived after midnight ."),
        {"bed": (("hard", "lumpy"), ("soft", "comfortable")),
         "staff": (("rude", "cold"), ("kind", "helpful")),
         "breakfast": (("stale", "poor"), ("fresh", "rich")),
         "room": (("cramped", "dirty"), ("roomy", "clean")),
         "street": (("noisy", "dark"), ("quiet", "green")),
         "bath": (("dirty", "cold"), ("clean", "warm")),
         "price": (("high", "unfair"), ("fair", "low")),
         "view": (("dull", "ugly"), ("wide", "lovely")),
         "kitchen": (("slow", "greasy"), ("quick", "clean")),
         "garden": (("shabby", "bare"), ("green", "lovely")),
         "lift": (("slow", "broken"), ("quick", "new")),
         "porter": (("gruff", "rude"), ("kind", "funny"))},
        ("", "", "very", "rather", "really", "a little", "quite"),
        "the {thing} was {degree} {word} .",
        "the {thing} was not {degree} {opposite} .",
        ("although the {other} was {against} , the {thing} was {degree} {word} .",
         "the {other} was {degree} {against} , but the {thing} was {word} ."),
        (("never again .", "we asked for our money back .", "i would look elsewhere ."),
         ("we will come back .", "worth every penny .", "i would tell my friends .")),
    ),
    "chinese": Grammar(
        "",
        ("我们住了两晚。", "是姐姐订的。", "那几天一直下雨。", "坐火车来的。",
         "这是第三次来。", "我常年出差。", "半夜才到。"),
        {"床": (("硬", "塌"), ("软", "舒服")),
         "前台": (("冷漠", "傲慢"), ("热情", "周到")),
         "早餐": (("难吃", "单调"), ("新鲜", "丰富")),
         "房间": (("拥挤", "脏乱"), ("宽敞", "干净")),
         "街道": (("吵闹", "昏暗"), ("安静", "整齐")),
         "浴室": (("脏乱", "阴冷"), ("干净", "温暖")),
         "价格": (("离谱", "偏高"), ("公道", "实惠")),
         "风景": (("乏味", "难看"), ("开阔", "迷人")),
         "厨房": (("拖拉", "油腻"), ("利落", "干净")),
         "花园": (("荒凉", "破败"), ("葱郁", "迷人")),
         "电梯": (("缓慢", "老旧"), ("快捷", "崭新")),
         "门童": (("粗鲁", "傲慢"), ("热情", "风趣"))},
        ("", "", "很", "挺", "真的", "有点", "相当"),
        "{thing}{degree}{word}。",
        "{thing}并不{opposite}。",
        ("虽然{other}{against}，但是{thing}{degree}{word}。",
         "{other}{degree}{against}，不过{thing}{word}。"),
        (("再也不来了。", "我们要求退钱。", "建议换一家。"),
         ("下次还来。", "花得值。", "会告诉朋友们。")),
    ),
}  # fmt: skip


class Corpus(NamedTuple):
    """Word ids (N, T), padded with 0, the mask of real tokens (N, T), labels (N,), and the N texts."""

    tokens: Ints
    mask: Bools
    labels: Ints
    texts: tuple[str, ...]


def review(grammar: Grammar, label: int, rng: np.random.Generator) -> str:
    """One review of that label."""

    def pick(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    parts = [pick(grammar.remarks)] if rng.random() < 0.6 else []
    for _ in range(int(rng.integers(1, 5))):
        thing, other = pick(tuple(grammar.things)), pick(tuple(grammar.things))
        form = pick((grammar.outright,) * 5 + (grammar.negated, pick(grammar.conceded)))
        parts.append(
            form.format(
                thing=thing,
                other=other,
                degree=pick(grammar.degrees),
                word=pick(grammar.things[thing][label]),
                opposite=pick(grammar.things[thing][1 - label]),
                against=pick(grammar.things[other][1 - label]),
            )
        )
    if rng.random() < 0.3:
        parts.append(pick(grammar.verdicts[label]))
    return grammar.joiner.join(" ".join(parts).split()) if grammar.joiner else "".join(parts)


def tokenise(text: str, language: str) -> list[str]:
    """Words of an English text, characters of a Chinese one."""
    return text.split() if GRAMMARS[language].joiner else list(text)


@contract(language=one_of(GRAMMARS), sizes="each count", rng="generator")
def corpora(
    language: str, sizes: tuple[int, ...], rng: np.random.Generator
) -> tuple[list[Corpus], tuple[str, ...]]:
    """Corpora of those sizes, train first, and the words of the training one (0 is padding, 1 is unknown)."""
    grammar = GRAMMARS[language]
    drawn = []
    for size in sizes:
        labels = rng.integers(0, 2, size)
        texts = tuple(review(grammar, int(label), rng) for label in labels)
        drawn.append((texts, labels ^ (rng.random(size) < WRONG_LABELS)))
    seen = sorted({word for text in drawn[0][0] for word in tokenise(text, language)})
    words = ("<pad>", "<unk>", *seen)
    return [encode(texts, labels, words, language) for texts, labels in drawn], words


def encode(texts: tuple[str, ...], labels: Ints, words: tuple[str, ...], language: str) -> Corpus:
    """Word ids, padded to the longest text."""
    number = {word: i for i, word in enumerate(words)}
    rows = [[number.get(word, UNKNOWN) for word in tokenise(text, language)] for text in texts]
    tokens = np.full((len(rows), max(map(len, rows))), PADDING)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    return Corpus(tokens, np.arange(tokens.shape[1]) < np.array([[len(ids)] for ids in rows]), labels, texts)
