from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from zoo.grid.store import Store, decode_classes
from zoo.report.tables import build_tables
from zoo.text import Corpus, Split, TextSettings
from zoo.training.baseline import baseline_cell, run_baseline


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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_baseline_learns_from_n_grams(language: str):
    corpus = _corpus(language)
    result = run_baseline(corpus, TextSettings())
    assert result["test_accuracy"] > 0.7
    assert result["cell"] == {"corpus": "made", "arch": "-", "recipe": "tfidf_svm", "seed": 0, "fold": None}
    assert np.array_equal(decode_classes(result["truth"]), corpus.test.labels)
    right = decode_classes(result["predictions"]) == corpus.test.labels
    assert right.mean() == result["test_accuracy"]
    assert [tried["strength"] for tried in result["strengths"]] == [0.1, 1, 10]
    assert result["validation_accuracy"] == max(t["validation_accuracy"] for t in result["strengths"])
    assert "cut texts" in result["notes"][0]


def test_it_equals_scikit_learn_on_the_written_texts():
    corpus = _corpus("en")
    result = run_baseline(corpus, TextSettings())

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
    assert {t["strength"]: t["validation_accuracy"] for t in result["strengths"]} == pytest.approx(scores)
    assert result["parameters"] == train.shape[1] + 1


def test_the_test_part_has_no_say():
    corpus = _corpus("en")
    other = Corpus(**{**corpus.__dict__, "test": _split([[2]], [0])})
    first, second = (run_baseline(c, TextSettings()) for c in (corpus, other))
    assert first["strengths"] == second["strengths"]
    assert first["parameters"] == second["parameters"]


def test_its_cell_is_stored_and_shown_like_any_other(tmp_path):
    corpus, text = _corpus("zh"), TextSettings(folds=3, fold=2)
    cell, _, name = baseline_cell(corpus, text)
    assert cell["fold"] == 2
    assert name.startswith("made-none-tfidf_svm-s0-f2-")
    store = Store(tmp_path)
    result = run_baseline(corpus, text)
    store.write(result)
    assert store.done(name)
    (table,) = build_tables(store.cells())
    assert table.rows[0].scores[0].accuracy.mean == result["test_accuracy"]
