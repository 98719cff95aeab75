"""What the cells' short names are called in print and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from zoo.core.cards import known_corpora, load_card

__all__ = [
    "ARCHS", "AVERAGE", "BASELINE", "MULTITASK", "NO_ARCH", "PRETRAINED", "RECIPES", "corpora", "display",
    "in_order", "is_multitask", "is_pretrained",
]  # fmt: skip

AVERAGE = "AVG"
BASELINE = "tfidf_svm"
NO_ARCH = "-"  # the arch of a cell that is no neural network
PRETRAINED = "hf:"  # what the archs of Hugging Face begin with
MULTITASK = "mtdnn:"  # what those begin with that are trained on all corpora of a run at once

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
    "sam": "SAM",
    "awp": "AWP",
    "adv_embed": "AdvEmbed (PGD)",
    "l2_sp": "WCons (L2-SP)",
    "rec_adam": "WCons (RecAdam)",
    "ctune_f": "CTune-F",
    "ctune_d": "CTune-D",
    "uegr_no_mask": "UEGR, no mask",
    "uegr_blind_mask": "UEGR, blind mask",
    "uegr_uniform": "UEGR, uniform dropout",
    "uegr_no_js": "UEGR, no JS",
    "uegr_no_attack": "UEGR, no attack",
    "uegr_no_rescale": "UEGR, no 1/p",
}
ARCHS = {
    "bilstm": "BiLSTM",
    "textcnn": "TextCNN",
    "texthan": "TextHAN",
    "han": "HAN (two-level)",
    "hf:minilm": "MiniLM",
    "mtdnn:minilm": "MT-DNN (MiniLM)",
    NO_ARCH: "no neural network",
}
_BASELINE_NAME = "TF-IDF + linear SVM"


def is_pretrained(arch: str) -> bool:
    """Whether an arch is a model of Hugging Face, with weights and a tokeniser of its own."""
    return arch.startswith((PRETRAINED, MULTITASK))


def is_multitask(arch: str) -> bool:
    """Whether an arch is such a model that is trained on all corpora of a run at once, a head for each."""
    return arch.startswith(MULTITASK)


@cache
def corpora() -> dict[str, str]:
    """The known corpora, as their cards call and order them, and the average over corpora."""
    return {name: load_card(name).title for name in known_corpora()} | {AVERAGE: AVERAGE}


def display(name: str) -> str:
    """The printed name of a recipe, arch or corpus; an unknown one (the user's own) prints as it is."""
    if name == BASELINE:
        return _BASELINE_NAME
    return RECIPES.get(name) or ARCHS.get(name) or corpora().get(name) or name


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order of print: known ones as above, then others by name, the baseline last."""
    known = {name: rank for rank, name in enumerate([*ARCHS, *corpora(), *RECIPES])}
    return tuple(sorted(set(names), key=lambda name: (name == BASELINE, known.get(name, len(known)), name)))
