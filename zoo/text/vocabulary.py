"""The only module that touches torchtext: vocabularies are torchtext 0.6.0 `Vocab` objects.

torchtext is end of life. 0.6.0 is pure Python; what came after is compiled against torch <= 2.3 and fails to
load with an `OSError`. It is imported when first needed, so that nothing else depends on it.
"""

from __future__ import annotations

from collections import Counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError
from zoo.text.settings import PAD, UNK

if TYPE_CHECKING:
    from zoo.text.corpus import Corpus


def torchtext_module(name: str) -> ModuleType:
    """Import `torchtext.<name>`. Raises `UserError` where none can be loaded or it is not like 0.6.0."""
    import importlib

    remedy = "pip install torchtext==0.6.0 (later ones are compiled for torch <= 2.3 and cannot be loaded)"
    try:
        module = importlib.import_module(f"torchtext.{name}")
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"torchtext cannot be used ({reason}); {remedy}") from error
    wanted = {"vocab": "Vectors", "data": "Field"}.get(name)
    if wanted is not None and not hasattr(module, wanted):
        raise UserError(f"the installed torchtext has no {name}.{wanted}; {remedy}")
    return module


def build_vocabulary(counts: Counter[str], max_size: int, min_count: int) -> Any:
    """Return a torchtext `Vocab`: <pad> = 0, <unk> = 1, then words by falling count, ties by code point.

    counts: of the training part only. max_size: words kept besides the two special ones.
    """
    vocab = torchtext_module("vocab")
    return vocab.Vocab(counts, max_size=max_size, min_freq=min_count, specials=[PAD, UNK])


def corpus_vocabulary(corpus: Corpus) -> Any:
    """Return the torchtext `Vocab` of a prepared corpus: its words and ids, counts of its training part."""
    import numpy as np

    counts = np.bincount(corpus.train.ids, minlength=len(corpus.words))
    frequencies = Counter({word: int(n) for word, n in zip(corpus.words, counts, strict=True)})
    return build_vocabulary(frequencies, max_size=len(corpus.words), min_count=1)
