"""`TextClassifier`: the training of a cell, in scikit-learn's hands."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from moods import SMALL, moods
from uegr import TextClassifier
from zoo.changes import resolve
from zoo.classifier.arguments import cell_settings
from zoo.classifier.inputs import InputError
from zoo.core.errors import UserError
from zoo.core.result import Cell, Result
from zoo.recipes import RECIPES
from zoo.settings import PRESETS
from zoo.text import RawCorpus, Rows, TextSettings, prepare
from zoo.training.cell import train_cell


def small(**changes: Any) -> TextClassifier:
    return TextClassifier(**{**SMALL, **changes})


# --- the same training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "recipe", "sizes"),
    [
        ("textcnn", "uegr", SMALL["settings"]),
        ("textcnn", "sam", SMALL["settings"]),
        ("han", "dropout", {"embedding": 8, "hidden": 4}),
    ],
)
def test_it_is_trained_as_a_cell_of_the_comparison(arch: str, recipe: str, sizes: dict[str, Any]) -> None:
    """A cell with the same validation part, seed and settings: curve, selection and answers are equal."""
    (texts, labels), (unseen, truth) = moods(150), moods(60, seed=1)
    texts, unseen = ([f"{text}! And {text}" for text in part] for part in (texts, unseen))
    ours = small(arch=arch, recipe=recipe, settings=sizes, random_state=3).fit(texts, labels)
    names = tuple(ours.classes_)
    index = {name: i for i, name in enumerate(names)}
    parts = {
        "train": Rows(texts, [index[y] for y in labels]), "test": Rows(unseen, [index[y] for y in truth]),
    }  # fmt: skip
    text = TextSettings(**PRESETS["full"]["text"] | {"max_length": 12}, split_seed=3)
    changes = {name: SMALL[name] for name in ("epochs", "batch_size", "learning_rate")} | sizes
    settings = resolve("full", "default", arch, recipe, text, changes)
    corpus = prepare(RawCorpus("moods", "en", names, parts), text)
    head = Result("name", Cell("moods", arch, recipe, 3), "failed")
    cell = train_cell(head, settings, corpus, torch.device("cpu"))
    assert [dict(entry) for entry in ours.curve_] == [dict(entry) for entry in cell.curve]
    assert (ours.best_epoch_, ours.validation_accuracy_) == (cell.best_epoch, cell.validation_accuracy)
    assert np.array_equal([index[y] for y in ours.predict(unseen)], cell.classes()[1])
    assert ours.score(unseen, truth) == cell.measures["accuracy"]


def test_it_learns() -> None:
    fitted = small(epochs=10).fit(*moods(150))
    texts, labels = moods(90, seed=1)
    assert fitted.score(texts, labels) > 0.8
    assert fitted.classes_.tolist() == ["bad", "fine", "so"]
    probabilities = fitted.predict_proba(texts)
    assert probabilities.shape == (90, 3)
    assert np.allclose(probabilities.sum(1), 1, rtol=0, atol=1e-12)
    assert np.array_equal(fitted.classes_[probabilities.argmax(1)], fitted.predict(texts))


@pytest.mark.parametrize("arch", ["bilstm", "texthan", "han"])
def test_every_model_of_the_zoo(arch: str) -> None:
    sizes = {"embedding": 8, "hidden": 4}
    made = small(arch=arch, recipe="dropout", settings=sizes, epochs=1).fit(*moods(60))
    assert made.predict_proba(["good", "dull. And plain!"]).shape == (2, 3)


def test_two_fits_are_the_same_and_another_seed_another(fitted: TextClassifier) -> None:
    texts, labels = moods(150)
    again, other = (small(random_state=seed).fit(texts, labels).predict_proba(texts) for seed in (0, 1))
    assert np.array_equal(fitted.predict_proba(texts), again)
    assert not np.array_equal(again, other)


def test_other_texts_beside_a_text_change_its_last_digits_at_most(fitted: TextClassifier) -> None:
    texts, _ = moods(80, seed=2)
    whole = fitted.predict_proba(texts)
    for count in (1, 7):
        parts = [fitted.predict_proba(texts[i : i + count]) for i in range(0, 80, count)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-7)


def test_the_threads_of_the_caller_are_left_alone(fitted: TextClassifier) -> None:
    torch.set_num_threads(2)
    try:
        small(epochs=1).fit(*moods(30))
        fitted.predict(["good"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


# --- the validation part ----------------------------------------------------------------------------------


def test_patience_stops_and_the_best_epoch_is_kept() -> None:
    made = small(epochs=20, patience=2, learning_rate=0.1).fit(*moods(150))
    scores = [entry["validation_accuracy"] for entry in made.curve_]
    assert len(scores) < 20
    assert made.best_epoch_ == len(scores) - 2 == 1 + int(np.argmax(scores))
    assert made.validation_accuracy_ == max(scores)


def test_without_a_validation_part_all_rows_train_and_the_last_epoch_is_kept() -> None:
    made = small(validation_fraction=0.0).fit(*moods(60))
    data = made.network_.about.data
    assert (data["train_rows"], data["validation_rows"], data["test_rows"]) == (60, 0, 0)
    assert (made.validation_accuracy_, made.best_epoch_) == (None, 3)
    assert made.network_.about.settings["train"]["selection"] == "last"
    assert all("validation_accuracy" not in entry for entry in made.curve_)


def test_a_share_of_the_rows_validates() -> None:
    data = small(validation_fraction=0.25, epochs=1).fit(*moods(120)).network_.about.data
    assert (data["train_rows"], data["validation_rows"]) == (90, 30)


# --- in scikit-learn's hands ------------------------------------------------------------------------------


def test_cross_validation_a_grid_a_pipeline_and_processes() -> None:
    texts, labels = moods(120)
    plain = small(epochs=10, recipe="dropout")
    assert cross_val_score(plain, np.array(texts), labels, cv=3).min() > 0.6
    grid = GridSearchCV(
        small(epochs=2), {"recipe": ["dropout", "uegr"], "learning_rate": [1e-6, 0.03]}, cv=2, n_jobs=2
    )
    grid.fit(texts, labels)
    assert grid.best_params_["learning_rate"] == 0.03
    lower = make_pipeline(FunctionTransformer(lambda rows: [row.upper() for row in rows]), plain)
    assert lower.fit(texts, labels).score(texts, labels) > 0.8


def fit_and_say(classifier: TextClassifier, texts: list[str], labels: list[str]) -> np.ndarray:
    return classifier.fit(texts, labels).predict_proba(texts)


def test_processes_of_joblib_give_the_same_bits(fitted: TextClassifier) -> None:
    texts, labels = moods(150)
    both = Parallel(2)(delayed(fit_and_say)(clone(fitted), texts, labels) for _ in range(2))
    for found in both:
        assert np.array_equal(found, fitted.predict_proba(texts))
    copied = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copied.predict_proba(texts), fitted.predict_proba(texts))


@pytest.mark.parametrize(
    "labels", [[3, 1, 2], [True, False, True], [1.0, 2.0, 3.0], np.array(["a", "b", "c"], object)]
)
def test_labels_come_back_as_they_were_given(labels: Any) -> None:
    texts, _ = moods(60)
    truth = np.array(labels, getattr(labels, "dtype", None))[np.arange(60) % 3]
    made = small(epochs=1).fit(texts, truth)
    assert made.classes_.dtype == truth.dtype
    assert set(made.predict(texts).tolist()) <= set(truth.tolist())
    assert made.predict(texts).dtype == truth.dtype


@pytest.mark.parametrize(
    "given",
    [tuple, np.array, lambda texts: np.array(texts, object), iter],
    ids=["tuple", "U", "object", "iter"],
)
def test_texts_may_come_in_any_sequence(given: Any, fitted: TextClassifier) -> None:
    texts, _ = moods(9)
    assert np.array_equal(fitted.predict(given(texts)), fitted.predict(texts))


def test_chinese_is_found_by_its_letters() -> None:
    texts = [f"这部电影{tone}看第{i}遍" for i in range(20) for tone in ("真好", "不好")]
    made = small(epochs=1).fit(texts, [i % 2 for i in range(40)])
    encoder = made.network_.about.data["language"], made.network_.reader.as_json()["tokeniser"]
    assert encoder == ("zh", "jieba")
    made = small(epochs=1, language="en").fit(texts, [i % 2 for i in range(40)])
    assert made.network_.reader.as_json()["tokeniser"] == "words"


# --- arguments --------------------------------------------------------------------------------------------


def test_what_is_not_said_is_the_presets_or_by_size() -> None:
    def training(rows: int, **changes: Any) -> Any:
        return cell_settings(TextClassifier(**changes).get_params(), rows, 0)

    few, many = training(500), training(50_000)
    assert (few.train.learning_rate, many.train.learning_rate) == (0.003, 0.001)
    assert few.model.as_json() == many.model.as_json() == resolve_full().model.as_json()
    assert (few.train.epochs, few.train.patience, few.text.as_json()["max_length"]) == (10, 3, 256)
    assert training(500, preset="full").train.learning_rate == 0.001
    assert training(500, learning_rate=0.1).train.learning_rate == 0.1
    assert training(500, settings={"alpha": 4}).recipe == RECIPES["uegr"].changed(alpha=4.0)
    assert training(500, recipe_preset="paper").recipe.flat()["mask_on"] == "gradient"
    assert training(500, settings={"max_vocabulary": 9}).text.as_json()["max_vocabulary"] == 9


def resolve_full() -> Any:
    return resolve("full", "default", "textcnn", "uegr", TextSettings(), {})


ROWS = [
    ({"arch": "textcn"}, "unknown arch 'textcn'.*did you mean 'textcnn'"),
    ({"arch": "hf:./nowhere", "settings": {}}, "arch hf:./nowhere: no such folder; expected hf:minilm"),
    ({"recipe": "ueg"}, "unknown recipe 'ueg'"),
    ({"preset": "fast"}, "unknown preset 'fast'"),
    ({"recipe_preset": "mine"}, "unknown recipe preset 'mine'"),
    ({"language": "fr"}, "language='fr': expected one of auto, en, zh"),
    ({"tokeniser": "spaces"}, "tokeniser='spaces'"),
    ({"epochs": 0}, "epochs=0: expected a number at least 1"),
    ({"batch_size": "all"}, "batch_size='all': expected a whole number"),
    ({"learning_rate": -1.0}, "learning_rate=-1.0"),
    ({"validation_fraction": 1.0}, "validation_fraction=1.0: expected a number from 0 to below 1"),
    ({"validation_fraction": True}, "validation_fraction=True"),
    ({"random_state": -1}, "random_state=-1: expected a number from 0"),
    ({"device": "tpu"}, "device='tpu': expected one of auto, cpu, cuda"),
    ({"device": "cuda"}, "torch sees no GPU here"),
    ({"n_jobs": 0}, "n_jobs=0: expected None, -1 or a number from 1"),
    ({"vectors": "nowhere.txt"}, "vectors 'nowhere.txt': no such kind or file"),
    ({"settings": {"alhpa": 1}}, "unknown setting 'alhpa'.*did you mean 'alpha'"),
    ({"settings": {"alpha": "much"}}, "alpha='much'"),
    ({"settings": {"hidden": 3}}, "hidden: none of the models"),
    ({"settings": {"fraction": 0.5}}, "setting fraction: not one of a classifier's"),
    ({"settings": {"epochs": 4}}, "epochs=3 and settings epochs=4: expected one of them"),
    ({"learning_rate": 1e30}, "the training failed: the loss is"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ROWS, ids=[str(changes) for changes, _ in ROWS])
def test_a_wrong_argument_is_one_line_at_the_fit(changes: dict[str, Any], message: str) -> None:
    if changes == {"device": "cuda"} and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=message) as error:
        small(**changes).fit(*moods(60))
    assert isinstance(error.value, UserError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan])
@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, dtype=object)])
def test_a_missing_label_is_named(missing: Any, kind: Any) -> None:
    texts, labels = moods(60)
    with pytest.raises(InputError, match=rf"y, label 7: {missing}; expected a label for each text") as error:
        small().fit(texts, kind([*labels[:7], missing, *labels[8:]]))
    assert "\n" not in str(error.value)


TEXTS = [
    ("one text", "X is one text; expected a sequence of texts"),
    (np.array([["a", "b"]]), r"X is an array of shape \(1, 2\); expected a sequence"),
    (["a", None], "X, text 1: NoneType; expected a string"),
    (["a", b"b"], "X, text 1: bytes; expected a string"),
    (["a", float("nan")], "X, text 1: float; expected a string"),
    ([], "X has 0 samples"),
    ({"a": 1}, "X is dict; expected a sequence of texts"),
    (3, "X is int; expected a sequence of texts"),
]


@pytest.mark.parametrize(("texts", "message"), TEXTS, ids=[m for _, m in TEXTS])
def test_what_are_no_texts_is_refused_by_fit_and_predict(
    texts: Any, message: str, fitted: TextClassifier
) -> None:
    for call in (fitted.predict, lambda X: clone(fitted).fit(X, ["a", "b"])):
        with pytest.raises(ValueError, match=message) as error:
            call(texts)
        assert isinstance(error.value, UserError)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 60, "every label is 'a': one class"),
        (["a", "b"], "60 texts and 2 labels; expected one label a text"),
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
        (None, "requires y to be passed"),
    ],
)
def test_what_are_no_classes_is_refused(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(moods(60)[0], labels)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """As a search over `np.arange(...)` hands them over."""
    fitted, twin = (
        small(
            epochs=whole(2), validation_fraction=share(0.25), random_state=whole(3),
            settings={**SMALL["settings"], "warmup": share(0.5)},
        ).fit(*moods(60))
        for whole, share in ((np.int64, np.float32), (int, float))
    )  # fmt: skip
    texts = moods(20, seed=1)[0]
    assert np.array_equal(fitted.predict_proba(texts), twin.predict_proba(texts))
    again = TextClassifier.load(fitted.save(tmp_path / "m")).get_params()
    assert {**again, "settings": None} == {**twin.get_params(), "settings": None}
    assert again["settings"]["warmup"] == 0.5


def test_too_few_rows_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="leave none for validation; expected more"):
        small().fit(["a", "b"], [0, 1])
    assert small(validation_fraction=0).fit(["a", "b"], [0, 1]).predict(["a"]).shape == (1,)


def test_nothing_is_said_before_a_fit(tmp_path: Any) -> None:
    for call in (lambda: small().predict(["a"]), lambda: small().save(tmp_path / "m")):
        with pytest.raises(NotFittedError):
            call()


def test_progress_is_told_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small(epochs=2).fit(*moods(60))
    assert capsys.readouterr().err == ""
    small(epochs=2, verbose=1).fit(*moods(60))
    out, err = capsys.readouterr()
    assert out == ""
    assert "textcnn with uegr: 54 texts to train on, 6 to validate" in err
    lines = re.findall(r"^epoch \d: loss [\d.]+, validation [\d.]+ %.*$", err, re.MULTILINE)
    assert len(lines) == 2
    assert re.search(r", 0:\d\d left$", lines[0])
    monkeypatch.setattr("zoo.training.loop.BEAT", 0.0)
    small(epochs=2, verbose=1).fit(*moods(60))
    assert (
        re.search(r"^50 % of the training done, 0:0\d left$", capsys.readouterr().err, re.MULTILINE) is None
    )
    small(epochs=1, verbose=1).fit(*moods(60))
    assert re.search(r"^50 % of the training done, 0:0\d left$", capsys.readouterr().err, re.MULTILINE)
