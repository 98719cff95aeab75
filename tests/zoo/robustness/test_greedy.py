"""The search for edits: against every subset of edits, its budget, its count of questions, its control."""

from __future__ import annotations

import itertools
from typing import ClassVar

import numpy as np
import pytest

from zoo.core.classes import decode_classes
from zoo.robustness.edits import Letters, cut
from zoo.robustness.greedy import Budget, mislead
from zoo.text import Part

from .linear import WORDS, Linear, part  # type: ignore[import-not-found]


class Flip:
    """One version of each word: its opposite."""

    name = "flips"
    to: ClassVar[dict[str, str]] = {"good": "bad", "fine": "poor", "bad": "good", "poor": "fine"}

    def of(self, word: str, rng: np.random.Generator) -> list[str]:
        return [self.to[word]] if word in self.to else []


TEXTS = part(
    "good film the", "good fine good plot", "bad poor plot", "good fine fine fine bad film a the", "the film",
    "bad good",
    labels=[1, 1, 0, 1, 1, 1],
)  # fmt: skip


def changed(before: str, after: str) -> int:
    return sum(a != b for a, b in zip(cut(before, "en").words, cut(after, "en").words, strict=True))


def test_of_an_additive_network_greedy_finds_the_fewest_edits_of_all_subsets() -> None:
    """Every subset of words is flipped; the smallest that misleads has as many edits as the search made."""
    target = Linear((2.0, 0.05))
    for row in range(len(TEXTS)):
        one = TEXTS.take(np.array([row]))
        found = mislead(target, one, Flip(), Budget(1_000, 1.0))
        parts = cut(one.texts[0], "en")
        least = None
        for count in range(len(parts.words) + 1):
            for places in itertools.combinations(range(len(parts.words)), count):
                words = [Flip.to.get(w, w) if i in places else w for i, w in enumerate(parts.words)]
                answer = target.logits(part(" ".join(words), labels=one.labels)).argmax(1)[0]
                if answer != one.labels[0] and least is None:
                    least = count
        if least in (None, 0):
            assert found["edits"] == 0 or least is None
            continue
        assert found["accuracy"] == 0.0
        assert found["edits"] == least, one.texts


def test_every_question_is_counted_and_the_budget_holds() -> None:
    for queries in (4, 6, 9, 100):
        target = Linear((2.0, 0.05))
        found = mislead(target, TEXTS, Letters(), Budget(queries, 0.5))
        right = round(found["clean"] * len(TEXTS))
        # Wrong ones cost the clean question alone; the control asks once a text and is not counted.
        assert target.asked - len(TEXTS) == found["queries"] * right + len(TEXTS) - right
        assert found["queries"] <= queries


def test_what_it_says_of_a_text_is_so() -> None:
    target = Linear((2.0, 0.05))
    found = mislead(target, TEXTS, Letters(), Budget(200, 0.5))
    answers = decode_classes(found["predictions"])
    assert found["accuracy"] == float((answers == TEXTS.labels).mean()) < found["clean"]
    assert found["examples"]
    for example in found["examples"]:
        truth = target.classes.index(example["truth"])
        answer = target.logits(part(example["edited"], labels=[truth])).argmax(1)[0]
        assert answer != truth
        assert target.classes[answer] == example["answer"]
        assert 1 <= changed(example["text"], example["edited"]) <= max(1, len(example["text"].split()) // 2)


def test_the_same_seed_gives_the_same_and_a_text_does_not_depend_on_others() -> None:
    budget = Budget(50, 0.5)
    first, again = (mislead(Linear((2.0, -0.5)), TEXTS, Letters(), budget, seed=3) for _ in range(2))
    assert first == again
    alone = mislead(Linear((2.0, -0.5)), TEXTS.take(np.array([0])), Letters(), budget, seed=3)
    assert decode_classes(alone["predictions"])[0] == decode_classes(first["predictions"])[0]
    assert alone["examples"][0] == first["examples"][0]


def test_the_heaviest_word_is_edited_first_and_only_what_costs_is_kept() -> None:
    class Removed:
        name = "removed"
        asked: ClassVar[list[str]] = []

        def of(self, word: str, rng: np.random.Generator) -> list[str]:
            self.asked.append(word)
            return ["good", "the"] if word == "fine" else ["the"]

    edits = Removed()
    found = mislead(
        Linear((2.0, 0.0)), part("film film bad fine good good", labels=[1]), edits, Budget(100, 1.0)
    )
    # good weighs 1, fine 0.9, film 0.1; bad speaks against the truth, and to take it out would help it.
    assert edits.asked[:3] == ["good", "good", "fine"]
    (example,) = found["examples"]
    assert example["edited"] == "film film bad the the the"
    assert found["edits"] == 3


def test_an_edit_that_helps_the_truth_is_not_kept() -> None:
    class Better:
        name = "better"

        def of(self, word: str, rng: np.random.Generator) -> list[str]:
            return ["the"] if word == "bad" else []

    found = mislead(Linear((2.0, 0.0)), part("good good bad", labels=[1]), Better(), Budget(50, 1.0))
    assert (found["edits"], found["accuracy"]) == (0.0, 1.0)
    assert found["queries"] == 1 + 3 + 1


def test_words_that_the_network_cuts_off_are_left_alone() -> None:
    class Short(Linear):
        length = 3

        def logits(self, asked: Part) -> np.ndarray:
            seen.extend(asked.texts)
            return super().logits(asked)

    seen: list[str] = []
    mislead(Short((2.0, 0.0)), part("the plot good fine good the", labels=[1]), Letters(), Budget(50, 1.0))
    assert len(seen) > 5
    assert all(text.endswith(" fine good the") for text in seen)


def test_the_control_makes_as_many_edits_at_other_places() -> None:
    rng = np.random.default_rng(0)
    texts = part(*(f"good {' '.join(rng.choice(['plot', 'the'], 9))}" for _ in range(60)))
    target = Linear((2.0, 0.0))
    seen: list[list[str]] = []
    real = target.logits

    def logits(asked: Part) -> np.ndarray:
        seen.append(asked.texts)
        return real(asked)

    target.logits = logits  # type: ignore[method-assign]
    found = mislead(target, texts, Letters(), Budget(100, 0.1))
    counts = [changed(before, after) for before, after in zip(texts.texts, seen[-1], strict=True)]
    assert set(counts) == {1}
    assert found["edits"] == 1.0
    assert found["accuracy"] == 0.0
    # One word of ten is the one that matters.
    assert 0.7 < found["control"] < 1.0


def test_texts_that_are_wrong_or_have_no_word_stay_as_they_are() -> None:
    texts = part("1 2 3", "bad", labels=[0, 1])
    found = mislead(Linear(), texts, Letters(), Budget(20, 1.0))
    assert (found["clean"], found["accuracy"], found["edits"]) == (0.5, 0.5, 0.0)
    assert found["queries"] == 1.0


def test_of_pairs_the_second_text_is_edited() -> None:
    class Second(Linear):
        def logits(self, asked: Part) -> np.ndarray:
            assert asked.pairs
            assert set(asked.texts) == {"premise"}
            return super().logits(asked)

    pairs = Part(["premise"] * 2, ["good film", "fine plot"], np.array([1, 1]))
    found = mislead(Second((2.0, 0.05)), pairs, Letters(), Budget(50, 1.0))
    assert found["accuracy"] == 0.0


@pytest.mark.parametrize("queries", [10, 11])
def test_of_a_long_text_half_of_the_budget_goes_into_weighing(queries: int) -> None:
    class Counting(Linear):
        sizes: ClassVar[list[int]] = []

        def logits(self, asked: Part) -> np.ndarray:
            self.sizes.append(len(asked))
            return super().logits(asked)

    target = Counting((2.0, 0.0))
    Counting.sizes.clear()
    mislead(target, part(" ".join(["good", *WORDS[4:] * 20]), labels=[1]), Letters(), Budget(queries, 1.0))
    assert target.sizes[1] == queries // 2
