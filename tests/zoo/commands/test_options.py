"""The options of a study: what each of them decides, and which may stand together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zoo import ablate
from zoo import study as study_command
from zoo.core.errors import UserError
from zoo.evidence.questions import QUESTIONS
from zoo.studies.options import study_of
from zoo.studies.study import Study, Where
from zoo.study import question_places

# Each option with a value of its own, and what it is in the study.
PLACES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "--out": (["there"], {"out": "there"}),
    "--data-dir": (["texts"], {"data": "texts"}),
    "--cache-dir": (["kept"], {"cache": "kept"}),
    "--device": (["cpu"], {"device": "cpu"}),
    "--jobs": (["3"], {"jobs": 3}),
    "--cells-per-gpu": (["2"], {"cells_per_gpu": 2}),
    "--mps": ([], {"mps": True}),
    "--stack-seeds": ([], {"stack_seeds": True}),
    "--no-graphs": ([], {"graphs": False}),
    "--portable": ([], {"portable": True}),
    "--no-portable": ([], {"portable": False}),
    "--keep-weights": ([], {"keep_weights": True}),
    "--save-models": ([], {"save_models": True}),
    "--rerun-foreign": ([], {"rerun_foreign": True}),
    "--minutes": (["9"], {"minutes": 9.0}),
    "--engine": (["slurm"], {"engine": "slurm"}),
    "--engine-set": (["gpus=0.5", "--engine", "ray"], {"engine": "ray", "engine_set": ["gpus=0.5"]}),
    "--address": (["h:1", "--engine", "ray"], {"engine": "ray", "engine_set": ["address=h:1"]}),
}
SAID: dict[str, tuple[list[str], Any]] = {
    "--preset": (["quick"], lambda s: s.preset == "quick"),
    "--recipe-preset": (["rat_code"], lambda s: s.recipe_preset == "rat_code"),
    "--arch": (["textcnn", "han"], lambda s: s.archs == ("textcnn", "han")),
    "--corpus": (["imdb"], lambda s: s.corpora == ("imdb",)),
    "--recipe": (["at", "uegr"], lambda s: s.recipes == ("at", "uegr")),
    "--seeds": (["3", "5"], lambda s: s.seeds == (3, 5)),
    "--folds": (["4"], lambda s: s.folds == 4),
    "--set": (["alpha=4", "hidden=7"], lambda s: s.changes == {"alpha": 4.0, "hidden": 7}),
    "--epochs": (["7"], lambda s: s.changes == {"epochs": 7}),
    "--batch": (["8"], lambda s: s.changes == {"batch_size": 8}),
    "--fraction": (["0.5"], lambda s: s.changes == {"fraction": 0.5}),
    "--vectors": (["word2vec"], lambda s: s.changes == {"vectors": "word2vec"}),
    "--tokeniser": (["characters"], lambda s: s.changes == {"tokeniser": "characters"}),
    "--text-column": (["review"], lambda s: s.changes == {"text_column": "review"}),
    "--label-column": (["mood"], lambda s: s.changes == {"label_column": "mood"}),
}
OTHER = {"--study", "--json", "--help", "-h", "--dry-run", "--verbose", "--list", "--version"}


def study(*arguments: str) -> Study:
    return study_of(ablate.parse(arguments))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A study that says everything."""
    places = {"out": "mine", "data": "d", "cache": "c", "graphs": True, "portable": False}
    made = Study.of("demo", {"archs": ["bilstm"]}, changes={"epochs": 3}, places=Where.from_json(places))
    path = tmp_path / "study.json"
    path.write_text(json.dumps(made.as_json()))
    return str(path)


def test_every_option_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ablate.parse(["--help"])
    usage = capsys.readouterr().out.split("\n\n")[0]
    found = {word.strip("[]|,") for word in usage.split() if word.startswith(("[-", "--", "-h"))}
    assert found == {*PLACES, *SAID, *OTHER} - {"--help"}


@pytest.mark.parametrize("option", SAID)
def test_an_option_decides_what_it_says(option: str) -> None:
    values, holds = SAID[option]
    assert holds(study(option, *values))
    assert not holds(study())


@pytest.mark.parametrize("option", SAID)
def test_a_study_from_a_file_says_alone_what_is_run(option: str, file: str) -> None:
    with pytest.raises(UserError, match=f"with {option}: the file says what is run"):
        study("--study", file, option, *SAID[option][0])


@pytest.mark.parametrize("option", PLACES)
def test_places_are_those_of_the_command_line_wherever_the_study_is_from(option: str, file: str) -> None:
    values, wanted = PLACES[option]
    for made in (study(option, *values), study("--study", file, option, *values)):
        places = made.places.as_json()
        assert {name: places[name] for name in wanted} == wanted
    kept = Study.read(Path(file)).places.as_json()
    assert {**kept, **wanted} == places, "nothing else is changed"
    assert made.changes == {"epochs": 3}


@pytest.mark.parametrize("option", PLACES)
def test_a_question_of_a_study_is_run_as_any_cells_are(option: str) -> None:
    values, wanted = PLACES[option]
    asked = QUESTIONS["k"]  # of a preset that is portable
    places = question_places(asked, study_command.parse(["k", option, *values])).as_json()
    assert {**question_places(asked, study_command.parse(["k"])).as_json(), **wanted} == places


def test_settings_of_an_engine_need_it() -> None:
    with pytest.raises(UserError, match="--engine-set gpus=1: expected --engine ray or slurm beside it"):
        study("--engine-set", "gpus=1")
    with pytest.raises(UserError, match="unknown engine 'cloud'"):
        study("--engine", "cloud")


def test_one_setting_has_one_value() -> None:
    assert study("--set", "epochs=3", "--set", "epochs=3", "--epochs", "3").changes == {"epochs": 3}
    for more in (["--set", "epochs=4"], ["--epochs", "4"]):
        with pytest.raises(UserError, match="expected one"):
            study("--set", "epochs=3", *more)


@pytest.mark.parametrize("option", ["--jobs", "--cells-per-gpu"])
@pytest.mark.parametrize("number", ["0", "-1"])
def test_at_least_one_cell_at_a_time(option: str, number: str) -> None:
    with pytest.raises(UserError, match=f"{option} {number}: expected at least 1"):
        study(option, number)


@pytest.mark.parametrize("option", [*SAID, *PLACES])
def test_no_option_has_a_shorter_name(option: str) -> None:
    """What is short for one option today would be another's name tomorrow."""
    values = (SAID.get(option) or PLACES[option])[0]
    with pytest.raises(UserError, match="unrecognized arguments"):
        ablate.parse([option[:-1], *values])
