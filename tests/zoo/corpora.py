"""Small corpora in files, for commands that read one."""

from __future__ import annotations

import json
from pathlib import Path


def write_films(folder: Path) -> Path:
    """`films.csv` in the folder: 120 rows of two classes, of which one word tells."""
    path = folder / "films.csv"
    rows = [f"{'good' if i % 2 else 'bad'} film number {i},{'pos' if i % 2 else 'neg'}" for i in range(120)]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def write_rows(folder: Path, name: str, *rows: tuple[str, str]) -> None:
    """`name.jsonl` in the folder: texts with their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
