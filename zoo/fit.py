"""Train a classifier to keep: `python -m zoo.fit my.csv --out my-model`.

    python -m zoo.fit my.csv --out my-model           train on a table or folder of labelled texts
    (the same again)                                  go on where it was cut off
    python -m zoo.predict my-model < texts            use it

Heavy imports stand inside the functions: `--help` must not wait for torch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from zoo.core import names
from zoo.core.command import (
    CommandParser,
    command,
    duration,
    end_of,
    filled,
    say,
    status,
    terminal_width,
)
from zoo.core.errors import UserError
from zoo.models import ARCHS
from zoo.studies.options import add_minutes, assignments, minutes_given

if TYPE_CHECKING:
    from zoo.classifier.estimator import TextClassifier
    from zoo.text import RawCorpus


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.fit", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a training."""
    parser = CommandParser(
        prog="python -m zoo.fit",
        description="Train a text classifier and keep it in a folder, for python -m zoo.predict.",
    )
    add = parser.add_argument
    add(
        "corpus",
        help="csv, tsv, json(l) or parquet with text and label, a folder, hub:OWNER/NAME or a known name",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the model; one that it holds is replaced",
    )
    models = f"{', '.join(ARCHS)}, hf:minilm or hf:FOLDER"
    add("--arch", default="textcnn", help=f"model: {models} (default textcnn)")
    add("--recipe", default="uegr", help=f"method: {', '.join(names.RECIPES)} (default uegr)")
    add(
        "--recipe-preset",
        default="default",
        help="settings of the method that belong together: default, paper, ...",
    )
    add(
        "--preset",
        default="auto",
        help="sizes and training, as zoo.ablate --list has them (default: by size)",
    )
    add(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help="any setting of recipe, model, training or text, e.g. epochs=3",
    )  # fmt: skip
    add("--text-column", default="", metavar="NAME", help="the column that has the text")
    add("--label-column", default="", metavar="NAME", help="the column that has the label")
    add(
        "--validation", default="0.1", metavar="SHARE",
        help="share of the rows to choose the epoch by, or a file of further rows (default 0.1; 0: none)",
    )  # fmt: skip
    add("--language", default="auto", help="en or zh (default: by the letters)")
    add("--seed", type=int, default=0, help="of split, weights, batches and masks (default 0)")
    add("--device", default="auto", help="auto, cpu or cuda (default: cuda if there is one)")
    add("--threads", type=int, default=1, help="of torch; 1 (default) repeats bit for bit, -1: one a core")
    add("--data-dir", type=Path, metavar="DIR", help="folder with the known corpora (default: UEGR_DATA)")
    add("--cache-dir", type=Path, metavar="DIR", help="folder for what is fetched (default: UEGR_CACHE)")
    add_minutes(parser)
    add("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    changes = assignments(options.set)

    from zoo.changes import from_text
    from zoo.classifier.arguments import SHORT
    from zoo.classifier.estimator import TextClassifier
    from zoo.classifier.folder import check_place
    from zoo.fast.memory import keep_freed_memory
    from zoo.training.turns import Turns, forget

    check_place(options.out)
    settings = from_text(changes)
    share = _share(options.validation)
    classifier = TextClassifier(
        options.arch, options.recipe, preset=options.preset, recipe_preset=options.recipe_preset,
        language=options.language, validation_fraction=0.1 if share is None else share,
        random_state=options.seed, device=options.device, n_jobs=options.threads, verbose=1,
        settings={name: value for name, value in settings.items() if name not in SHORT},
        **{name: value for name, value in settings.items() if name in SHORT},
    )  # fmt: skip
    began = time.perf_counter()
    corpus = _read(options, options.corpus)
    if share is None:
        corpus = _with_validation(corpus, _read(options, options.validation), options.validation)
    keep_freed_memory()
    place = Path(os.path.abspath(options.out))  # "." and ".." have no name of their own
    begun = place.with_name(f".{place.name}.begun")
    until = end_of(minutes_given(vars(options)).get("minutes", 0.0))
    try:
        classifier.fit_corpus(corpus, Turns(begun, "model", until=until))
    except KeyboardInterrupt:
        if begun.is_dir():
            say("the same command goes on from its last full minute")
        raise
    found = _found(options, classifier, corpus)
    classifier.save(options.out)
    forget(begun, "model")
    found["seconds"] = time.perf_counter() - began
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _share(validation: str) -> float | None:
    """The share of the rows; None where a file is named."""
    try:
        return float(validation)
    except ValueError:
        return None


def _read(options: argparse.Namespace, name: str) -> RawCorpus:
    from zoo.text.settings import resolve_cache_dir, resolve_data_dir
    from zoo.text.sources.columns import Asked
    from zoo.text.sources.find import find_source

    asked = Asked(options.text_column, options.label_column)
    data, cache = resolve_data_dir(options.data_dir), resolve_cache_dir(options.cache_dir)
    return find_source(name, asked, data, cache, status).read()


def _with_validation(corpus: RawCorpus, other: RawCorpus, where: str) -> RawCorpus:
    """The corpus with all rows of another one as its validation part."""
    from zoo.text import Rows

    index = {name: i for i, name in enumerate(corpus.labels)}
    if strange := [name for name in other.labels if name not in index]:
        shown = ", ".join(corpus.labels[:6]) + (", ..." if len(corpus.labels) > 6 else "")
        raise UserError(f"{where}: label {strange[0]!r} is unknown; the training rows have {shown}")
    texts = [text for rows in other.parts.values() for text in rows.texts]
    labels = [index[other.labels[int(i)]] for rows in other.parts.values() for i in rows.labels]
    notes = corpus.notes
    if own := corpus.parts.get("validation"):
        notes += (f"validation: the {len(own):,} rows of the corpus not read, those of --validation are",)
    return replace(corpus, parts={**corpus.parts, "validation": Rows(texts, labels)}, notes=notes)


def _found(options: argparse.Namespace, classifier: TextClassifier, corpus: RawCorpus) -> dict[str, Any]:
    """What there is to say of the model; the test part, where the corpus has one, is read here, once."""
    about = classifier.network_.about
    test = corpus.parts.get("test")
    accuracy = None
    if test is not None:
        say(f"reading the test part: {len(test):,} texts")
        accuracy = float((classifier.predict_proba(test.texts).argmax(1) == test.labels).mean())
    return {
        "model": str(options.out),
        "arch": about.arch,
        "recipe": about.recipe,
        "classes": list(corpus.labels),
        "train_rows": about.data["train_rows"],
        "validation_rows": about.data["validation_rows"],
        "validation_accuracy": about.validation_accuracy,
        "best_epoch": about.best_epoch,
        "epochs": len(about.curve),
        "test_rows": 0 if test is None else len(test),
        "test_accuracy": accuracy,
        "parameters": sum(p.numel() for p in classifier.network_.model.parameters()),
        "notes": list(about.data["notes"]),
    }


def _as_text(found: Mapping[str, Any]) -> str:
    what = f"{names.display(found['arch'])} with {names.display(found['recipe'])}"
    size = f"{len(found['classes'])} classes, {found['train_rows']:,} training texts"
    lines = [f"{what}: {size}, epoch {found['best_epoch']} of {found['epochs']}"]
    for part in ("validation", "test"):
        if (accuracy := found[f"{part}_accuracy"]) is not None:
            chosen = " (the epoch was chosen by them)" if part == "validation" else ""
            lines.append(f"{part} accuracy {100 * accuracy:.1f} % of {found[f'{part}_rows']:,} texts{chosen}")
    lines += [f"note: {note}" for note in found["notes"]]
    lines.append(
        f"Took {duration(found['seconds'])}. To use it: python -m zoo.predict {quote(found['model'])} < texts"
    )
    return "\n".join(filled(line, terminal_width()) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
