"""Which edits mislead a network that can only be asked: a greedy search with a budget of queries.

    1  each word's weight: what the probability of the truth loses where an unknown word stands for it
    2  from the heaviest word on: ask for every version of it, take the one that costs most, if it costs
    3  stop when the answer is wrong, or the edits or the queries are spent

Steps and scoring are those of DeepWordBug (Gao et al. 2018, arXiv 1801.04354), its "replace-1" score. A query
is one text that the network is asked about, the clean one among them. At most half of the budget goes into
step 1; of a longer text a random part of the words is weighed. Words that the network cuts off do not count
(a word is at least one of its tokens). Texts that are answered wrongly anyway stay as they are. The control
makes as many edits at random places, without a question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.core.classes import encode_classes
from zoo.robustness.calibration import softmax
from zoo.robustness.edits import Edits, cut
from zoo.robustness.target import Target
from zoo.text import Part

Ask = Generator[list[str], np.ndarray, "Attempt"]
AT_ONCE = 512  # texts asked about


@dataclass(frozen=True)
class Budget:
    """Of one text: queries at most; edited words at most, as a share of its words (one at least)."""

    queries: int
    share: float


@dataclass(frozen=True)
class Attempt:
    """What came of one text. answer: the class that the network gives to `text`."""

    text: str
    edits: int
    queries: int
    answer: int


def search(
    text: str, truth: int, clean: np.ndarray, target: Target, edits: Edits, budget: Budget,
    rng: np.random.Generator,
) -> Ask:  # fmt: skip
    """Yields texts to be asked about, takes their (m, C) probabilities, ends with what it found.

    Args:
        clean: (C,) of the text itself, the first query.
    """
    parts, queries, made = cut(text, target.language), 1, 0
    best, answer = float(clean[truth]), int(clean.argmax())
    read = min(len(parts.words), target.length)
    places = np.arange(read)
    if len(places) > (most := budget.queries // 2):
        places = np.sort(rng.choice(places, most, replace=False))
    if not len(places):
        return Attempt(text, 0, queries, answer)
    weighed = yield [parts.text(int(at), target.unknown) for at in places]
    queries += len(places)
    allowed = max(1, math.floor(budget.share * read))
    for at in places[np.argsort(weighed[:, truth], kind="stable")]:
        versions = edits.of(parts.words[at], rng)[: budget.queries - queries]
        if not versions:
            continue
        found = yield [parts.text(int(at), version) for version in versions]
        queries += len(versions)
        # Among several that mislead, too, the one that leaves the truth least.
        misled = np.flatnonzero(found.argmax(1) != truth)
        among = misled if len(misled) else np.arange(len(versions))
        chosen = int(among[found[among, truth].argmin()])
        if len(misled) or found[chosen, truth] < best:
            parts.words[at] = versions[chosen]
            best, made = float(found[chosen, truth]), made + 1
            answer = int(found[chosen].argmax())
        if len(misled) or made == allowed or queries >= budget.queries:
            break
    return Attempt(parts.text(), made, queries, answer)


def mislead(
    target: Target,
    part: Part,
    edits: Edits,
    budget: Budget,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Search for every text, side by side; and the control. Plain JSON types.

    Of pairs the second text is edited. `accuracy` is of all texts, `control` that under random edits, `edits`
    and `queries` means over the texts that were attacked.
    """
    clean = softmax(target.logits(part))
    right = np.flatnonzero(clean.argmax(1) == part.labels).tolist()
    attempts = {i: Attempt(_edited(part, i), 0, 1, int(clean[i].argmax())) for i in range(len(part))}
    running = {
        i: search(
            _edited(part, i), int(part.labels[i]), clean[i], target, edits, budget,
            np.random.default_rng([seed, i]),
        )
        for i in right
    }  # fmt: skip
    wanted: dict[int, list[str]] = {}
    for i in list(running):
        _advance(running, wanted, attempts, i, None)
    while running:
        rows, texts = _some(wanted)
        found = softmax(target.logits(_with(part, rows, texts)))
        at = 0
        for i in dict.fromkeys(rows):
            count = len(wanted[i])
            _advance(running, wanted, attempts, i, found[at : at + count])
            at += count
        report(f"{edits.name}: {len(right) - len(running):,} of {len(right):,} texts attacked")
    answers = np.array([attempts[i].answer for i in range(len(part))])
    control = _control(target, part, edits, {i: attempts[i].edits for i in right}, seed)
    attacked = [attempts[i] for i in right]
    return {
        "rows": len(part), "budget": {"queries": budget.queries, "share": budget.share},
        "clean": len(right) / len(part),
        "accuracy": float((answers == part.labels).mean()),
        "control": float((control == part.labels).mean()),
        "edits": _mean([a.edits for a in attacked]),
        "queries": _mean([a.queries for a in attacked]),
        "truth": encode_classes(part.labels),
        "predictions": encode_classes(answers),
        "control_predictions": encode_classes(control),
        "examples": [
            {"text": _edited(part, i), "edited": attempts[i].text, "truth": target.classes[part.labels[i]],
             "answer": target.classes[attempts[i].answer]}
            for i in right if attempts[i].answer != part.labels[i]
        ][:3],
    }  # fmt: skip


def _advance(
    running: dict[int, Ask], wanted: dict[int, list[str]], attempts: dict[int, Attempt], i: int,
    found: np.ndarray | None,
) -> None:  # fmt: skip
    """Hand a search its answers, and note what it asks next or ended with."""
    try:
        wanted[i] = next(running[i]) if found is None else running[i].send(found)
    except StopIteration as end:
        attempts[i] = end.value
        del running[i]
        wanted.pop(i, None)


def _some(wanted: dict[int, list[str]]) -> tuple[list[int], list[str]]:
    """Rows and texts of the first searches, whole ones, about AT_ONCE texts."""
    rows, texts = list[int](), list[str]()
    for i, own in wanted.items():
        rows += [i] * len(own)
        texts += own
        if len(texts) >= AT_ONCE:
            break
    return rows, texts


def _control(target: Target, part: Part, edits: Edits, counts: dict[int, int], seed: int) -> np.ndarray:
    """(n,) answers to texts with so many random edits: other places, the same kinds, no question asked."""
    texts = [_edited(part, i) for i in range(len(part))]
    for i, count in counts.items():
        rng = np.random.default_rng([seed, i, 1])
        parts, made = cut(texts[i], target.language), 0
        for at in rng.permutation(min(len(parts.words), target.length)):
            if made == count:
                break
            if versions := edits.of(parts.words[at], rng):
                parts.words[at] = versions[int(rng.integers(len(versions)))]
                made += 1
        texts[i] = parts.text()
    found: np.ndarray = target.logits(_with(part, list(range(len(part))), texts)).argmax(1)
    return found


def _edited(part: Part, i: int) -> str:
    return part.pairs[i] if part.pairs else part.texts[i]


def _with(part: Part, rows: Sequence[int], texts: list[str]) -> Part:
    """Rows of a part with other texts in the place that is edited."""
    labels = part.labels[list(rows)]
    return Part([part.texts[i] for i in rows], texts, labels) if part.pairs else Part(texts, [], labels)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
