"""Writers of the corpora as they are published, made small."""

from __future__ import annotations

import csv
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from zoo.text import load_card

Write = Callable[[Path], Path]


def write_imdb(folder: Path) -> Path:
    root = folder / "aclImdb"
    for part in ("train", "test"):
        for label, word in (("neg", "awful"), ("pos", "great")):
            (root / part / label).mkdir(parents=True)
            for i in range(30):
                text = f"{part} film {i}<br /><br />is {word}"
                (root / part / label / f"{i}_{9 if label == 'pos' else 2}.txt").write_text(text)
    (root / "train" / "unsup").mkdir()
    (root / "train" / "unsup" / "0_0.txt").write_text("never read")
    (root / "README").write_text("x")
    return root


def write_ag_news(folder: Path) -> Path:
    root = folder / "ag_news_csv"
    root.mkdir(parents=True)
    for part in ("train", "test"):
        with (root / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, quoting=csv.QUOTE_ALL)
            for i in range(60):
                rows.writerow([i % 4 + 1, f'{part} "title" {i}', f"about, {i} and\\more"])
    return root


def write_clue(name: str, folder: Path) -> Path:
    root = folder / f"{name}_public"
    root.mkdir(parents=True)
    card = load_card(name)
    for part, unlabelled in (("train", False), ("dev", False), ("test", True)):
        lines = []
        for i in range(60):
            row = {"sentence": f"{part} 第{i}条新闻标题", "keywords": "词", "id": i}
            if not unlabelled:
                row |= {"label": card.label_ids[i % 3], "label_desc": card.labels[i % 3]}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        (root / f"{part}.json").write_text("".join(lines), "utf-8")
    return root


WRITE: dict[str, Write] = {
    "imdb": write_imdb,
    "ag_news": write_ag_news,
    "tnews": lambda folder: write_clue("tnews", folder),
    "iflytek": lambda folder: write_clue("iflytek", folder),
}


def pack(root: Path, archive: Path, top: bool = True) -> Path:
    """Pack a folder as tar.gz or zip; `top`: with the folder itself in the names."""
    base = root.parent if top else root
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as whole:
            for path in files:
                whole.write(path, path.relative_to(base))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for path in files:
                tar.add(path, path.relative_to(base))
    return archive


ARCHIVES = {
    "imdb": "aclImdb_v1.tar.gz",
    "ag_news": "ag_news_csv.tar.gz",
    "tnews": "tnews_public.zip",
    "iflytek": "iflytek_public.zip",
}
