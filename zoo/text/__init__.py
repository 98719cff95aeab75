"""Corpora, vocabularies, word vectors and batches."""

from __future__ import annotations

from zoo.text.batching import Batch, batches
from zoo.text.cards import Card, load_card
from zoo.text.corpus import Corpus, Split
from zoo.text.loading import load_corpus, load_texts, prepare
from zoo.text.rows import RawCorpus, Rows
from zoo.text.settings import DEMO_CORPORA, REAL_CORPORA, TextSettings
from zoo.text.vectors import load_vectors

__all__ = [
    "DEMO_CORPORA",
    "REAL_CORPORA",
    "Batch",
    "Card",
    "Corpus",
    "RawCorpus",
    "Rows",
    "Split",
    "TextSettings",
    "batches",
    "load_card",
    "load_corpus",
    "load_texts",
    "load_vectors",
    "prepare",
]
