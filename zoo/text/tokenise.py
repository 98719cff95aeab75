"""Tokenisers: English words, Chinese words (jieba), characters; with the places where sentences start."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from zoo.core.errors import UserError
from zoo.text.normalise import WORD, paragraphs
from zoo.text.settings import Report

# Words, numbers, initials ("u.s."), the contractions of the Penn Treebank ("n't", "'s": GloVe has them so),
# emoji, and the marks that carry tone or end a sentence. Other punctuation is dropped.
_WORD = re.compile(
    rf"n't\b|'(?:s|re|ve|ll|d|m)\b|\d+(?:[.,]\d+)+|(?:[^\W\d_]\.){{2,}}|{WORD}|\.{{3}}|[.!?]"
    "|[\u2600-\u27bf\U0001f000-\U0001faff]"
)
_DOTS = re.compile(r"\.{2,}")
_ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "st", "prof", "sr", "jr", "vs", "no", "inc", "co", "ltd", "gen")
)
_ENGLISH_ENDS = frozenset(".!?")
_CHINESE_ENDS = frozenset("。!?")
_CLOSERS = frozenset("\"'”’」』)】》")

REPORT_SECONDS = 2.0
SMALLEST_SHARE = 0.01  # of the texts; a first line that says less looks stuck

Cut = Callable[[str], list[str]]


def tokeniser_name(tokeniser: str, language: str) -> str:
    """Return the tokeniser that "auto" stands for: words for English, jieba for Chinese."""
    if tokeniser == "auto":
        return "jieba" if language == "zh" else "words"
    return tokeniser


def tokeniser_version(name: str) -> str:
    """Return what identifies the outcome of a tokeniser besides our own code: its library's version."""
    try:
        return f"jieba {version('jieba')}" if name == "jieba" else ""
    except PackageNotFoundError:
        return ""


def _english_words(text: str) -> list[str]:
    return _WORD.findall(_DOTS.sub("...", text).replace("n't", " n't"))


def _chinese_cutter() -> Cut:
    try:
        with warnings.catch_warnings():
            # jieba 0.42.1 has invalid escape sequences and imports pkg_resources; both only warn.
            warnings.simplefilter("ignore")
            import jieba
    except ImportError as error:
        raise UserError("Chinese words need jieba: pip install jieba") from error
    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()  # reads the dictionary now and not with the first text
    return lambda text: [word for word in jieba.lcut(text) if not word.isspace()]


def _characters(text: str) -> list[str]:
    return [character for character in text if not character.isspace()]


def make_cutter(name: str) -> Cut:
    """Return the function that cuts a clean paragraph into tokens; `UserError` without its library."""
    if name == "characters":
        return _characters
    return _chinese_cutter() if name == "jieba" else _english_words


def sentence_starts(tokens: Sequence[str], language: str) -> list[bool]:
    """Return for each token of one paragraph whether a sentence starts there.

    A sentence ends after . ! ? (Chinese: 。！？ and their half-width forms), closing quotes and brackets
    included; in English not after an abbreviation such as "mr" or a single letter.
    """
    ends = _CHINESE_ENDS if language == "zh" else _ENGLISH_ENDS
    starts = []
    ended, before = True, ""
    for token in tokens:
        if token in ends:
            starts.append(not before)
            abbreviated = token == "." and (
                before in _ABBREVIATIONS or (len(before) == 1 and before.isalpha())
            )
            ended = not abbreviated
        elif ended and before and token in _CLOSERS:
            starts.append(False)
        else:
            starts.append(ended)
            ended = False
        before = token
    return starts


def tokenise(text: str, language: str, cut: Cut, max_length: int) -> tuple[list[str], list[bool]]:
    """Return the first `max_length` tokens of a text and, for each, whether a sentence starts there.

    Both are empty for a text without tokens.
    """
    tokens: list[str] = []
    starts: list[bool] = []
    for paragraph in paragraphs(text, language, max_length):
        new = cut(paragraph)[: max_length - len(tokens)]
        tokens += new
        starts += sentence_starts(new, language)
        if len(tokens) == max_length:
            break
    return tokens, starts


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts before any vocabulary: row i has forms[ids[offsets[i]:offsets[i + 1]]], maybe none."""

    forms: tuple[str, ...]
    ids: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray


def tokenise_all(
    texts: Sequence[str], language: str, name: str, max_length: int, report: Report, what: str
) -> Tokens:
    """Tokenise texts; distinct tokens are numbered as they first appear.

    Reports that a dictionary is loaded, then every two seconds, from a hundredth of the texts on.
    """
    numbers: dict[str, int] = {}
    ids: list[int] = []
    all_starts: list[bool] = []
    offsets = np.zeros(len(texts) + 1, np.int64)
    if name == "jieba" and name not in sys.modules:
        report(f"{what}: loading the dictionary of jieba")
    cut = make_cutter(name)
    last = time.monotonic()
    for row, text in enumerate(texts):
        tokens, starts = tokenise(text, language, cut, max_length)
        ids += [numbers.setdefault(token, len(numbers)) for token in tokens]
        all_starts += starts
        offsets[row + 1] = len(ids)
        if time.monotonic() - last > REPORT_SECONDS and row + 1 >= SMALLEST_SHARE * len(texts):
            last = time.monotonic()
            report(f"{what}: {row + 1:,} of {len(texts):,} texts tokenised ({name})")
    return Tokens(tuple(numbers), np.array(ids, np.int32), offsets, np.array(all_starts, bool))
