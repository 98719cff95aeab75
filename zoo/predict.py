"""Use a classifier that was kept: `python -m zoo.predict my-model < texts`.

A text a line comes in and a class a line goes out, as they come and in constant memory. The model is a folder
that `zoo.fit`, `TextClassifier.save` or `zoo.ablate --save-models` wrote.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.command import CommandParser, command, one_line, say
from zoo.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from zoo.classifier.network import Network

AT_ONCE = 1_024  # texts, at most: what is held in memory

Group = tuple[list[str], list[str] | None]  # texts, and their labels where they are known


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.predict", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a prediction."""
    parser = CommandParser(
        prog="python -m zoo.predict",
        description="Classify texts with a saved model: lines of standard input, or rows of a table.",
    )
    add = parser.add_argument
    add("model", type=Path, help="folder of the model")
    add("--input", type=Path, metavar="FILE", help="csv, tsv, json(l), parquet, or txt with a text a line")
    add("--text-column", default="", metavar="NAME", help="with --input: the column that has the text")
    add(
        "--label-column", metavar="NAME",
        help="with --input: the column that has the true label; the accuracy is said at the end",
    )  # fmt: skip
    add("--json", action="store_true", help="a JSON object a line, with the probability of every class")
    add("--device", default="auto", help="auto, cpu or cuda (default: cuda if there is one)")
    add("--threads", type=int, default=1, help="of torch (default 1; -1: one a core)")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    groups = _groups(options)

    from zoo.classifier.arguments import device_of, threads_of
    from zoo.classifier.network import Network, threads

    device, count = device_of(options.device), threads_of(options.threads)
    network, notes = Network.load(options.model)
    for note in notes:
        say(note)
    if options.input is None and sys.stdin.isatty():
        say("reading texts, one a line; Ctrl-D ends them")
    answers = _Answers(network, options.json)
    with threads(count):
        for texts, labels in groups:
            sys.stdout.write(answers.to(network.probabilities(texts, device), labels))
            sys.stdout.flush()
    if answers.known:
        say(f"accuracy {100 * answers.hits / answers.known:.1f} % of {answers.known:,} texts")
    return 0


class _Answers:
    """What is said of texts, and how often it is the label where that is known."""

    def __init__(self, network: Network, as_json: bool) -> None:
        self.names = network.classes.tolist()
        self.index = {str(name): i for i, name in enumerate(self.names)}
        self.as_json = as_json
        self.known = self.hits = 0

    def to(self, probabilities: np.ndarray, labels: Sequence[str] | None) -> str:
        """The lines of some texts. probabilities: (n, C)."""
        best = probabilities.argmax(1).tolist()
        for label, found in zip(labels or (), best, strict=labels is not None):
            if label not in self.index:
                shown = ", ".join(list(self.index)[:6]) + (", ..." if len(self.index) > 6 else "")
                raise UserError(f"row {self.known + 1}: label {label!r} is unknown; the model has {shown}")
            self.known += 1
            self.hits += self.index[label] == found
        if not self.as_json:
            return "".join(f"{one_line(str(self.names[i]))}\n" for i in best)
        rows = (dict(zip(self.index, row, strict=True)) for row in probabilities.tolist())
        said = ({"label": self.names[i], "probabilities": row} for i, row in zip(best, rows, strict=True))
        lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in said)
        # A class that an estimator was given may have half a character: JSON's own escape for it.
        return lines.encode("utf-8", "backslashreplace").decode()


def _groups(options: argparse.Namespace) -> Iterator[Group]:
    """The texts, as many at a time as are there; a table's columns are looked for at once."""
    from zoo.text.sources.lines import arriving_lines, text_lines

    path, columns = options.input, options.text_column or options.label_column
    if columns and (path is None or path.suffix == ".txt"):
        raise UserError(f"column {columns!r}: lines of text have no columns; expected --input with a table")
    if path is None:
        return _of_lines(arriving_lines(lambda size: os.read(sys.stdin.fileno(), size), "standard input"))
    if not path.is_file():
        what = "no such file" if not path.exists() else "not a file of rows"
        raise UserError(f"{path}: {what}; expected a table or a .txt file")
    if path.suffix == ".txt":
        texts = (line.rstrip("\r\n") for _, line in text_lines(path, keep_blank=True))
        return _of_lines(iter(partial(_first, texts), []))
    return _of_table(path, options.text_column, options.label_column)


def _of_lines(arriving: Iterator[list[str]]) -> Iterator[Group]:
    for lines in arriving:
        for start in range(0, len(lines), AT_ONCE):
            yield lines[start : start + AT_ONCE], None


def _of_table(path: Path, text: str, label: str) -> Iterator[Group]:
    from zoo.text.sources.columns import Asked, choose_columns, choose_text
    from zoo.text.sources.simple import labelled, texts_of
    from zoo.text.sources.tables import open_table

    table = open_table(path)
    if not label:
        texts = texts_of(table, choose_text(table.head(), text))
        return _of_lines(iter(partial(_first, texts), []))
    columns = choose_columns(table.head(), Asked(text, label), path)
    if columns.pair:
        raise UserError(f"{path}: rows are sentence pairs (text_pair); expected single texts")
    rows = ((line.text, line.label) for line in labelled(table, columns))
    return (_apart(group) for group in iter(partial(_first, rows), []))


def _apart(rows: Sequence[tuple[str, str]]) -> Group:
    texts, labels = zip(*rows, strict=True)
    return list(texts), list(labels)


def _first(items: Iterator[Any]) -> list[Any]:
    return list(itertools.islice(items, AT_ONCE))


if __name__ == "__main__":
    sys.exit(main())
