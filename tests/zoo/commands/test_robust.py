"""The command that examines saved models: on what they have not seen, paired, kept, refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from corpora import write_rows

from moods import SMALL as ESTIMATOR
from moods import moods
from uegr import TextClassifier
from zoo import fit, robust
from zoo.classifier.network import Network
from zoo.classifier.seen import Seen

QUICK = [
    "--set", "rows=10", "strengths=0.05", "norms=0.5", "pgd_steps=2", "text_rows=4", "queries=12",
    "other_rows=5",
]  # fmt: skip
Capture = pytest.CaptureFixture[str]


def table(path: Path, texts: list[str], labels: list[str]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{t}",{y}\n' for t, y in zip(texts, labels, strict=True)))
    return path


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of 120 texts, the texts, and 40 others."""
    folder = tmp_path_factory.mktemp("robust")
    texts, labels = (list(map(str, own)) for own in moods(160))
    for name, recipe in (("plain", "dropout"), ("ours", "uegr")):
        TextClassifier("textcnn", recipe, **ESTIMATOR).fit(texts[:120], labels[:120]).save(folder / name)
    table(folder / "seen.csv", texts[:120], labels[:120])
    table(folder / "other.csv", texts[120:], labels[120:])
    return folder


def run(arguments: list[str], capsys: Capture) -> tuple[int, str, str]:
    code = robust.main([*arguments, *QUICK])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_two_models_side_by_side_kept_and_read_again(places: Path, tmp_path: Path, capsys: Capture) -> None:
    line = [
        str(places / "plain"),
        str(places / "ours"),
        "--data",
        str(places / "other.csv"),
        "--out",
        str(tmp_path),
    ]
    line += ["--validation", str(places / "seen.csv"), "--cache-dir", str(tmp_path / "cache")]
    code, out, _ = run([*line, "--json"], capsys)
    assert code == 0
    found = json.loads(out)["models"]
    assert [one["variant"] for one in found] == ["plain", "ours"]
    assert found[0]["values"]["test"]["rows"] == 40
    assert found[0]["values"]["calibration"]["fitted_on"] == 120
    files = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.glob("*.json"))
    assert files == ["ours", "plain"]
    code, out, err = run(line, capsys)
    assert code == 0
    assert err.count("measured already") == 2
    assert "Difference to plain" in out
    assert "Table III, raw figures" in out
    # Another setting is another file, and nothing is overwritten.
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert robust.main([*line, *QUICK, "share=0.5"]) == 0
    assert len(list(tmp_path.glob("*.json"))) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_set_that_was_missing_is_measured_when_it_is_there(
    places: Path, tmp_path: Path, capsys: Capture
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    line = [str(places / "plain"), "--data", str(places / "other.csv"), "--data-dir", str(data), "--json"]
    line += ["--out", str(out), "--cache-dir", str(tmp_path / "cache")]

    def values() -> tuple[dict[str, Any], bool]:
        code, said, err = run(line, capsys)
        assert code == 0, err
        return json.loads(said)["models"][0]["values"], "measured already" in err

    data.mkdir()
    found, known = values()
    assert "outside ag_news: not in the data folder" in found["left_out"]
    assert (list(found["outside"]), known) == ([], False)
    write_rows(data / "ag_news", "train", *((f"other {i}", str(i % 4)) for i in range(12)))
    (data / "ag_news" / "labels.txt").write_text("0\n1\n2\n3\n")
    for known_now in (False, True):
        found, known = values()
        assert (list(found["outside"]), known) == (["ag_news"], known_now)
    assert len(list(out.glob("*.json"))) == 2


def test_models_of_other_kinds_and_seeds_are_held_against_each_other(
    places: Path, tmp_path: Path, capsys: Capture
) -> None:
    texts, labels = moods(120)
    other = TextClassifier("bilstm", "dropout", **{**ESTIMATOR, "settings": {"embedding": 8, "hidden": 4}})
    other.set_params(random_state=7).fit(texts, labels).save(tmp_path / "other")
    line = [str(places / "plain"), str(tmp_path / "other"), "--data", str(places / "other.csv")]
    code, out, err = run([*line, "--cache-dir", str(tmp_path / "cache")], capsys)
    assert code == 0, err
    _, differences = out.split("Difference to plain", 1)
    assert re.search(r"clean +[+-]\d+\.\d+ \[[+-]\d+\.\d+, [+-]\d+\.\d+\]", differences), out


@pytest.mark.parametrize("given", ["strengths=0.2,0.1", "strengths=", "norms=1,1"])
def test_strengths_ascend(given: str, places: Path, capsys: Capture) -> None:
    assert robust.main([str(places / "plain"), "--data", str(places / "other.csv"), "--set", given]) == 2
    assert "expected at least one, each above the one before" in capsys.readouterr().err


def test_a_cell_is_judged_by_its_own_test_part(base: list[str], tmp_path: Path, capsys: Capture) -> None:
    from zoo import ablate

    assert ablate.main([*base, "--recipe", "dropout", "--jobs", "1", "--save-models"]) == 0
    capsys.readouterr()
    (model,) = (tmp_path / "out" / "models").iterdir()
    corpus, cache = (base[base.index(name) + 1] for name in ("--corpus", "--cache-dir"))
    code, out, _ = run([str(model), "--data", corpus, "--cache-dir", cache, "--json"], capsys)
    assert code == 0
    (found,) = json.loads(out)["models"]
    assert found["values"]["test"]["rows"] == 40
    assert found["values"]["calibration"]["fitted_on"] == 40
    copy = tmp_path / "moods"
    shutil.copytree(corpus, copy)
    (copy / "test.jsonl.gz").unlink()
    code, _, err = run([str(model), "--data", str(copy), "--cache-dir", cache], capsys)
    assert code == 2
    assert "not the rows that" in err
    assert err.count("\n") <= 2


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        ("seen.csv", [], "was trained on these rows, or its epoch chosen by them (120 of 120); expected"),
        ("nowhere.csv", [], "no such corpus or path"),
        ("other.csv", ["--set", "row=3"], "unknown measurement setting 'row'"),
        ("other.csv", ["--like", "glue_rte", "--set", "neighbours=nowhere.txt"], "nowhere.txt: no such file"),
        ("strange.csv", [], ": label 'good' is unknown; "),
    ],
)
def test_mistakes_are_one_line(
    places: Path, tmp_path: Path, capsys: Capture, data: str, more: list[str], said: str
) -> None:
    table(places / "strange.csv", ["a text", "a word"] * 10, ["odd", "good"] * 10)
    line = [str(places / "plain"), "--data", str(places / data), "--cache-dir", str(tmp_path)]
    assert robust.main([*line, *QUICK, *more]) == 2
    err = capsys.readouterr().err.splitlines()
    assert said in err[-1]


@pytest.mark.parametrize("rows", ["train", "half", "validation"])
def test_what_a_model_has_seen_is_refused_in_any_file(
    rows: str, places: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A part of the training file, or that of --validation, is no fingerprint of its rows."""
    texts, labels = (list(map(str, own)) for own in moods(160))
    table(tmp_path / "train.csv", texts[:100], labels[:100])
    table(tmp_path / "validation.csv", texts[100:120], labels[100:120])
    table(tmp_path / "half.csv", [*texts[:20], *texts[120:140]], [*labels[:20], *labels[120:140]])
    words = [str(tmp_path / "train.csv"), "--validation", str(tmp_path / "validation.csv")]
    assert fit.main([*words, "--out", str(tmp_path / "m"), "--set", "epochs=1", "embedding=8"]) == 0
    capsys.readouterr()
    code, _, err = run([str(tmp_path / "m"), "--data", str(tmp_path / f"{rows}.csv")], capsys)
    count = {"train": "100 of 100", "half": "20 of 40", "validation": "20 of 20"}[rows]
    assert code == 2
    assert f"was trained on these rows, or its epoch chosen by them ({count}); expected others" in err


def test_what_a_later_model_has_seen_is_refused_before_any_attack(
    places: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.studies.kept.examine", lambda *_: pytest.fail("attacked"))
    network, _ = Network.load(places / "plain")
    replace(network, seen=None).save(tmp_path / "older")
    monkeypatch.setattr(Seen, "count", lambda *_, **__: 0)  # the first has seen none of them
    line = [str(places / "plain"), str(tmp_path / "older"), "--data", str(places / "seen.csv")]
    code, _, err = run([*line, "--cache-dir", str(tmp_path)], capsys)
    assert (code, "older was trained on these rows; expected others" in err) == (2, True)


def test_few_texts_that_a_model_has_seen_are_counted(places: Path, tmp_path: Path, capsys: Capture) -> None:
    texts, labels = (list(map(str, own)) for own in moods(160))
    table(tmp_path / "mixed.csv", texts[100:], labels[100:])
    line = [str(places / "plain"), "--data", str(tmp_path / "mixed.csv"), "--cache-dir", str(tmp_path)]
    code, _, err = run([*line, "--validation", str(places / "seen.csv")], capsys)
    trained = Network.load(places / "plain")[0].seen.count(texts[:120], in_validation=False)
    assert code == 0
    assert "plain: has seen 20 of the 60 texts in its training" in err
    assert f"plain: temperature from 120 texts, {trained} of them trained on" in err
    assert 100 <= trained < 120


def test_of_a_model_that_does_not_say_the_rows_are_compared_as_a_whole(
    places: Path, tmp_path: Path, capsys: Capture
) -> None:
    """As folders of earlier versions."""
    network, _ = Network.load(places / "plain")
    replace(network, seen=None).save(tmp_path / "older")
    line = [str(tmp_path / "older"), "--cache-dir", str(tmp_path), "--data"]
    code, _, err = run([*line, str(places / "seen.csv")], capsys)
    assert (code, "older was trained on these rows; expected others" in err) == (2, True)
    assert run([*line, str(places / "other.csv")], capsys)[0] == 0


def test_a_model_named_twice_and_one_that_is_none(places: Path, capsys: Capture) -> None:
    twice = [str(places / "plain"), str(places / "plain"), "--data", str(places / "other.csv")]
    assert robust.main(twice) == 2
    assert "named twice; expected each model once" in capsys.readouterr().err
    assert robust.main([str(places), "--data", str(places / "other.csv")]) == 2
    assert "holds no model.json" in capsys.readouterr().err


def test_models_of_one_name_are_told_apart_by_their_paths() -> None:
    def network(recipe: str, **estimator: str) -> SimpleNamespace:
        return SimpleNamespace(about=SimpleNamespace(recipe=recipe, estimator=estimator))

    paths = [Path("a/model"), Path("b/model"), Path("c")]
    assert robust._names(paths, [network("uegr")] * 3) == ["a/model", "b/model", "c"]
    cells = [network(recipe) for recipe in ("dropout", "uegr", "sam")]
    assert robust._names(paths, cells) == ["Dropout", "UEGR", "SAM"]
    assert robust._names(paths, [*cells[:2], network("sam", arch="textcnn")])[2] == "c"
