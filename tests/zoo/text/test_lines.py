"""Lines that arrive: as they come, in constant memory, with the line in every complaint."""

from __future__ import annotations

import itertools
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.core.errors import UserError
from zoo.text.sources import lines
from zoo.text.sources.lines import arriving_lines


def reader(chunks: list[bytes]) -> Callable[[int], bytes]:
    left = iter([*chunks, b""])
    return lambda size: next(left)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff"), max_size=6)


@given(st.lists(TEXTS, max_size=8), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.data())
def test_lines_are_the_same_however_they_come(
    texts: list[str], ended: bool, end: str, data: st.DataObject
) -> None:
    """Cut into chunks anywhere, in the middle of a character too; the last line may lack its end."""
    whole = end.join(texts) + (end if ended and texts else "")
    wanted = whole.replace("\r\n", "\n").split("\n")
    encoded = whole.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=5)))
    chunks = [encoded[a:b] for a, b in itertools.pairwise([0, *cuts, len(encoded)]) if a < b]
    found = [line for group in arriving_lines(reader(chunks), "texts") for line in group]
    assert found == (wanted[:-1] if wanted[-1] == "" else wanted)


def test_a_line_is_given_before_the_next_one_comes() -> None:
    out, into = os.pipe()
    groups = arriving_lines(lambda size: os.read(out, size), "texts")
    for text in ("first", "second"):
        os.write(into, f"{text}\n".encode())
        found: list[list[str]] = []
        waiting = threading.Thread(target=lambda into=found: into.append(next(groups)))
        waiting.start()
        waiting.join(timeout=20)
        assert found == [[text]]
    os.close(into)
    assert list(groups) == []
    os.close(out)


def test_a_byte_order_mark_is_no_part_of_the_first_line_alone() -> None:
    data = "\ufeffone\n\ufefftwo\n".encode()
    assert list(arriving_lines(reader([data]), "texts")) == [["one", "\ufefftwo"]]


def test_what_is_no_utf8_is_one_line_after_the_lines_before_it() -> None:
    groups = arriving_lines(reader([b"good\nba", b"d\nab\xffc\nnever\n"]), "standard input")
    assert [next(groups), next(groups)] == [["good"], ["bad"]]
    with pytest.raises(
        UserError, match=r"^standard input, line 3: byte 3 \(0xff\) is not UTF-8; expected UTF-8$"
    ):
        next(groups)
    with pytest.raises(UserError, match="line 2: byte 1"):
        list(arriving_lines(reader([b"good\n\xe5\xa5"]), "texts"))


def test_a_line_without_end_is_refused_and_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 2**20)

    def endless() -> Iterator[bytes]:
        yield b"good\n"
        while True:
            yield b"x" * 2**16

    chunks = endless()
    with pytest.raises(UserError, match=r"texts, line 2: more than 1 MiB; expected a text a line"):
        list(arriving_lines(lambda size: next(chunks), "texts"))


def test_memory_does_not_grow_with_the_lines() -> None:
    chunk, left = b"some text of a line\n" * 3_000, 60
    tracemalloc.start()
    try:
        total, groups = 0, arriving_lines(reader([chunk] * left), "texts")
        for group in groups:
            total += len(group)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 3_000 * left
    assert peak < 2**20, "3.6 MB came in"
