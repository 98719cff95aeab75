"""Presets: the corpora, seeds and sizes of a run under one name."""

from __future__ import annotations

from typing import Any

# What a preset says of each part; everything else keeps its record's default. `corpora`, `seeds` and
# `fractions` (of a corpus' rows) are defaults that the command line can change; `model` has the sizes of each
# model, `train_pretrained` what models of Hugging Face have in place of `train`, and `train_by_corpus` what
# the zoo's own models have on a corpus, for all methods alike.
_SMALL_RECURRENT = {"embedding": 64, "hidden": 32, "layers": 1}
_QUICK_RECURRENT = {"embedding": 64, "hidden": 48, "layers": 1}
_SMALL_MODELS = {
    "bilstm": _SMALL_RECURRENT,
    "texthan": _SMALL_RECURRENT,
    "textcnn": {"embedding": 64, "filters": 32, "widths": (2, 3, 4)},
    "han": {"embedding": 64, "hidden": 24},
}
_QUICK_MODELS = {
    "bilstm": _QUICK_RECURRENT,
    "texthan": _QUICK_RECURRENT,
    "textcnn": {"embedding": 64, "filters": 48, "widths": (2, 3, 4)},
    "han": {"embedding": 64, "hidden": 32},
}
_FULL_RECURRENT = {"embedding": 100, "hidden": 100, "layers": 1}
_PAPER_CORPORA, _SIX_SEEDS = ("imdb", "ag_news", "tnews", "iflytek"), (0, 1, 2, 3, 4, 5)

# How models of Hugging Face are trained under any preset: the paper's batch, epochs and warm-up. It does not
# state its learning rate; this is that of its lineage for BERT.
PRETRAINED_TRAIN: dict[str, Any] = {"epochs": 10, "batch_size": 16, "learning_rate": 2e-5, "warmup": 0.06}
_GLUE = ("sst2", "cola", "mrpc", "stsb", "mnli", "qqp", "qnli", "rte", "wnli")

PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "corpora": ("bbc_news", "zh_reviews"),
        "seeds": (0,),
        "portable": True,  # the same numbers as the README's on other machines
        "text": {"max_length": 64, "max_vocabulary": 8_000},
        "fractions": {"zh_reviews": 0.25},
        "model": _SMALL_MODELS,
        "train": {"epochs": 6, "learning_rate": 1e-2},
    },
    "quick": {
        "corpora": _PAPER_CORPORA,
        "seeds": _SIX_SEEDS,
        "portable": True,
        "text": {"max_length": 128, "max_vocabulary": 20_000},
        "fractions": {"imdb": 0.1, "ag_news": 0.1, "tnews": 0.1, "iflytek": 0.3},
        "model": _QUICK_MODELS,
        # Word2Vec trained on a tenth of a corpus is worse than random vectors on validation (decisions.md).
        "train": {"epochs": 5, "learning_rate": 3e-3},
    },
    # Some 1,500 texts of six corpora, as a user might bring them, to choose settings by (`zoo.study`).
    "slices": {
        "corpora": (*_PAPER_CORPORA, "bbc_news", "zh_reviews"),
        "seeds": (0, 1, 2),
        "portable": True,
        "text": {"max_length": 96, "max_vocabulary": 10_000},
        "fractions": {"imdb": 0.065, "ag_news": 0.035, "tnews": 0.04, "iflytek": 0.3, "zh_reviews": 0.12},
        "model": _SMALL_MODELS,
        "train": {"epochs": 6, "batch_size": 32, "learning_rate": 1e-2},
    },
    # Every row that there is, at sizes between those of `quick` and the paper's, until validation says stop.
    "full": {
        "corpora": _PAPER_CORPORA,
        "seeds": (0, 1, 2),  # not portable: its steps would take twice as long
        "text": {"max_length": 256, "max_vocabulary": 30_000},
        "fractions": {},
        "model": {
            "bilstm": {**_FULL_RECURRENT, "pooling": "max"},  # by validation (decisions.md)
            "texthan": _FULL_RECURRENT,
            "textcnn": {"embedding": 100, "filters": 100, "widths": (2, 3, 4)},
            "han": {"embedding": 100, "hidden": 50},
        },
        "train": {"epochs": 10, "batch_size": 32, "learning_rate": 1e-3, "patience": 3},
        # By validation, for all methods alike (decisions.md): steps on IFLYTEK are few, and a model of many
        # languages knows Chinese words that the training parts show seldom.
        "train_by_corpus": {
            "iflytek": {"learning_rate": 3e-3, "vectors": "e5"},
            "tnews": {"vectors": "e5"},
        },
    },
    "paper": {
        "corpora": _PAPER_CORPORA,
        "seeds": _SIX_SEEDS,
        "text": {},
        "fractions": {},
        "model": {},
        "train": {"vectors": "word2vec"},
    },
    # Tables I and II: models of Hugging Face on the nine tasks.
    "glue": {
        "corpora": tuple(f"glue_{task}" for task in _GLUE),
        "seeds": (0, 1, 2),
        "text": {"max_length": 128},
        "fractions": {},
        "model": {},
        "train": {},
    },
    # Two of the tasks, cut so that MiniLM learns them on two CPU cores.
    "minilm": {
        "corpora": ("glue_sst2", "glue_mrpc"),
        "seeds": (0, 1, 2),  # not portable: its products would take three times as long
        "text": {"max_length": 64},
        "fractions": {"glue_sst2": 0.025, "glue_mrpc": 0.2},
        "model": {},
        "train": {},
        "train_pretrained": {"epochs": 3, "learning_rate": 1e-4},
    },
}

# A user's own corpus of which nothing but the size is known is trained as `full` says; below so many texts,
# whose steps are few, at a larger learning rate (decisions.md).
OWN_PRESET = "full"
MANY_TEXTS = 20_000


# What a model of Hugging Face has then in place of `PRETRAINED_TRAIN`, however many texts there are.
OWN_PRETRAINED = {"patience": PRESETS[OWN_PRESET]["train"]["patience"]}


def own_training(texts: int) -> dict[str, Any]:
    """What a corpus of so many texts has in place of the preset's training."""
    return {} if texts >= MANY_TEXTS else {"learning_rate": 3e-3}
