"""A prepared corpus is named by all of its content."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from zoo.text import Split
from zoo.text.corpus import fingerprint

LABELS, WORDS = ("bad", "good"), ("<pad>", "<unk>", "film", "play")
# Another value of each array, as valid as the first one.
OTHER = {
    "ids": np.array([2, 3, 3], np.int32),
    "offsets": np.array([0, 2, 3]),
    "labels": np.array([1, 0]),
    "starts": np.array([True, True, False]),
}


def parts() -> dict[str, Split]:
    return {
        name: Split(np.array([2, 2, last], np.int32), np.array([0, 1, 3]), np.array([0, 1]), np.ones(3, bool))
        for last, name in enumerate(("train", "validation", "test"))
    }


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("field", [field.name for field in fields(Split)])
def test_every_array_of_every_part_is_in_the_fingerprint(part: str, field: str) -> None:
    """A label of one test text that is corrected is another corpus, and other cells."""
    changed = parts()
    changed[part] = replace(changed[part], **{field: OTHER[field]})
    assert fingerprint(LABELS, WORDS, changed) != fingerprint(LABELS, WORDS, parts())


def test_names_and_their_order_are_in_the_fingerprint() -> None:
    found = {
        fingerprint(*names, parts())
        for names in (
            (LABELS, WORDS),
            (LABELS[::-1], WORDS),
            (("bad", "fine"), WORDS),
            (LABELS, (*WORDS[:2], "play", "film")),
            (LABELS, (*WORDS, "actor")),
        )
    }
    assert len(found) == 5
    exchanged = parts() | {"validation": parts()["test"], "test": parts()["validation"]}
    assert fingerprint(LABELS, WORDS, exchanged) not in found


def test_the_fingerprint_is_of_values_and_not_of_their_types() -> None:
    """Whole numbers have other widths on other systems."""
    wide = {
        name: Split(
            part.ids.astype(np.int64),
            part.offsets.astype(np.int32),
            part.labels.astype(np.int32),
            part.starts,
        )
        for name, part in parts().items()
    }
    assert fingerprint(LABELS, WORDS, wide) == fingerprint(LABELS, WORDS, parts())
