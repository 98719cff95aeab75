"""What there is: `python -m zoo`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from zoo.core.command import CommandParser, command

COMMANDS = """\
python -m zoo.ablate         train and compare the methods; tables and figures
python -m zoo.ablate report  tables and figures again, from a folder of results
python -m zoo.ablate show    one training run in full
python -m zoo.ablate merge   folders of results into one
python -m zoo.ablate --list  recipes, models, corpora, presets, every setting
python -m zoo.report         a page to look at: claims, tables, figures
python -m zoo.fit            train a classifier of your own texts, to keep
python -m zoo.predict        use it: a text a line in, a class a line out
python -m zoo.robust         how robust saved models are: attacks, other texts
python -m zoo.study          questions answered by measurement (--list)
python -m zoo.tune           better settings, looked for on the validation part
python -m zoo.bench          what a training step costs (from a checkout)

Each has --help. The NumPy reference of the method: python -m uegr_ref."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo", lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: Sequence[str]) -> int:
    parser = CommandParser(prog="python -m zoo", description="UEGR in PyTorch.")
    parser.add_argument("--list", action="store_true", help="recipes, models, corpora, presets, settings")
    parser.add_argument("--json", action="store_true", help="with --list: one JSON object")
    parser.add_version()
    options = parser.parse_args(arguments)
    if options.list:
        from zoo.ablate import main as ablate

        return ablate(["--list", *(["--json"] if options.json else [])])
    print(COMMANDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
