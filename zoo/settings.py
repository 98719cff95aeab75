"""Settings of a run that are not the method's: model size, text, optimizer; and the presets of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

ARCHS = ("bilstm", "textcnn", "texthan", "han")


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of the four models; the defaults are the lineage's (uegr.md section 7)."""

    embedding: int = 300  # D, size of a word vector
    hidden: int = 300  # per direction, of bilstm and texthan
    layers: int = 2  # recurrent layers of bilstm and texthan
    filters: int = 300  # per width, of textcnn
    widths: tuple[int, ...] = (1, 2, 3, 4, 5)
    han_hidden: int = 50  # per direction, words and sentences (Yang et al. 2016)
    words_per_sentence: int = 30  # of han: longer sentences are cut into several


@dataclass(frozen=True)
class TrainSettings:
    """The optimizer and its schedule (uegr.md section 7)."""

    epochs: int = 10
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.01  # AdamW; none on biases and other vectors
    beta1: float = 0.9
    beta2: float = 0.999
    adam_epsilon: float = 1e-8
    warmup: float = 0.06  # share of the steps, then linear decay to 0
    bucketed: bool = True  # batches of similar length
    vectors: str = "random"  # or "word2vec", or a file of vectors
    selection: str = "best"  # weights of the best validation epoch, or "last"


# What a preset says of each part; everything else keeps its default. `corpora`, `seeds` and `fractions` (of
# a corpus' rows) are defaults that the command line can change.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "corpora": ("bbc_news", "zh_reviews"),
        "seeds": (0,),
        "text": {"max_length": 64, "max_vocabulary": 8_000},
        "fractions": {"zh_reviews": 0.25},
        "model": {
            "embedding": 64, "hidden": 32, "layers": 1, "filters": 32, "widths": (2, 3, 4), "han_hidden": 24,
        },
        "train": {"epochs": 6, "learning_rate": 3e-3},
    },
    "quick": {
        "corpora": ("imdb", "ag_news", "tnews", "iflytek"),
        "seeds": (0, 1, 2, 3, 4, 5),
        "text": {"max_length": 128, "max_vocabulary": 20_000},
        "fractions": {"imdb": 0.1, "ag_news": 0.1, "tnews": 0.1, "iflytek": 0.3},
        "model": {
            "embedding": 64, "hidden": 48, "layers": 1, "filters": 48, "widths": (2, 3, 4), "han_hidden": 32,
        },
        # Word2Vec trained on a tenth of a corpus is worse than random vectors on validation (decisions.md).
        "train": {"epochs": 5, "learning_rate": 3e-3},
    },
    "paper": {
        "corpora": ("imdb", "ag_news", "tnews", "iflytek"),
        "seeds": (0, 1, 2, 3, 4, 5),
        "text": {},
        "fractions": {},
        "model": {},
        "train": {"vectors": "word2vec"},
    },
}  # fmt: skip

# Texts of a corpus are cut at this many tokens unless the preset says less (uegr.md section 7).
CORPUS_LENGTH = {"tnews": 32, "ag_news": 64, "zh_reviews": 64}


def as_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain JSON types (tuples become lists)."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(settings).items()
    }
