"""From a corpus's name or path to the prepared corpus: read, split, cut, tokenise, number, cache."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.core.errors import UserError
from zoo.text.cache import cache_key, only_one, read_corpus, write_corpus
from zoo.text.corpus import Corpus, fingerprint
from zoo.text.encode import ids_of_forms, numbered, numbers_of
from zoo.text.near import near_duplicates
from zoo.text.normalise import duplicate_key
from zoo.text.parts import Cuts, choose_rows, end_to_end
from zoo.text.prepared import read_prepared
from zoo.text.segment import read_tokens, tokenise_rows, write_tokens
from zoo.text.settings import Report, TextSettings, resolve_cache_dir, resolve_data_dir, silent
from zoo.text.sources.columns import Asked
from zoo.text.sources.find import find_source
from zoo.text.sources.rows import RawCorpus, Rows, Source
from zoo.text.tokenise import Tokens, tokeniser_name, tokeniser_version
from zoo.text.vocabulary import build_vocabulary

# Tokens that took longer than this to cut are kept on disk, apart from the prepared corpora.
KEEP_TOKENS_SECONDS = 2.0


def load_corpus(
    name_or_path: str | os.PathLike[str],
    settings: TextSettings,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> Corpus:
    """Return the prepared corpus, from the data folder or the cache where it has been prepared before.

    name_or_path: a known corpus (`known_corpora`), a folder of `data_dir`, or a path of your own.
    data_dir: where the real corpora lie; else the environment variable UEGR_DATA. cache_dir: see
    `resolve_cache_dir`. report: takes a line of progress whenever something lasts.
    Raises `UserError` for any input that cannot be used, naming file and line; `TypeError` for an argument of
    the wrong type.
    """
    _check_types(settings, report)
    if (carried := read_prepared(name_or_path, settings, resolve_data_dir(data_dir))) is not None:
        return carried
    cache_folder = resolve_cache_dir(cache_dir)
    source = find(name_or_path, settings, data_dir, cache_folder, report)
    path = cache_folder / "prepared" / f"{source.name}-{corpus_key(source, settings)}.npz"
    if (stored := read_corpus(path, report)) is not None:
        return stored
    with only_one(path):
        # Another process may have made it while this one waited.
        if (stored := read_corpus(path, silent)) is not None:
            return stored
        started = time.monotonic()
        corpus = prepare(source.read(), settings, report, cache_folder)
        if (seconds := time.monotonic() - started) > 2:
            report(f"{source.name}: prepared in {seconds:.1f} s, kept in {cache_folder}")
        write_corpus(path, corpus, report)
    return corpus


def corpus_key(source: Source, settings: TextSettings) -> str:
    """Return the key of a prepared corpus: what was read, every setting, and the tokeniser's version.

    The columns that the user named are in the source's fingerprint, by what is read from them.
    """
    fields = dataclasses.asdict(settings)
    del fields["text_column"], fields["label_column"]
    return cache_key(source=source.fingerprint(), settings=fields, tokeniser=tokeniser_version("jieba"))


def find(
    name_or_path: str | os.PathLike[str],
    settings: TextSettings,
    data_dir: Path | None,
    cache_dir: Path | None,
    report: Report,
) -> Source:
    """Find a corpus; the arguments' types are checked here for all callers, see `load_corpus`."""
    if not isinstance(name_or_path, str | os.PathLike):
        kind = type(name_or_path).__name__
        raise TypeError(f"name_or_path is {kind}; expected the name of a corpus or a path")
    _check_types(settings, report)
    asked = Asked(settings.text_column, settings.label_column)
    cache_folder = resolve_cache_dir(cache_dir)
    return find_source(os.fspath(name_or_path), asked, resolve_data_dir(data_dir), cache_folder, report)


def _check_types(settings: TextSettings, report: Report) -> None:
    if not isinstance(settings, TextSettings):
        raise TypeError(f"settings is {type(settings).__name__}; expected TextSettings")
    if not callable(report):
        raise TypeError(f"report is {type(report).__name__}; expected a function that takes a line")


def load_texts(
    name_or_path: str | os.PathLike[str],
    settings: TextSettings,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> dict[str, Rows]:
    """Return the raw texts and labels of the rows of `load_corpus`'s parts, in the same order."""
    raw = find(name_or_path, settings, data_dir, cache_dir, report).read()
    texts, labels = end_to_end(raw)
    chosen, _ = choose_rows(raw, texts, labels, settings)
    return {part: Rows([texts[i] for i in rows], labels[rows].tolist()) for part, rows in chosen.items()}


def prepare(
    raw: RawCorpus,
    settings: TextSettings,
    report: Report = silent,
    cache_folder: Path | None = None,
    cuts: Cuts = Cuts(),  # noqa: B008 (frozen)
) -> Corpus:
    """Return the prepared corpus of rows in memory; every choice seeded by `settings.split_seed`.

    raw: its parts in any order; those that it lacks are cut from train, see `choose_rows`.
    cache_folder: where to keep the tokens if cutting them lasts, for other settings of the same rows.
    cuts: what is cut from train where `raw` lacks it; the parts that it leaves out are empty.
    Raises `UserError` for rows that leave a part empty; `TypeError` or `ValueError` for what are no rows.
    """
    _check_types(settings, report)
    texts, labels = end_to_end(raw)
    refuse_pairs(raw, "--arch hf:FOLDER, a model that takes them")
    chosen, notes = choose_rows(raw, texts, labels, settings, cuts)
    name = tokeniser_name(settings.tokeniser, raw.language)
    used = np.sort(np.concatenate(list(chosen.values())))
    tokens = _tokens(raw, [texts[i] for i in used], name, settings.max_length, report, cache_folder)
    # Places of the chosen rows among the used ones, which alone were tokenised.
    places = {part: np.searchsorted(used, rows) for part, rows in chosen.items()}
    words, id_of_form = _vocabulary(tokens, places["train"], settings)
    whole = numbered(tokens, id_of_form, labels[used])
    splits = {part: whole.take(rows) for part, rows in places.items()}
    return Corpus(
        name=raw.name,
        language=raw.language,
        labels=raw.labels,
        words=words,
        fingerprint=fingerprint(raw.labels, words, splits),
        notes=(*raw.notes, *notes, *_duplicate_notes(texts, chosen, tokens, places), *_empty_note(tokens)),
        **splits,
    )


def refuse_pairs(raw: RawCorpus, instead: str) -> None:
    """Raise `UserError` for rows that are not one text with a class; `instead`: what takes them."""
    if any(rows.pairs for rows in raw.parts.values()):
        what = "rows are sentence pairs (text_pair); expected single texts"
    elif raw.parts and not raw.labels:
        what = "labels are scores; expected classes"
    else:
        return
    raise UserError(f"{raw.where or raw.name}: {what}, or {instead}")


def _tokens(
    raw: RawCorpus, texts: list[str], name: str, max_length: int, report: Report, folder: Path | None
) -> Tokens:
    """Return the texts' tokens, kept on disk by their content if cutting them lasted."""
    if folder is None:
        return tokenise_rows(texts, raw.language, name, max_length, report, raw.name)
    content = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    key = cache_key(
        modules=("normalise", "tokenise", "segment"),
        content=content,
        tokeniser=[raw.language, name, tokeniser_version(name), max_length],
    )
    path = folder / "tokens" / f"{raw.name}-{key}.npz"
    if (stored := read_tokens(path, report)) is not None:
        return stored
    begun = time.monotonic()
    tokens = tokenise_rows(texts, raw.language, name, max_length, report, raw.name)
    if time.monotonic() - begun > KEEP_TOKENS_SECONDS:
        write_tokens(path, tokens, report)
    return tokens


def _vocabulary(
    tokens: Tokens, train_rows: np.ndarray, settings: TextSettings
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the words by id, and the id of every form of `tokens`, from the training rows' counts."""
    lengths = np.diff(tokens.offsets)
    in_train = np.zeros(len(lengths), bool)
    in_train[train_rows] = True
    counts = np.bincount(tokens.ids[np.repeat(in_train, lengths)], minlength=len(tokens.forms))
    counter = Counter({form: int(n) for form, n in zip(tokens.forms, counts, strict=True) if n})
    vocab = build_vocabulary(counter, settings.max_vocabulary, settings.min_count)
    return tuple(vocab.itos), ids_of_forms(tokens.forms, numbers_of(vocab.itos))


def _empty_note(tokens: Tokens) -> tuple[str, ...]:
    empty = int(np.sum(np.diff(tokens.offsets) == 0))
    return (f"{empty:,} texts without a token (each is one <unk>)",) if empty else ()


def _duplicate_notes(
    texts: list[str], chosen: dict[str, np.ndarray], tokens: Tokens, places: dict[str, np.ndarray]
) -> list[str]:
    """Return a note for validation and for test on the texts it shares with train, exactly or nearly.

    Exactly: the same letters and digits. Nearly: see `near`; what is cut off a long text is not compared.
    """
    train = {duplicate_key(texts[i]) for i in chosen["train"]}
    notes = []
    measured = ("validation", "test")
    nearly = near_duplicates(tokens, places["train"], [places[part] for part in measured])
    for part, near in zip(measured, nearly, strict=True):
        exact = sum(duplicate_key(texts[i]) in train for i in chosen[part])
        if exact or near:
            counts = f"{exact:,} of {len(chosen[part]):,} texts are in train too"
            notes.append(f"{part}: {counts}, {near:,} nearly")
    return notes
