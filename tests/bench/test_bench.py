"""The benchmark's command line, on sizes that take no time; no test looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import command as bench
from bench.cases import Case, Feed, make_split, units
from bench.growth import fit
from bench.report import build_page, write_report
from zoo.settings import ARCHS

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
    assert "uegr adversarial=3 sites=embedding,pooled" in out
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
            "textcnn has embedding, pooled",
        ),
        (["--out", "/no/such/folder/file.json"], "there is no folder /no/such/folder"),
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


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys; from bench import command as bench\ntry: bench.main(['--help'])\nexcept SystemExit: pass\n"
    script += "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False).returncode == 0
    )


def test_passes_of_each_method() -> None:
    def passes(recipe: str, shared: bool = False, **changes: object) -> int:
        return units(Case("textcnn", recipe, 9, changes=tuple(changes.items())), shared)

    assert [passes(r) for r in ("standard", "dropout", "at", "r_drop", "uegr")] == [1, 1, 2, 2, 3]
    assert [passes(r, shared=True) for r in ("standard", "at", "r_drop", "uegr")] == [1, 2, 1, 2]
    assert passes("uegr", adversarial=5) == 6
    assert passes("uegr", attack_steps=3) == 5
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
def test_the_report_writes_the_page_and_its_figure(tmp_path: Path) -> None:
    page, figure = write_report(RESULTS, tmp_path)
    assert figure.name in page.read_text(encoding="utf-8")
    assert figure.read_text(encoding="utf-8").count("<path") > 50
