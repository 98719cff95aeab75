"""The only module that touches torchtext: vocabularies are torchtext 0.6.0 `Vocab` objects.

torchtext is end of life. 0.6.0 is pure Python; what came after is compiled against torch <= 2.3 and fails to
load with an `OSError`. It is imported when first needed, so that nothing else depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zoo.core.errors import UserError
from zoo.text.settings import PAD, UNK
from zoo.text.sources.rows import RawCorpus, Rows, check_parts, natural_order

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


def raw_corpus_from_torchtext(
    name: str, language: str, train: Any, test: Any = None, validation: Any = None
) -> RawCorpus:
    """Return torchtext data sets as rows for `zoo.text.prepare`.

    train, test, validation: a `torchtext.data.Dataset` whose examples have `text` (a string or tokens) and
    `label`, or a `TextClassificationDataset` (labels and token ids, with its vocabulary). Tokens are joined
    again and cut by our own tokeniser. Raises `UserError` for anything else.
    """
    parts = {"train": train, "validation": validation, "test": test}
    rows = {part: list(_labelled(data, language)) for part, data in parts.items() if data is not None}
    labels = natural_order({label for _, label in rows["train"]})
    for part, pairs in rows.items():
        if unknown := next((label for _, label in pairs if label not in labels), None):
            raise UserError(
                f"torchtext {part} part: label {unknown!r} is unknown; train has {', '.join(labels)}"
            )
    index = {label: i for i, label in enumerate(labels)}
    texts = {
        part: Rows([text for text, _ in pairs], [index[label] for _, label in pairs])
        for part, pairs in rows.items()
    }
    return check_parts(RawCorpus(name, language, tuple(labels), texts, ("from torchtext",)), "torchtext")


def _labelled(data: Any, language: str) -> Iterator[tuple[str, str]]:
    between = "" if language == "zh" else " "
    if (examples := getattr(data, "examples", None)) is not None:
        for number, example in enumerate(examples):
            if not hasattr(example, "text") or not hasattr(example, "label"):
                raise UserError(f"torchtext example {number}: no fields text and label; expected both")
            text = example.text
            yield text if isinstance(text, str) else between.join(text), str(example.label)
    elif hasattr(data, "get_vocab"):
        words = data.get_vocab().itos
        for label, ids in data:
            yield between.join(words[i] for i in ids.tolist()), str(label)
    else:
        kind = type(data).__name__
        raise UserError(
            f"{kind} is no torchtext data set; expected data.Dataset or TextClassificationDataset"
        )


def torchtext_vectors(path: Path) -> Any:
    """Return a text file of vectors as a torchtext `Vectors` object, without torchtext's two side effects.

    `Vectors` turns TLS verification off for the whole process, and prefers a `.pt` copy of the file from an
    earlier call, however stale. Here the first is undone and the second never found: its cache is temporary.
    """
    import ssl
    import tempfile

    vocab = torchtext_module("vocab")
    before = ssl._create_default_https_context
    try:
        with tempfile.TemporaryDirectory(prefix="uegr-") as cache:
            return vocab.Vectors(str(path), cache=cache)
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: torchtext cannot read it ({error}); expected a word and its numbers a line"
        ) from None
    finally:
        ssl._create_default_https_context = before
