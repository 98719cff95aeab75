"""What the cells' short names are called in print and in which order."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ARCHS", "AVERAGE", "BASELINE", "CORPORA", "NO_ARCH", "RECIPES", "display", "in_order"]

AVERAGE = "AVG"
BASELINE = "tfidf_svm"
NO_ARCH = "-"  # the arch of a cell that is no neural network

# The order of each table is the order of the rows (and columns) in print: Table IV first.
RECIPES = {
    "standard": "w/o Dropout",
    "dropout": "Dropout",
    "at": "AT",
    "r_drop": "R-Drop",
    "r_at": "R-AT",
    "r_at_su": "R-AT-SU",
    "uegr": "UEGR",
    "freelb": "FreeLB",
    "uegr_no_mask": "UEGR, no mask",
    "uegr_blind_mask": "UEGR, blind mask",
    "uegr_uniform": "UEGR, uniform dropout",
    "uegr_no_js": "UEGR, no JS",
}
ARCHS = {
    "bilstm": "BiLSTM",
    "textcnn": "TextCNN",
    "texthan": "TextHAN",
    "han": "HAN (two-level)",
    NO_ARCH: "no neural network",
}
CORPORA = {
    "imdb": "IMDB",
    "ag_news": "AG News",
    "tnews": "TNEWS",
    "iflytek": "IFLYTEK",
    "bbc_news": "BBC News",
    "zh_reviews": "Chinese reviews",
    AVERAGE: AVERAGE,
}
_BASELINE_NAME = "TF-IDF + linear SVM"


def display(name: str) -> str:
    """The printed name of a recipe, arch or corpus; an unknown one (the user's own) prints as it is."""
    if name == BASELINE:
        return _BASELINE_NAME
    return RECIPES.get(name) or ARCHS.get(name) or CORPORA.get(name) or name


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order of print: known ones as above, then others by name, the baseline last."""
    known = {name: rank for rank, name in enumerate([*ARCHS, *CORPORA, *RECIPES])}
    return tuple(sorted(set(names), key=lambda name: (name == BASELINE, known.get(name, len(known)), name)))
