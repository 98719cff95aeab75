"""Every command and every printed output of the README is checked, and those of docs/howto/commands.md."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.core.names import display

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = [line[2:] for line in README.splitlines() if line.startswith("$ ")]
METHODS = ("dropout", "uegr")  # of the demo, that the suite has the time for
COMMANDS = (ROOT / "docs" / "howto" / "commands.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| `(python -m [^`]+)` \|", README + COMMANDS, re.MULTILINE)


def test_examples_print_what_they_say() -> None:
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert result.attempted > 25
    assert result.failed == 0


def test_the_two_commands_are_those_that_ci_runs() -> None:
    main_job, tests = CONSOLE
    ci = (ROOT / ".ci" / "run").read_text()
    assert tests in ci
    install = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[zoo,demo"
    assert main_job.startswith(install)
    assert main_job.endswith("&& .venv/bin/python -m zoo.ablate --arch texthan")


@pytest.mark.slow
def test_the_main_job_ends_with_the_table_of_the_readme(tmp_path: Path) -> None:
    """Runs it on this machine, two of its seven methods. The demo is portable: the README's numbers, to the
    last digit.

    Where the processor is of another kind than all that the portable mode covers (no x86, no AVX2), a float
    summed in another order ends elsewhere after some hundred steps; there rows, columns and nearness are all.
    """
    command = shlex.split(CONSOLE[0].split("&& .venv/bin/python ")[1])
    run = subprocess.run(
        [sys.executable, *command, "--recipe", *METHODS, "--out", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert len(answer["cells"]) == 4
    (table,) = answer["table"]
    names = [*(display(name) for name in METHODS), "TF-IDF + linear SVM"]
    printed = [row for row in readme_table() if row[0] in names]
    assert [row["name"] for row in table["rows"]] == [row[0] for row in printed] == names
    kinds = {cell["machine"]["processor"] for cell in answer["cells"]}
    tolerance = 0.051 if kinds == {"AVX2 (portable)"} else 8.0
    for row, cells in zip(table["rows"], printed, strict=True):
        for corpus, text in zip(table["corpora"], cells[1:], strict=False):
            accuracy = 100 * row["scores"][corpus]["accuracy"]
            assert accuracy == pytest.approx(float(text), abs=tolerance), row["name"]


def readme_table() -> list[list[str]]:
    block = README.split("<!-- table: results/demo -->")[1].split("<!-- end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in block.strip().splitlines() if line.startswith("|")]
    return [[cell.strip("* ") for cell in row] for row in rows[2:]]


def test_its_tables_are_made_from_the_committed_results() -> None:
    from zoo.report.readme import filled

    assert filled(README, ROOT / "results") == README, "make them anew: python -m zoo.report.readme"


@pytest.mark.parametrize("command", TABLE)
def test_every_command_of_the_table_is_understood(command: str, tmp_path: Path) -> None:
    """Options are parsed by the real parsers, studies are made of them; the work is tested elsewhere."""
    from bench import command as bench
    from zoo import ablate, fit, predict, robust, study, tune
    from zoo.report import __main__ as report
    from zoo.report import coverage
    from zoo.studies.options import study_of

    words = shlex.split(command)[2:]
    module, arguments = words[0], words[1:]
    if module == "zoo.ablate" and arguments[:1] in (["report"], ["show"]):
        arguments[arguments.index("--out") + 1] = str(ROOT / "results" / "demo")
        if arguments[0] == "show":
            assert ablate.main(arguments) == 0
        return
    if module == "zoo.ablate" and arguments[:1] == ["merge"]:
        folders = {name: str(ROOT / "results" / "demo") for name in "AB"} | {"C": str(tmp_path / "C")}
        assert ablate.main([folders.get(word, word) for word in arguments]) == 0
        return
    if arguments[:1] == ["pack"]:  # a folder, then the options of a run
        arguments = arguments[2:]
    if module == "zoo.bench" and arguments[0] in bench.STUDIES:
        assert arguments[1:] == []
        return
    parsers = {
        "zoo.ablate": ablate.parse, "zoo.tune": tune.parse, "zoo.bench": bench.parse,
        "zoo.study": study.parse, "zoo.report.coverage": coverage.parse, "zoo.report": report.parse,
        "zoo.fit": fit.parse, "zoo.predict": predict.parse, "zoo.robust": robust.parse,
    }  # fmt: skip
    options = parsers[module](arguments)
    if module in ("zoo.ablate", "zoo.tune"):
        own = study_of(options)
        assert own.out() == Path("runs/demo") or "--preset" in arguments or own.differences()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_command_asks_for_the_committed_results() -> None:
    """Cells are named by what they read, so the demo's names must be those of its results."""
    from zoo.studies import run
    from zoo.studies.study import Study

    planned = run.plan(Study.of("demo", {"corpora": ("bbc_news",)}), lambda line: None)
    committed = {path.stem for path in (ROOT / "results" / "demo").glob("bbc_news-*.json")}
    assert {job.id for job in planned.jobs} == committed
