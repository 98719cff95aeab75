"""How robust are saved models? `python -m zoo.robust my-model other-model --data test.csv`.

A model is a folder that `zoo.fit`, `TextClassifier.save` or `zoo.ablate --save-models` wrote; nothing is
trained. Several are held against the first one, text by text. With `--out` what is measured is kept, a file a
model, and the same command again does what is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.core.command import CommandParser, command, say, terminal_width
from zoo.core.errors import UserError
from zoo.core.names import display

if TYPE_CHECKING:
    from zoo.classifier.network import Network


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.robust", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of an examination."""
    parser = CommandParser(
        prog="python -m zoo.robust",
        description="Attack saved models, and measure how far their probabilities can be trusted.",
    )
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        type=Path,
        metavar="MODEL",
        help="folder of a saved model; the first one is the reference",
    )
    add(
        "--data", required=True, metavar="FILE",
        help="labelled texts that no model was trained on: a table, a folder of parts, or a known corpus",
    )  # fmt: skip
    add(
        "--validation",
        metavar="FILE",
        help="further ones, for the temperature (default: the data's own part)",
    )
    add(
        "--like",
        default="",
        metavar="CORPUS",
        help="the known corpus whose further sets fit (default: the data's)",
    )
    add(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="a setting, e.g. rows=500"
    )
    add("--text-column", default="", metavar="NAME", help="the column that has the text")
    add("--label-column", default="", metavar="NAME", help="the column that has the label")
    add("--data-dir", type=Path, metavar="DIR", help="folder with the known corpora (default: UEGR_DATA)")
    add("--cache-dir", type=Path, metavar="DIR", help="folder for what is fetched (default: UEGR_CACHE)")
    add("--out", type=Path, metavar="DIR", help="keep each model's measurements in this folder")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    from zoo.classifier.network import Network
    from zoo.report.blocks import terminal
    from zoo.report.robust import robust_blocks
    from zoo.robustness.settings import Robust
    from zoo.studies.kept import Kept, Sources
    from zoo.studies.measure import typed
    from zoo.studies.options import assignments
    from zoo.text.sources.columns import Asked

    settings = typed(Robust, assignments(options.set))
    networks = []
    for path in options.models:
        network, notes = Network.load(path)
        networks.append(network)
        for note in notes:
            say(note)
    sources = Sources(
        options.data, options.validation, options.like, Asked(options.text_column, options.label_column),
        options.data_dir, options.cache_dir,
    )  # fmt: skip
    raw = sources.read(sources.data)
    named = zip(_names(options.models, networks), options.models, networks, strict=True)
    kept = [Kept(name, path, own, sources, raw, settings) for name, path, own in named]
    for model in kept:
        _ = model.parts  # so that texts which one of them has seen are refused before any attack
    points = [model.point(options.out) for model in kept]
    if options.json:
        print(json.dumps({"models": [point.as_json() for point in points]}))
    else:
        # Whatever their models and seeds: they are one task here, and differences are paired by text.
        alike = {point.variant: [replace(point, arch="", seed=0)] for point in points}
        print(terminal(robust_blocks(alike), terminal_width()))
    return 0


def _names(paths: Sequence[Path], networks: Sequence[Network]) -> list[str]:
    """How each model is called: by its method, where all are cells of other methods; else by its folder.

    Raises:
        UserError: one is named twice.
    """
    whole = [str(path.resolve()) for path in paths]
    if twice := [path for path, own in zip(paths, whole, strict=True) if whole.count(own) > 1]:
        raise UserError(f"{twice[0]}: named twice; expected each model once")
    methods = [display(own.about.recipe) for own in networks if not own.about.estimator]
    if len(set(methods)) == len(paths):
        return methods
    short = [Path(own).name for own in whole]
    return [own if short.count(own) == 1 else str(path) for own, path in zip(short, paths, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
