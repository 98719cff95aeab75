"""The benchmark's command line, on sizes that take no time; no test looks at how long anything took."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import command as bench
from bench.cases import Case, Feed, make_split, units
from bench.files import read
from bench.growth import fit
from bench.levers import BY_PROCESS, levers
from bench.portable import measure_portable
from bench.report import build_page, write_report
from bench.report_waits import same_weights
from bench.table import as_text
from zoo import bench as door
from zoo.core.errors import UserError
from zoo.fast.twins import TWINS
from zoo.models import ARCHS
from zoo.recipes import RECIPES

ROOT = Path(__file__).parents[2]
RESULTS, DOCS = ROOT / "results" / "performance", ROOT / "docs"
TINY = ("--sizes", "demo", "--vocabulary", "60", "--batch", "2", "--rounds", "2", "--length", "9")
needs_results = pytest.mark.skipif(not (RESULTS / "steps.json").exists(), reason="no measurements committed")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = bench.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_rows_have_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, *TINY, "--quick", "--json", "--arch", "textcnn", "han", "--recipe", "uegr", "at"
    )
    assert code == 0
    rows = json.loads(out)["rows"]
    assert [(row["arch"], row["recipe"], row["length"]) for row in rows] == [
        (arch, recipe, 9) for arch in ("textcnn", "han") for recipe in ("uegr", "at")
    ]
    for row in rows:
        assert row["step_ms"] > 0
        assert row["ratio_to_plain"] > 0
        assert row["ratio_straightforward_to_this"] > 0
        assert row["floor_share"] > 0
        assert set(row["parts_ms"]) == {"forward", "backward", "mask", "optimizer", "other", "data"}
        assert (row["parts_ms"]["mask"] > 0) == (row["recipe"] == "uegr")
        assert row["straightforward_parts_ms"]["forward"] > 0
        assert row["examples_per_second"] == pytest.approx(2000 / row["step_ms"])


def test_the_plain_step_is_its_own_measure(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, *TINY, "--no-straightforward", "--json", "--arch", "bilstm", "--recipe", "standard"
    )
    (row,) = json.loads(out)["rows"]
    assert code == 0
    assert row["ratio_to_plain"] == 1
    assert row["units"] == 1
    assert row["ratio_straightforward_to_this"] is None


def test_a_table_and_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out_file = tmp_path / "rows.json"
    code, out, _ = run(
        capsys, *TINY, "--no-straightforward", "--arch", "textcnn", "--recipe", "uegr",
        "--set", "adversarial=3", "sites=embedding,pooled", "--out", str(out_file),
    )  # fmt: skip
    assert code == 0
    assert out.startswith("With adversarial=3 sites=embedding,pooled\n")
    (row,) = json.loads(out_file.read_text())["rows"]
    assert (row["units"], row["shares_trunk"]) == (4, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arch", "textcn"], "did you mean 'textcnn'"),
        (["--recipe", "uegrr"], "did you mean 'uegr'"),
        (["--sizes", "huge"], "one of targets, paper, demo"),
        (["--length", "0"], "--length 0: expected a number from 5"),
        (["--length", "many"], "invalid int value"),
        (["--vocabulary", "-3"], "--vocabulary -3"),
        (["--batch", "0"], "--batch 0"),
        (["--rounds", "0"], "--rounds 0"),
        (["--set", "epsilon"], "expected NAME=VALUE"),
        (["--set", "epsilon=much"], "expected float"),
        (["--set", "epsilonn=1"], "did you mean 'epsilon'"),
        (
            [*TINY, "--no-straightforward", "--arch", "textcnn", "--set", "sites=layer1"],
            "TextCNN has no such site; expected one of embedding, pooled",
        ),
        (["--out", "/no/such/folder/file.json"], "there is no folder /no/such/folder"),
        (["levers", "--out", str(ROOT)], "is a folder; expected a file"),
        (["growth", "--out", "/dev/null"], "is a device; expected a file"),
        (["gpu", "--length", "0"], "--length 0: expected a number from 5"),
        (["gpu", "--cells", "0"], "--cells 0"),
        (["--frobnicate"], "unrecognized arguments"),
        (["levers", "--rounds", "0"], "--rounds 0"),
        (["report", "--results", "/no/such/folder"], "steps.json: not found"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def nothing_is_measured(*_: object) -> None:
    pytest.fail("the place should have been refused before the measurement")


def test_a_place_that_cannot_be_written_is_found_out_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("bench.levers.measure_levers", nothing_is_measured)
    monkeypatch.setattr(Path, "write_bytes", read_only)
    target = tmp_path / "levers.json"
    code, _, err = run(capsys, "levers", "--out", str(target))
    assert code == 2
    said = "cannot be written (Read-only file system); expected a place to write to"
    assert err == f"zoo.bench: {target}: {said}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_takes_neither_the_result_nor_the_file_that_was_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def measured(*_: object) -> list[str]:
        monkeypatch.setattr(os, "fsync", full)
        return ["the result"]

    monkeypatch.setattr("bench.levers.measure_levers", measured)
    target = tmp_path / "levers.json"
    target.write_text("before")
    code, out, err = run(capsys, "levers", "--out", str(target))
    assert code == 2
    assert json.loads(out)["levers"] == ["the result"]
    said = "cannot be written (No space left on device); expected a place to write to"
    assert err == f"zoo.bench: {target}: {said}\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys; from zoo import bench\nsys.argv[1:] = ['--help']\ntry: bench.main()\n"
    script += "except SystemExit: pass\nsys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    assert answer.returncode == 0
    assert answer.stdout.startswith(b"usage: python -m zoo.bench")


def test_an_installed_package_says_that_the_benchmark_is_not_in_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ROOT", tmp_path)
    assert door.main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert f"{tmp_path} has no folder bench" in captured.err


def test_no_line_of_the_tables_is_wider_than_a_terminal() -> None:
    """The longest names, slow steps, and no slow twin or memory in some rows."""
    row = read(RESULTS / "steps.json")["rows"][0]
    rows = [
        row | {"arch": arch, "recipe": recipe, "length": 20_000, "step_ms": 9876.5,
               "step_ms_quartiles": [8765.4, 9999.9], "examples_per_second": 12_345.6,
               "peak_memory_mb": memory, "parts_ms": dict.fromkeys(row["parts_ms"], 8765.4),
               "ratio_straightforward_to_this": gain, "changes": {"sites": ["embedding"] * 9}}
        for arch in ARCHS for recipe in RECIPES for memory, gain in ((98_765.0, 123.4), (None, None))
    ]  # fmt: skip
    text = as_text(rows)
    assert max(map(len, text.splitlines())) <= 80
    assert "texthan, 20000 words" in text
    assert all(recipe in text for recipe in RECIPES)
    usual = as_text(read(RESULTS / "steps.json")["rows"])
    assert usual.count("bilstm, 32 words") == 2, "two tables are enough"


def test_passes_of_each_method() -> None:
    def passes(recipe: str, shared: bool = False, **changes: object) -> int:
        return units(Case("textcnn", recipe, 9, changes=tuple(changes.items())), shared)

    assert [passes(r) for r in ("standard", "dropout", "at", "r_drop", "uegr")] == [1, 1, 2, 2, 3]
    assert [passes(r, shared=True) for r in ("standard", "at", "r_drop", "uegr")] == [1, 2, 1, 2]
    assert passes("uegr", adversarial=5) == 6
    assert passes("uegr", attack_steps=3) == 5
    assert passes("uegr", shared=True, attack_steps=3) == 4
    assert passes("freelb", ascent_steps=3) == 3


@pytest.mark.parametrize("arch", ARCHS)
def test_batches_have_the_shape_of_the_case(arch: str) -> None:
    case = Case(arch, "uegr", 60, batch=3, vocabulary=200)
    feed = Feed(case, 2)
    first, second = feed(), feed()
    assert first.tokens.shape == (3, 60)
    assert not bool((first.tokens == second.tokens).all())
    filled = first.mask.float().mean().item()
    assert filled == 1 if arch != "han" else 0.1 < filled < 0.7
    assert 2 <= int(first.tokens[first.mask].min()) <= int(first.tokens.max()) < 200


def test_words_follow_zipfs_law() -> None:
    ids = make_split(Case("textcnn", "uegr", 200, batch=100, vocabulary=5_000), 1).ids
    most, second = ((ids == i).sum() for i in (2, 3))
    assert 1.5 < most / second < 2.8  # 2 ** 1.05 = 2.07
    assert len(set(ids.tolist())) > 1_000


def test_the_fit_recovers_a_line() -> None:
    a, b, error = fit([1, 2, 5, 9], [3 + 2 * x for x in (1, 2, 5, 9)])
    assert (a, b, error) == pytest.approx((3, 2, 0))
    assert fit([1, 2, 3], [1, 2, 6])[2] > 0.1


@needs_results
def test_the_committed_page_is_made_from_the_committed_measurements() -> None:
    assert (DOCS / "performance.md").read_text(encoding="utf-8") == build_page(RESULTS)


@needs_results
def test_the_committed_levers_are_those_of_the_table() -> None:
    measured = {lever["title"]: lever for lever in read(RESULTS / "levers.json")["levers"]}
    expected = {title: kept for title, kept, *_ in (*levers(), *BY_PROCESS)}
    assert {title: lever["kept"] for title, lever in measured.items()} == expected
    for row in TWINS.values():
        for title in row.timed:
            assert [variant["variant"] for variant in measured[title]["variants"]] == list(row.forms)


@needs_results
def test_the_report_writes_the_page_and_its_figure(tmp_path: Path) -> None:
    page, figure = write_report(RESULTS, tmp_path)
    assert figure.name in page.read_text(encoding="utf-8")
    assert figure.read_text(encoding="utf-8").count("<path") > 50


def test_without_an_emulator_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.portable.shutil.which", lambda name: None)
    with pytest.raises(UserError, match="qemu-x86_64: not found; expected the emulator"):
        measure_portable(lambda line: None)


def test_a_processor_whose_weights_differ_is_told_apart() -> None:
    def row(name: str, portable: str, plain: str) -> dict[str, object]:
        made = {"width": "AVX2", "weights": {"textcnn": portable, "bilstm": portable}}
        return {
            "processor": name,
            "portable": made,
            "as_it_is": made | {"weights": {"textcnn": "a", "bilstm": plain}},
        }

    _, table = same_weights([row("here", "x", "b"), row("equal", "x", "c"), row("other", "y", "b")])
    assert [list(line[2:]) for line in table.rows] == [
        ["textcnn the same, bilstm others", "the same"], ["the same", "others"],
    ]  # fmt: skip
