"""Corpora, vocabularies, word vectors and batches."""

from __future__ import annotations

from zoo.core.batch import Batch
from zoo.core.cards import Card, default_length, known_corpora, load_card
from zoo.text.batching import batches
from zoo.text.corpus import Corpus, Split
from zoo.text.examples import Examples, Part, load_examples
from zoo.text.loading import load_corpus, load_texts, prepare
from zoo.text.settings import TextSettings
from zoo.text.sources.rows import RawCorpus, Rows
from zoo.text.vectors import check_vectors, load_vectors

__all__ = [
    "Batch",
    "Card",
    "Corpus",
    "Examples",
    "Part",
    "RawCorpus",
    "Rows",
    "Split",
    "TextSettings",
    "batches",
    "check_vectors",
    "default_length",
    "known_corpora",
    "load_card",
    "load_corpus",
    "load_examples",
    "load_texts",
    "load_vectors",
    "prepare",
]
