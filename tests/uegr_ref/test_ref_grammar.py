from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.learn.properties.strategies import refused, rngs, seeds
from uegr_ref.support.grammar import GRAMMARS, PADDING, UNKNOWN, corpora, review, tokenise

languages = st.sampled_from(sorted(GRAMMARS))


@given(languages, seeds)
def test_a_corpus_repeats_with_its_seed(language, seed):
    first, words = corpora(language, (20, 5), np.random.default_rng(seed))
    second, again = corpora(language, (20, 5), np.random.default_rng(seed))
    assert words == again
    for one, other in zip(first, second, strict=True):
        assert one.texts == other.texts
        assert np.array_equal(one.tokens, other.tokens)
        assert np.array_equal(one.labels, other.labels)


@given(languages, rngs)
def test_texts_are_encoded_word_by_word_and_padded(language, rng):
    (train, test), words = corpora(language, (30, 30), rng)
    for corpus in (train, test):
        for text, tokens, mask in zip(corpus.texts, corpus.tokens, corpus.mask, strict=True):
            known = [word if word in words else "<unk>" for word in tokenise(text, language)]
            assert [words[i] for i in tokens[mask]] == known
            assert (tokens[~mask] == PADDING).all()
    assert UNKNOWN not in train.tokens
    assert set(np.unique(train.labels)) <= {0, 1}


@given(languages, rngs, st.integers(0, 1))
def test_a_review_is_made_of_complete_sentences(language, rng, label):
    text = review(GRAMMARS[language], label, rng)
    assert "{" not in text
    assert "  " not in text
    assert text.endswith("." if language == "english" else "。")


@pytest.mark.parametrize("language", sorted(GRAMMARS))
def test_the_corpus_is_balanced_varied_and_noisy(language):
    (corpus,), words = corpora(language, (2000,), np.random.default_rng(0))
    assert 0.45 < corpus.labels.mean() < 0.55
    assert len(set(corpus.texts)) > 1800
    assert len(words) > 90
    # The same words under both labels: no word of an opinion belongs to one label alone.
    grammar = GRAMMARS[language]
    for word in grammar.things["bed" if language == "english" else "床"][1]:
        labels = {int(y) for text, y in zip(corpus.texts, corpus.labels, strict=True) if word in text}
        assert labels == {0, 1}


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    refused("language", lambda: corpora("french", (1,), rng))
    refused("sizes", lambda: corpora("english", (0,), rng))
    refused("rng", lambda: corpora("english", (1,), 0))
