"""Cleaning of raw text before it is cut into tokens, and the key under which two texts count as one."""

from __future__ import annotations

import html
import re
import unicodedata
from hashlib import blake2b

# Invisible format characters, variation selectors and skin tones go: they part words that look the same.
_INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff]"
)
SURROGATES = re.compile("[\ud800-\udfff]")  # lone ones: a JSON string can hold them
# Control characters and lone surrogates become a space.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
# AG News has lost the ampersand of many entities: "#39;" and "quot;".
_BARE_ENTITY = re.compile(r"(?<![&\w])(#\d{2,4}|quot|amp|lt|gt|nbsp);")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SPACE = re.compile(r"\s+")
# Combining marks, all but selectors of variants. To `re` they end a word, but in many scripts they are vowels
# of it (Hindi, Thai): without them other words would be the same.
_MARKS = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.category(c) in ("Mn", "Mc"))
WORD = rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*"
_WORD = re.compile(WORD)
_ASCII_NOT_ALPHANUMERIC = bytes(b for b in range(128) if not chr(b).isalnum())

# No text needs more characters than this per kept token: very long texts are cut before they are tokenised.
CHARACTERS_PER_TOKEN = 32


def normalise(text: str) -> str:
    """Return the text in NFKC (full-width forms become plain) without control and invisible characters."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def strip_markup(text: str) -> str:
    """Return English text without IMDB's and AG News' markup: tags, entities, backslashes for line breaks."""
    text = _BREAK.sub("\n", text)
    if ";" in text:
        text = html.unescape(_BARE_ENTITY.sub(r"&\1;", text))
    if "<" in text:
        text = _TAG.sub(" ", text)
    return text.replace("\\", " ")


def paragraphs(text: str, language: str, max_length: int) -> list[str]:
    """Return the cleaned, lower-case paragraphs (parted by blank lines) of the first characters of a text."""
    text = text[: CHARACTERS_PER_TOKEN * max_length]
    if language == "en":
        text = strip_markup(text).replace("’", "'")
    parts = _PARAGRAPH.split(normalise(text).lower())
    return [cleaned for part in parts if (cleaned := _SPACE.sub(" ", part).strip())]


def duplicate_key(text: str) -> bytes:
    """Return 16 bytes, equal for texts with the same letters and digits, whatever case, width or spacing.

    The marks on a letter are part of it. A text without letters and digits (an emoji, "?!") is compared as it
    stands, without its white space.
    """
    text = normalise(text).casefold()
    if text.isascii():
        letters = text.encode("ascii").translate(None, _ASCII_NOT_ALPHANUMERIC)
    else:
        letters = "".join(_WORD.findall(text)).encode()
    return blake2b(letters or b"\0" + _SPACE.sub("", text).encode(), digest_size=16).digest()
