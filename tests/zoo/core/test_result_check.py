"""A result's file is checked part by part before anything is computed from it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest

from zoo.core import result_check
from zoo.core.errors import UserError
from zoo.core.identity import plain
from zoo.core.result import Cell, CorpusInfo, Machine, Result, encode_classes

FILE = "runs/demo/a.json"


def finished(**changes: Any) -> Result:
    """A finished cell of 4 texts and 2 classes."""
    truth, predictions = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0])
    made = Result(
        "a",
        Cell("imdb", "texthan", "uegr", 0),
        "done",
        settings={"train": {"epochs": 2}},
        corpus=CorpusInfo("imdb", "en", "f", 2, 100, 20, 4, 50),
        measures={"accuracy": 0.75, "macro_f1": 0.7333, "attacked_accuracy": 0.5},
        validation_accuracy=0.8,
        best_epoch=1,
        curve=({"epoch": 1, "loss": 0.7, "drop_rate": {"pooled": 0.2}},),
        predictions=encode_classes(predictions),
        truth=encode_classes(truth),
        attacked={
            "rows": 2,
            "predictions": encode_classes(truth[:2]),
            "truth": encode_classes(truth[2:] * 0),
        },
        machine=Machine("cpu", "AVX2", "MKL", (), 1),
        seconds={"total": 3.0},
        made_by={"version": "0.1.0", "commit": None},
    )
    return dataclasses.replace(made, **changes)


def sound(**changes: Any) -> dict[str, Any]:
    """Its JSON."""
    values: dict[str, Any] = json.loads(json.dumps(plain(finished(**changes).as_json())))
    return {"schema": 2, **values}


def test_what_is_sound_comes_back_as_it_was() -> None:
    assert Result.from_json(sound(), FILE) == finished()


def test_nought_is_a_value_like_any_other() -> None:
    """It is not left out of the file as what is empty is."""
    noughts = {"validation_accuracy": 0.0, "parameters": 0, "step_seconds": 0.0, "peak_memory_mb": 0.0}
    assert Result.from_json(sound(**noughts), FILE) == finished(**noughts)


def test_a_failed_cell_needs_no_predictions() -> None:
    values = {key: sound()[key] for key in ("schema", "id", "cell", "made_by")}
    result = Result.from_json({**values, "status": "failed", "reason": "the loss is nan"}, FILE)
    assert not result.done


CLASSES = encode_classes(np.array([0, 1, 0, 7]))
WRONG = [
    ("schema", 3, "schema is 3, expected 2 .*newer version"),
    ("schema", "2", "schema is '2', expected 2"),
    ("status", "finished", "status is 'finished', expected done or failed"),
    ("id", "", "id is '', expected a text that is not empty"),
    ("id", 7, "id is 7, expected"),
    ("cell", "imdb", "cell is 'imdb', expected an object"),
    ("cell", None, "cell is None, expected an object"),
    ("cell.seed", -1, "cell.seed is -1, expected a whole number of at least 0"),
    ("cell.seed", "0", "cell.seed is '0'"),
    ("cell.fold", 1.5, "cell.fold is 1.5"),
    ("cell.seed", None, "cell.seed is None"),
    ("cell.arch", None, "cell.arch is None"),
    ("cell.more", 1, "cell has an unknown part 'more'"),
    ("measures", [0.75], "measures is .*expected an object"),
    ("measures", None, "measures is None"),
    ("measures.accuracy", 7.5, "measures.accuracy is 7.5, expected a number from 0 to 1"),
    ("measures.accuracy", "0.75", "measures.accuracy is '0.75', expected a number"),
    ("measures.accuracy", float("nan"), "measures.accuracy is nan"),
    ("measures.accuracy", 0.5, "accuracy is stored as 0.5, the predictions give 0.75"),
    ("measures.accuracy", True, "measures.accuracy is True"),
    ("measures.macro_f1", -0.1, "measures.macro_f1 is -0.1"),
    ("measures.attacked_accuracy", 1.0, "attacked.accuracy is stored as 1, the predictions give 0.5"),
    ("measures.accuracy", 0.7501, "accuracy is stored as 0.7501, the predictions give 0.75"),
    ("validation_accuracy", 80, "validation_accuracy is 80, expected a number from 0 to 1"),
    ("validation_accuracy", None, "a done cell without validation_accuracy"),
    ("best_epoch", 0, "best_epoch is 0"),
    ("predictions", "no base64!", "predictions are no classes"),
    ("predictions", 5, "predictions is 5, expected a text"),
    ("predictions", encode_classes(np.array([0, 1])), "2 predictions for 4 texts"),
    ("predictions", CLASSES, "class 7, expected 0 to 1"),
    ("truth", "", "truth are no classes"),
    ("truth", CLASSES, "class 7, expected 0 to 1"),
    ("truth", encode_classes(np.array([0, 1, 0, 2])), "class 2, expected 0 to 1"),
    ("corpus", None, "a done cell without corpus"),
    ("corpus.test_rows", 5, "truth has 4 texts, expected the 5"),
    ("corpus.test_rows", "4", "corpus.test_rows is '4'"),
    ("corpus.labels", 0, "corpus.labels is 0"),
    ("corpus.notes", "note", "corpus.notes is 'note', expected a list"),
    ("curve", {"1": 2}, "curve is .*expected a list"),
    ("curve", [1], r"curve\[0\] is 1, expected an object"),
    ("curve", [{"epoch": 1, "loss": "low"}], r"curve\[0\].loss is 'low', expected a number"),
    ("curve", [{"drop_rate": {"pooled": "x"}}], r"curve\[0\].drop_rate.pooled is 'x'"),
    ("attacked", [], r"attacked is \[\], expected an object"),
    ("attacked.rows", 3, "attacked.truth has 2 texts, expected the 3"),
    ("attacked.predictions", "?", "attacked.predictions are no classes"),
    ("machine", "cpu", "machine is 'cpu', expected an object"),
    ("machine.threads", 0, "machine.threads is 0"),
    ("machine.speed", 1, "machine has an unknown part 'speed'"),
    ("seconds", {"total": -1}, "seconds.total is -1, expected a number of at least 0"),
    ("seconds", {"total": "3"}, "seconds.total is '3'"),
    ("step_seconds", "fast", "step_seconds is 'fast'"),
    ("parameters", -1, "parameters is -1"),
    ("settings", [1], r"settings is \[1\], expected an object"),
    ("made_by", {"version": 1}, "made_by.version is 1, expected a text"),
    ("recorded", 1, "recorded is 1, expected true or false"),
    ("notes", [1], r"notes\[0\] is 1"),
    ("accuracy", 0.7, "unknown part 'accuracy'"),
]


@pytest.mark.parametrize(("part", "value", "said"), WRONG, ids=[f"{p}={v}"[:40] for p, v, _ in WRONG])
def test_a_part_that_does_not_hold_is_one_line(part: str, value: Any, said: str) -> None:
    values = sound()
    *path, name = part.split(".")
    holder = values
    for step in path:
        holder = holder[step]
    holder[name] = value
    with pytest.raises(UserError) as caught:
        Result.from_json(values, FILE)
    message = str(caught.value)
    assert message.startswith(f"{FILE}: ")
    assert re.search(said, message), message
    assert message.endswith("delete the file and run again, the cell will be repeated")
    assert "\n" not in message


@pytest.mark.parametrize("name", ["id", "cell", "status"])
def test_what_lacks_a_key_is_no_result(name: str) -> None:
    values = sound()
    del values[name]
    with pytest.raises(UserError, match=r"not the result of a cell .*move it out"):
        Result.from_json(values, FILE)


def test_cell_and_corpus_need_their_parts() -> None:
    for part, name in (("cell", "seed"), ("corpus", "labels")):
        values = sound()
        del values[part][name]
        with pytest.raises(UserError, match=f"{part} lacks {name}"):
            Result.from_json(values, FILE)


def test_the_first_form_is_told_how_to_be_converted() -> None:
    values = {key: value for key, value in sound().items() if key not in ("schema", "made_by")}
    with pytest.raises(UserError, match=r"earlier form; .*python -m zoo.ablate convert runs/demo$"):
        Result.from_json(values | {"test_accuracy": 0.75}, FILE)


def test_every_part_of_a_result_is_checked() -> None:
    assert set(result_check._CHECKS) == {field.name for field in dataclasses.fields(Result)}
    values = sound()
    for part, record in (("cell", Cell), ("corpus", CorpusInfo), ("machine", Machine)):
        known = {field.name for field in dataclasses.fields(record)}
        assert set(values[part]) <= known
        for name in known:  # none of them is unknown to the check
            wrong = {**values, part: {**values[part], name: object()}}
            with pytest.raises(UserError, match=f"{part}.{name} is <object"):
                Result.from_json(wrong, FILE)
