"""Studies that measure: what is planned, a file a network, going on where it stopped, kept weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from corpora import write_films

from zoo import study
from zoo.core.errors import UserError
from zoo.evidence.measurements import MEASUREMENTS, missing, read_points
from zoo.fast.denormals import are_flushed
from zoo.probes.drift import Drift
from zoo.settings import PRESETS
from zoo.studies import measure
from zoo.studies.study import Where

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """Options of a small study: a corpus of our own, one model, one seed."""
    films = write_films(tmp_path)
    return [
        "--corpus", str(films), "--arch", "textcnn", "--seeds", "0",
        "--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--jobs", "1",
        "--set", "embedding=8", "filters=4", "widths=1,2", "epochs=1",
    ]  # fmt: skip


_ROBUST = [
    "rows=4", "pgd_steps=2", "strengths=0.1", "norms=1", "text_rows=2", "queries=8", "other_rows=4",
]  # fmt: skip
SMALL = {
    "theory": ["rows=20", "entries=5", "batches=10", "masks=2", "penalty_rows=5"],
    "drift": ["rows=20"],
    "sharpness": ["rows=20", "directions=1", "radii=0.5", "iterations=2"],
    "drop": ["rows=20", "pgd_steps=2"],
    "robust": _ROBUST,
    "robust-zh": _ROBUST,
}


def test_every_record_can_be_planned_and_has_a_probe() -> None:
    assert list(MEASUREMENTS) == list(measure.PROBES) == list(SMALL)
    for name, record in MEASUREMENTS.items():
        assert record.name == name
        assert record.preset in PRESETS
        assert len({v.name for v in record.variants}) == len(record.variants)
        for variant in record.variants:
            assert measure.study(record, variant, Where(), {}, {}).recipes == (variant.recipe,)


# In robust-zh the probe is that of robust; its vectors are a package that not everybody has.
@pytest.mark.parametrize("name", [name for name in SMALL if name != "robust-zh"])
def test_it_measures_goes_on_and_answers(
    asked: list[str], name: str, tmp_path: Path, capsys: Capture
) -> None:
    line = [name, *asked, "--measure", *SMALL[name]]
    assert study.main([*line, "--dry-run"]) == 0
    count = len(MEASUREMENTS[name].variants)
    said = capsys.readouterr().err
    assert f"{count} networks, {count} to measure" in said
    assert said.endswith("on top; so does measuring\n")
    assert not (tmp_path / "out").exists()
    assert study.main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["variant"] for p in found["points"]] == [v.name for v in MEASUREMENTS[name].variants]
    files = sorted((tmp_path / "out").glob("[!.]*.json"))
    assert len(files) == count
    before = {path: path.stat().st_mtime_ns for path in files}
    files[0].unlink()
    assert study.main(line) == 0
    printed = capsys.readouterr()
    assert f"{count} networks, 1 to measure" in printed.err
    assert {p: p.stat().st_mtime_ns for p in files[1:]} == {p: before[p] for p in files[1:]}
    assert "films" in printed.out
    points = read_points(tmp_path / "out")
    assert {p.facts["recipe"] for p in points} == {v.recipe for v in MEASUREMENTS[name].variants}
    here = replace(MEASUREMENTS[name], corpora=(points[0].corpus,), archs=("textcnn",), seeds=(0,))
    assert missing(here, points) == 0
    assert missing(here, points[1:]) == 1


def test_another_setting_of_the_measurement_is_another_folder(
    asked: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Tables would count each network twice, and halve their intervals."""
    first = ["drift", *asked, "--measure", "rows=20"]
    assert study.main(first) == 0
    before = sorted((tmp_path / "out").glob("*.json"))
    capsys.readouterr()
    for more in (["--measure", "rows=30"], ["--measure", "rows=20", "--set", "batch_size=8"]):
        assert study.main(["drift", *asked, *more]) == 2
        assert "the same network, measured by other settings; expected --out with" in capsys.readouterr().err
    assert sorted((tmp_path / "out").glob("*.json")) == before
    assert study.main(first) == 0
    other = before[0].with_name("z-other.json")
    changed = json.loads(before[0].read_text())
    other.write_text(json.dumps(changed))
    with pytest.raises(UserError, match=r"z-other.json and .*: the same network, measured twice"):
        read_points(tmp_path / "out")
    changed["cell"]["seed"], changed["probe"]["rows"] = 7, 30
    other.write_text(json.dumps(changed))
    with pytest.raises(UserError, match=r"z-other.json and .*: measured by other settings"):
        read_points(tmp_path / "out")


def test_kept_weights_are_measured_in_place_of_a_training(
    asked: list[str], tmp_path: Path, capsys: Capture
) -> None:
    from zoo import ablate

    weights = tmp_path / "kept" / "weights"
    own = [*asked[: asked.index("--out")], "--out", str(tmp_path / "kept"), *asked[asked.index("--set") :]]
    own += ["learning_rate=0.01", "attack=fgsm", "epsilon=0.05", "epsilon_unit=rms"]
    line = ["--preset", "slices", "--recipe", "dropout", "sam", "uegr_no_mask", "uegr", "--jobs", "1"]
    assert ablate.main([*own, *line, "--no-portable", "--keep-weights"]) == 0
    capsys.readouterr()
    line = ["sharpness", *asked, "--measure", *SMALL["sharpness"]]
    assert study.main([*line, "--json", "--weights", str(weights)]) == 0
    kept = json.loads(capsys.readouterr().out)["points"]
    assert all(point["kept_weights"] for point in kept)
    for path in (tmp_path / "out").glob("[!.]*.json"):
        path.unlink()
    assert study.main([*line, "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)["points"]
    assert [p["values"]["loss"] for p in kept] == pytest.approx([p["values"]["loss"] for p in trained])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["drift", "--measure", "row=3"], "unknown measurement setting 'row'"),
        (["drift", "--measure", "rows=1"], "rows=1: expected a number at least 2"),
        (["drift", "--test"], "--test: drift says itself on which texts it measures"),
        (["drift", "--engine", "ray"], "--engine: drift measures networks here, one by one; expected none"),
        (["drift", "--no-graphs"], "--no-graphs: drift measures networks here"),
        (["drift", "--mps"], "--mps: drift measures networks here"),
        (["k", "--measure", "rows=3"], "--measure, --weights: k compares results; expected a study that"),
        (["drifft"], "unknown study 'drifft'"),
        (["drop", "--weights", "nowhere"], "no such file; expected the weights of each cell"),
        (["theory", "--set", "epsilon=0.3"], "--set epsilon: every row of the study theory has its own"),
        (["drift", "--set", "learning_rate=1e30"], ": the loss is nan in epoch 1; expected settings"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(asked: list[str], line: list[str], said: str, capsys: Capture) -> None:
    assert (
        study.main([line[0], *(asked if "--measure" not in line or line[0] != "k" else []), *line[1:]]) == 2
    )
    found = capsys.readouterr().err
    assert said in found
    assert len(found.strip().splitlines()) <= 2


def test_a_measurement_meets_no_denormal_numbers(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def noted(self: Drift, subject: object) -> None:
        seen.append(are_flushed())
        raise UserError("that is all")

    monkeypatch.setattr(Drift, "measure", noted)
    assert study.main(["drift", *asked]) == 2
    assert seen == [torch.set_flush_denormal(False)]


def test_a_file_that_is_no_measurement_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"schema": 1}')
    with pytest.raises(UserError, match=r"x.json: not a measurement of schema 1"):
        read_points(tmp_path)
    assert read_points(tmp_path / "nothing") == []


def test_the_name_of_a_probe_with_defaults_is_the_cells_own() -> None:
    assert Drift().named() == {}
    assert measure.probe_of("drift", {"rows": "20"}).named() == {"rows": 20}


@pytest.mark.parametrize(
    ("name", "arch", "said"),
    [
        ("drift", "hf:minilm", "arch hf:minilm: this study looks into the zoo's models"),
        ("robust", "mtdnn:minilm", "arch mtdnn:minilm: this study trains each network alone"),
    ],
)
def test_a_model_that_cannot_be_measured_so_is_refused_before_a_text_is_read(
    name: str, arch: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure.run, "jobs_of", lambda *_: pytest.fail("a corpus was prepared"))
    with pytest.raises(UserError, match=said):
        measure.plan(MEASUREMENTS[name], measure.probe_of(name, {}), Where(), {"archs": (arch,)}, {})


def test_a_turn_ends_before_a_network_and_the_next_goes_on(
    asked: list[str], tmp_path: Path, capsys: Capture
) -> None:
    line = ["drift", *asked, "--measure", "rows=20"]
    assert study.main([*line, "--minutes", "0.0001"]) == 3
    assert "is next; the same command goes on with it" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("[!.]*.json"))
    assert study.main([*line, "--minutes", "600"]) == 0
    assert study.main([*line, "--minutes", "0.0001"]) == 0, "nothing is left to measure"
    assert study.main([*line, "--minutes", "0"]) == 2


def test_several_at_a_time_give_the_same_files(asked: list[str], tmp_path: Path, capsys: Capture) -> None:
    line = ["drift", *asked, "--measure", "rows=20", "--json"]
    assert study.main(line) == 0
    alone = json.loads(capsys.readouterr().out)["points"]
    for path in (tmp_path / "out").glob("[!.]*.json"):
        path.unlink()
    assert study.main([*line, "--jobs", "2"]) == 0
    together = json.loads(capsys.readouterr().out)["points"]
    assert [p["values"] for p in together] == [p["values"] for p in alone]
    assert len(together) == len(MEASUREMENTS["drift"].variants)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_one_network_lacks_is_one_line_whoever_finds_it(
    jobs: str, asked: list[str], capsys: Capture
) -> None:
    assert study.main(["drop", *asked, "--jobs", jobs, "--weights", "nowhere"]) == 2
    (line,) = [own for own in capsys.readouterr().err.splitlines() if own.startswith("zoo.study: ")]
    assert "no such file; expected the weights of each cell" in line


def test_a_process_that_is_killed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def killed(*_: object, **__: object) -> object:
        raise TerminatedWorkerError("of memory")

    monkeypatch.setattr(joblib, "Parallel", lambda **_: killed)
    with pytest.raises(UserError, match="was killed, perhaps for want of memory"):
        measure._side_by_side(lambda number, one: None, [], 2)


def test_a_plan_is_shared_by_as_many_processes_as_were_asked_for(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than there are networks, which here stay unmeasured."""
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(measure, "_side_by_side", lambda settle, them, jobs: seen.append((len(them), jobs)))
    count = len(MEASUREMENTS["drift"].variants)
    for given, wanted in (("2", 2), ("99", count)):
        assert study.main(["drift", *asked, "--jobs", given, "--json"]) == 0
        assert seen.pop() == (count, wanted)
