"""A folder of results as one page to look at: `python -m zoo.report results/ --out report.html`.

python -m zoo.report FOLDER                    FOLDER/report.html, which opens without a network
python -m zoo.report FOLDER --json             the verdict on each of the paper's claims
python -m zoo.report FOLDER --format markdown  the same blocks in another form, on standard output
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.core.command import CommandParser, command, filled, status, terminal_width
from zoo.core.errors import UserError, writing

if TYPE_CHECKING:
    from zoo.evidence.judged import Judged
    from zoo.report.folder import Read

_FORMS = ("html", "markdown", "latex", "csv", "text", "svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.report", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = CommandParser(
        prog="python -m zoo.report",
        description="What a folder of results says of the paper's claims, with tables and figures.",
    )
    add = parser.add_argument
    add("folder", type=Path, help="results of zoo.ablate or zoo.study, or a folder of such folders")
    add("--out", type=Path, metavar="FILE", help="where to write (html: FOLDER/report.html; others: print)")
    add("--format", choices=_FORMS, default="html", help="default html; svg: --out is a folder")
    add("--json", action="store_true", help="print the claims as one JSON object; a page only with --out")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    from zoo.report.folder import read

    if options.format == "svg" and options.out is None:
        raise UserError("--format svg: expected --out with a folder for the drawings")
    out = options.out
    if out is None and options.format == "html" and not options.json:
        out = options.folder / "report.html"
        if options.folder.is_dir():
            _check_ours(out)

    from zoo.evidence.judged import judged

    what = read(options.folder, _progress)
    found = judged(what.held)
    written = [] if options.json and out is None else _write(options, out, what, found)
    if options.json:
        answer = {
            "folder": str(options.folder),
            "claims": [own.as_json() for own in found],
            "written": [str(path) for path in written],
        }
        print(json.dumps(answer))
    elif written:
        _say(found, written)
    return 0


def _progress(message: str) -> None:
    """In a terminal alone, where each line takes the place of the last: there is one for each folder."""
    if sys.stderr.isatty():
        status(message)


def _check_ours(path: Path) -> None:
    """A file that the user did not name is replaced only if this program wrote it."""
    from zoo.report.html import GENERATOR

    if path.exists():
        try:
            ours = f'name="generator" content="{GENERATOR}"' in path.read_text(encoding="utf-8")[:1000]
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise UserError(f"{path}: is there and no page of zoo.report; name another file with --out")


def _write(options: argparse.Namespace, out: Path | None, what: Read, found: Sequence[Judged]) -> list[Path]:
    """Draw and write; without a file print. Returns the paths written."""
    from zoo.report.drawn import drawings, drawn

    _progress("drawing ...")
    if options.format == "svg" and out is not None:
        contents = {out / name: text for name, text in drawings(what, found, options.folder).items()}
    else:
        text = drawn(options.format, what, found, options.folder, terminal_width())
        contents = {out: text} if out is not None else {}
        if out is None:
            print(text, end="")
    _progress("")
    for path, content in contents.items():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return list(contents)


def _say(found: Sequence[Judged], written: Sequence[Path]) -> None:
    number = Counter(own.verdict for own in found)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(number.items(), key=lambda item: -item[1]))
    print(filled(f"{len(found)} claims of the paper: {counts}.", terminal_width()))
    more = f" and {len(written) - 1} more" if len(written) > 1 else ""
    print(filled(f"Written: {written[0]}{more}", terminal_width()))


if __name__ == "__main__":
    sys.exit(main())
