"""What a demo corpus leaves out of its package's rows."""

from __future__ import annotations

from zoo.text import RawCorpus, Rows
from zoo.text.sources.demo import _distinct


def test_each_text_once_and_none_with_two_labels() -> None:
    texts = ["good", "bad", "Good!", "so so", "bad", "So, so", "so so"]
    raw = RawCorpus("x", "en", ("neg", "pos"), {"train": Rows(texts, [1, 0, 1, 0, 0, 1, 0])}, ("published",))
    found = _distinct(raw)
    assert found.parts == {"train": Rows(["good", "bad"], [1, 0])}
    assert found.notes == ("demo", "2 of 7 texts kept: 4 repeats, 1 with two labels")
