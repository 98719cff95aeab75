"""From a corpus's name or path to the prepared corpus: read, split, cut, tokenise, number, cache."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.core.errors import UserError
from zoo.text import cache
from zoo.text.corpus import Corpus, Split, fingerprint
from zoo.text.near import near_duplicates
from zoo.text.normalise import duplicate_key
from zoo.text.rows import RawCorpus, Rows
from zoo.text.segment import read_tokens, tokenise_rows, write_tokens
from zoo.text.settings import UNK_ID, Report, TextSettings, resolve_cache_dir, resolve_data_dir, silent
from zoo.text.sources import find_source
from zoo.text.splits import (
    OWN_TEST_SHARE,
    SMALLEST_PART,
    VALIDATION_CAP,
    VALIDATION_SHARE,
    cut,
    fold_numbers,
    stratified_fraction,
)
from zoo.text.tokenise import Tokens, tokeniser_name, tokeniser_version
from zoo.text.vocabulary import build_vocabulary

# Tokens that took longer than this to cut are kept on disk, apart from the prepared corpora.
KEEP_TOKENS_SECONDS = 2.0


def load_corpus(
    name_or_path: str,
    settings: TextSettings,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> Corpus:
    """Return the prepared corpus, from the cache where it has been prepared before.

    name_or_path: a known corpus (DEMO_CORPORA, REAL_CORPORA), a folder of `data_dir`, or a path of your own.
    data_dir: where the real corpora lie; else the environment variable UEGR_DATA. cache_dir: see
    `resolve_cache_dir`. report: takes a line of progress whenever something lasts.
    Raises `UserError` for any input that cannot be used, naming file and line.
    """
    cache_folder = resolve_cache_dir(cache_dir)
    source = find_source(name_or_path, resolve_data_dir(data_dir), cache_folder, report)
    key = cache.cache_key(
        source=source.fingerprint(),
        settings=dataclasses.asdict(settings),
        tokenisers=[tokeniser_version(name) for name in ("words", "jieba")],
    )
    path = cache_folder / "prepared" / f"{source.name}-{key}.npz"
    if (stored := cache.read_corpus(path, report)) is not None:
        return stored
    with cache.only_one(path):
        # Another process may have made it while this one waited.
        if (stored := cache.read_corpus(path, silent)) is not None:
            return stored
        started = time.monotonic()
        corpus = prepare(source.read(), settings, report, cache_folder)
        if (seconds := time.monotonic() - started) > 2:
            report(f"{source.name}: prepared in {seconds:.1f} s, kept in {cache_folder}")
        cache.write_corpus(path, corpus, report)
    return corpus


def load_texts(
    name_or_path: str,
    settings: TextSettings,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> dict[str, Rows]:
    """Return the raw texts and labels of the rows of `load_corpus`'s parts, in the same order."""
    folder = resolve_cache_dir(cache_dir)
    raw = find_source(name_or_path, resolve_data_dir(data_dir), folder, report).read()
    texts, labels = _end_to_end(raw)
    chosen, _ = _choose_rows(raw, texts, labels, settings)
    return {part: Rows([texts[i] for i in rows], labels[rows].tolist()) for part, rows in chosen.items()}


def prepare(
    raw: RawCorpus, settings: TextSettings, report: Report = silent, cache_folder: Path | None = None
) -> Corpus:
    """Return the prepared corpus of rows in memory; every choice seeded by `settings.split_seed`.

    cache_folder: where to keep the tokens if cutting them lasts, for other settings of the same rows.
    """
    texts, labels = _end_to_end(raw)
    chosen, notes = _choose_rows(raw, texts, labels, settings)
    name = tokeniser_name(settings.tokeniser, raw.language)
    used = np.sort(np.concatenate(list(chosen.values())))
    tokens = _tokens(raw, [texts[i] for i in used], name, settings.max_length, report, cache_folder)
    # Places of the chosen rows among the used ones, which alone were tokenised.
    places = {part: np.searchsorted(used, rows) for part, rows in chosen.items()}
    words, id_of_form = _vocabulary(tokens, places["train"], settings)
    whole = _numbered(tokens, id_of_form, labels[used])
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


def _end_to_end(raw: RawCorpus) -> tuple[list[str], np.ndarray]:
    """Return the texts and labels of all parts, laid end to end."""
    texts = [text for rows in raw.parts.values() for text in rows.texts]
    return texts, np.array([label for rows in raw.parts.values() for label in rows.labels], np.int64)


def _tokens(
    raw: RawCorpus, texts: list[str], name: str, max_length: int, report: Report, folder: Path | None
) -> Tokens:
    """Return the texts' tokens, kept on disk by their content if cutting them lasted."""
    if folder is None:
        return tokenise_rows(texts, raw.language, name, max_length, report, raw.name)
    content = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    key = cache.cache_key(
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


def _choose_rows(
    raw: RawCorpus, texts: list[str], labels: np.ndarray, settings: TextSettings
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the row numbers (ascending, into the parts laid end to end) of each part, and notes."""
    rng = np.random.default_rng([settings.split_seed, 0])
    sizes = {part: len(rows) for part, rows in raw.parts.items()}
    ends = dict(zip(sizes, np.cumsum(list(sizes.values())), strict=True))
    chosen = {part: np.arange(ends[part] - size, ends[part]) for part, size in sizes.items()}
    notes = []
    pool = np.concatenate([chosen["train"], chosen.get("validation", np.empty(0, np.int64))])
    keys = [duplicate_key(texts[i]) for i in pool] if "validation" not in chosen or settings.folds else []
    if "test" not in chosen:
        counts = [round(len(pool) * OWN_TEST_SHARE), round(len(pool) * VALIDATION_SHARE)]
        chosen["test"], chosen["validation"], chosen["train"] = cut(keys, labels[pool], counts, rng)
        notes.append(f"split by us 70/10/20, seed {settings.split_seed}")
        pool = np.union1d(chosen["train"], chosen["validation"])
        keys = [keys[i] for i in pool]
    elif "validation" not in chosen and not settings.folds:
        count = min(round(len(pool) * VALIDATION_SHARE), VALIDATION_CAP)
        chosen["validation"], chosen["train"] = cut(keys, labels[pool], [count], rng)
        notes.append(
            f"validation: {len(chosen['validation']):,} rows cut from train, seed {settings.split_seed}"
        )
    if settings.folds:
        fold = fold_numbers(keys, labels[pool], settings.folds, rng)
        chosen["validation"], chosen["train"] = pool[fold == settings.fold], pool[fold != settings.fold]
        notes.append(f"fold {settings.fold} of {settings.folds}, seed {settings.split_seed}")
    if settings.fraction < 1:
        notes.append(f"fraction {settings.fraction:g}")
        for number, part in enumerate(("train", "validation", "test"), start=1):
            rows = chosen[part]
            floor = min(len(rows), SMALLEST_PART[part])
            count = max(round(settings.fraction * len(rows)), floor)
            part_rng = np.random.default_rng([settings.split_seed, number])
            chosen[part] = rows[
                stratified_fraction(labels[rows], count, part_rng, every_class=part == "train")
            ]
    for part in ("train", "validation", "test"):
        if not len(chosen[part]):
            raise UserError(f"{raw.name}: {len(texts):,} rows leave none for {part}; expected more rows")
    return {part: chosen[part] for part in ("train", "validation", "test")}, notes


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
    # A text can contain the literal "<pad>": only real words get an id of their own.
    number = {word: i for i, word in enumerate(vocab.itos) if i > UNK_ID}
    ids = np.array([number.get(form, UNK_ID) for form in tokens.forms], np.int32)
    return tuple(vocab.itos), ids


def _numbered(tokens: Tokens, id_of_form: np.ndarray, labels: np.ndarray) -> Split:
    """Return all rows with vocabulary ids; a row without tokens becomes one <unk>."""
    lengths = np.diff(tokens.offsets)
    before = tokens.offsets[:-1][lengths == 0]
    ids = np.insert(id_of_form[tokens.ids], before, UNK_ID).astype(np.int32)
    starts = np.insert(tokens.starts, before, True)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(lengths, 1), dtype=np.int64)])
    return Split(ids, offsets, labels, starts)


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
