from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from zoo.core.identity import cell_id
from zoo.core.result import Cell, Result
from zoo.text import Corpus, Split, TextSettings
from zoo.training.baseline import _choose, baseline_settings, run_baseline


def _split(rows: list[list[int]], labels: list[int]) -> Split:
    ids = np.array([i for row in rows for i in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    starts = np.isin(np.arange(len(ids)), offsets[:-1])
    return Split(ids, offsets, np.array(labels, dtype=np.int64), starts)


def _corpus(language: str, n: int = 60) -> Corpus:
    """Class 1 says "not good" or "bad", class 0 "good" or "not bad"; 15 % of the labels are wrong.

    Words alone cannot tell the classes apart, pairs of words can.
    """
    words = {
        "en": ("<pad>", "<unk>", "not", "good", "bad", "film", "a.b"),
        "zh": ("<pad>", "<unk>", "不", "好", "坏", "电影", "看"),
    }[language]
    rng = np.random.default_rng(0)

    def part(count: int) -> Split:
        rows, labels = [], []
        for _ in range(count):
            label = int(rng.integers(2))
            core = [[3], [2, 4]][int(rng.integers(2))] if label == 0 else [[4], [2, 3]][int(rng.integers(2))]
            rows.append([5, *core, *rng.choice([1, 5, 6], 3).tolist()])
            labels.append(label if rng.random() < 0.85 else 1 - label)
        return _split(rows, labels)

    return Corpus(
        "made", language, ("good", "bad"), part(4 * n), part(n), part(n), words, "0" * 16, ("demo",)
    )


def run(corpus: Corpus) -> Result:
    head = Result("name", Cell(corpus.name, "-", "tfidf_svm", 0), "failed")
    return run_baseline(head, corpus, baseline_settings(corpus, TextSettings()))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_baseline_learns_from_n_grams(language: str):
    corpus = _corpus(language)
    result = run(corpus)
    assert result.done
    assert result.measures["accuracy"] > 0.7
    truth, predictions = result.classes()
    assert np.array_equal(truth, corpus.test.labels)
    assert (predictions == truth).mean() == result.measures["accuracy"]
    assert result.machine.processor is None, "it reads no kernel that differs: it stands beside all kinds"
    assert [tried["strength"] for tried in result.strengths] == [0.1, 1, 10]
    assert result.validation_accuracy == max(t["validation_accuracy"] for t in result.strengths)
    assert "cut texts" in result.notes[0]


def test_it_equals_scikit_learn_on_the_written_texts():
    corpus = _corpus("en")
    result = run(corpus)

    def texts(split: Split) -> list[str]:
        return [
            " ".join(corpus.words[i].replace("<unk>", "U") for i in split.row(r)) for r in range(len(split))
        ]

    vectorizer = TfidfVectorizer(
        token_pattern=r"\S+", lowercase=False, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    train = vectorizer.fit_transform(texts(corpus.train))
    scores = {}
    for strength in (0.1, 1, 10):
        machine = LinearSVC(C=strength, dual=True, random_state=0, max_iter=2000).fit(
            train, corpus.train.labels
        )
        scores[strength] = machine.score(
            vectorizer.transform(texts(corpus.validation)), corpus.validation.labels
        )
    assert {t["strength"]: t["validation_accuracy"] for t in result.strengths} == pytest.approx(scores)
    assert result.parameters == train.shape[1] + 1


def test_the_smallest_of_the_best_strengths_is_taken():
    """Told apart by its first word, every strength is right; the row of the first one is then used."""
    train, labels = np.array([[1.0, 0.0], [0.0, 1.0]] * 10), np.array([0, 1] * 10)
    best, tried, _ = _choose(train, labels, train, labels, [0.5, 2.0, 8.0])
    assert [point["validation_accuracy"] for point in tried] == [1.0, 1.0, 1.0]
    assert best.C == 0.5
    # Turned around, none is right; still the first one, and not the last that was fitted.
    assert _choose(train, labels, train, 1 - labels, [2.0, 0.5])[0].C == 2.0


def test_the_test_part_has_no_say():
    corpus = _corpus("en")
    # The same first texts; then n-grams that no other part has, under the other label.
    rows = [corpus.test.row(r).tolist() for r in range(20)]
    own = _split([*rows, *[[4, 4, 4, 6, 6, 3, 3]] * 200], [*(1 - corpus.test.labels[:20]), *[1] * 200])
    first, second = (run(c) for c in (corpus, replace(corpus, test=own)))
    assert first.strengths == second.strengths
    assert first.parameters == second.parameters
    assert np.array_equal(first.classes()[1][:20], second.classes()[1][:20])


def test_words_count_by_their_logarithm():
    """A class that hangs on how often a word comes: the predictions are scikit-learn's, text by text."""
    rng = np.random.default_rng(0)

    def part(count: int) -> Split:
        rows = [rng.choice([2, 3, 4, 5, 6], 40, p=rng.dirichlet(np.ones(5))).tolist() for _ in range(count)]
        return _split(rows, [int(row.count(3) + rng.normal() > row.count(4)) for row in rows])

    corpus = replace(_corpus("en"), train=part(200), validation=part(80), test=part(200))
    best = run(corpus)

    def texts(split: Split) -> list[str]:
        return [" ".join(corpus.words[i] for i in split.row(r)) for r in range(len(split))]

    predictions = {}
    for sublinear in (True, False):
        vectorizer = TfidfVectorizer(
            token_pattern=r"\S+", lowercase=False, ngram_range=(1, 2), sublinear_tf=sublinear,
            dtype=np.float32,
        )  # fmt: skip
        train = vectorizer.fit_transform(texts(corpus.train))
        strength = max(best.strengths, key=lambda t: (t["validation_accuracy"], -t["strength"]))["strength"]
        machine = LinearSVC(C=strength, dual=True, random_state=0, max_iter=2000).fit(
            train, corpus.train.labels
        )
        predictions[sublinear] = machine.predict(vectorizer.transform(texts(corpus.test)))
    assert np.array_equal(best.classes()[1], predictions[True])
    assert not np.array_equal(predictions[True], predictions[False])


def test_its_name_has_the_text_and_the_machine_that_reads_it():
    names = set()
    for language, text in (("en", TextSettings()), ("zh", TextSettings()), ("en", TextSettings(min_count=2))):
        settings = baseline_settings(_corpus(language), text)
        cell = {"corpus": "made", "arch": "-", "recipe": "tfidf_svm", "seed": 0, "fold": 2}
        names.add(cell_id(cell, settings.named(), "data"))
    assert len(names) == 3
    assert all(name.startswith("made-none-tfidf_svm-s0-f2-") for name in names)
