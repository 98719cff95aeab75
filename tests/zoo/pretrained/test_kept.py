"""A model of Hugging Face as a classifier to keep."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from sklearn.model_selection import cross_val_score  # noqa: E402

from uegr import TextClassifier  # noqa: E402
from zoo import ablate, fit, predict  # noqa: E402
from zoo.classifier.arguments import cell_settings  # noqa: E402
from zoo.core.errors import UserError  # noqa: E402
from zoo.text import load_texts  # noqa: E402
from zoo.text.settings import OwnTokens  # noqa: E402

SMALL: dict[str, Any] = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 16, "max_length": 16}
UNSEEN = ["the film was good", "a dog is bad and not good", "", "cat"]


def films() -> tuple[list[str], list[str]]:
    """96 texts, of which one word tells the class."""
    words = ["film", "plot", "was", "the", "a", "is", "and", "not", "cat", "dog", "runs"]
    tone = ["good", "bad"]
    texts = [f"the {words[i % 3]} {words[i // 2 % 8]} {tone[i % 2]}" for i in range(96)]
    return texts, [("yes", "no")[i % 2] for i in range(96)]


@pytest.fixture(scope="module")
def fitted(tiny_bert: Path) -> TextClassifier:
    return TextClassifier(f"hf:{tiny_bert}", "uegr", **SMALL).fit(*films())


@pytest.fixture
def saved(fitted: TextClassifier, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


def test_it_is_trained_as_a_cell_of_the_comparison(
    run_cell: Callable[..., Any], tiny_bert: Path, data_dir: Path
) -> None:
    """The same rows, seed and settings: curve and selection are equal."""
    cell = run_cell("uegr", corpus="glue_sst2", batch_size=16)
    parts = load_texts("glue_sst2", OwnTokens(), data_dir)
    names = ["negative", "positive"]
    from zoo.text import RawCorpus

    raw = RawCorpus("mine", "en", tuple(names), {name: parts[name] for name in ("train", "validation")})
    ours = TextClassifier(f"hf:{tiny_bert}", "uegr", **SMALL, settings={"patience": 0}).fit_corpus(raw)
    assert [dict(entry) for entry in ours.curve_] == [dict(entry) for entry in cell.curve]
    assert (ours.best_epoch_, ours.validation_accuracy_) == (cell.best_epoch, cell.validation_accuracy)
    found = [names.index(name) for name in ours.predict(parts["test"].texts)]
    assert found == cell.classes()[1].tolist()


def test_a_loaded_one_gives_the_same_bits(fitted: TextClassifier, saved: Path) -> None:
    loaded = TextClassifier.load(saved)
    assert np.array_equal(loaded.predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.fit(*films()).predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))
    copied = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copied.predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))


def test_half_a_character_is_a_space(fitted: TextClassifier, tiny_bert: Path) -> None:
    """JSON can hold one, and the tokenisers take none: one text of thousands ended the whole run."""
    found = fitted.predict_proba(["good\ud83dfilm", "\udfff"])
    assert np.array_equal(found, fitted.predict_proba(["good film", " "]))
    texts, labels = films()
    again = TextClassifier(f"hf:{tiny_bert}", **SMALL).fit(["\ud83d", *texts], ["y\ud83d", *labels])
    assert again.classes_.tolist() == ["no", "yes", "y\ud83d"]


def test_transformers_reads_the_folder_itself(fitted: TextClassifier, saved: Path) -> None:
    pipe = transformers.pipeline("text-classification", str(saved), top_k=None)
    for text, said in zip(UNSEEN[:2], pipe(UNSEEN[:2]), strict=True):
        ours = dict(zip(fitted.classes_.tolist(), fitted.predict_proba([text])[0], strict=True))
        assert {row["label"]: pytest.approx(row["score"], abs=1e-5) for row in said} == ours


def test_long_texts_are_cut_where_the_training_cut_them(fitted: TextClassifier) -> None:
    long = "the film was " + "not " * 11 + "good"
    assert len(long.split()) == 15  # and two pieces of the model's own: one more than the length
    cut = long.rsplit(" ", 1)[0]
    assert np.array_equal(fitted.predict_proba([long]), fitted.predict_proba([cut]))


def test_what_is_not_said_is_the_lineages(tiny_bert: Path) -> None:
    settings = cell_settings(TextClassifier(f"hf:{tiny_bert}").get_params(), 500, 0)
    assert (settings.train.learning_rate, settings.train.batch_size) == (2e-5, 16)
    assert (settings.train.epochs, settings.train.patience, settings.train.warmup) == (10, 3, 0.06)


def test_without_a_validation_part(tiny_bert: Path) -> None:
    made = TextClassifier(f"hf:{tiny_bert}", "dropout", validation_fraction=0, **SMALL).fit(*films())
    assert (made.validation_accuracy_, made.best_epoch_) == (None, 2)
    assert made.network_.about.data["train_rows"] == 96


def test_cross_validation(tiny_bert: Path) -> None:
    made = TextClassifier(f"hf:{tiny_bert}", "dropout", **SMALL | {"epochs": 15, "patience": 0})
    assert cross_val_score(made, *films(), cv=2).min() > 0.8


def test_the_commands(
    tiny_bert: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """zoo.fit and zoo.predict; and --save-models, whose networks say what their results say."""
    from zoo.grid.store import Store

    rows = [{"text": text, "label": label} for text, label in zip(*films(), strict=True)]
    (tmp_path / "films.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arch = f"hf:{tiny_bert}"
    small = ["--set", "epochs=1", "max_length=16", "learning_rate=0.003"]
    model = tmp_path / "model"
    assert fit.main([str(tmp_path / "films.jsonl"), "--out", str(model), "--arch", arch, *small]) == 0
    assert "python -m zoo.predict" in capsys.readouterr().out
    (tmp_path / "texts.txt").write_text("\n".join(UNSEEN[:2]))
    assert predict.main([str(model), "--input", str(tmp_path / "texts.txt")]) == 0
    assert capsys.readouterr().out.splitlines() == TextClassifier.load(model).predict(UNSEEN[:2]).tolist()
    out = tmp_path / "out"
    assert ablate.main([
        "--arch", arch, "--corpus", "glue_sst2", "--recipe", "uegr", "--jobs", "1", "--seeds", "0",
        "--data-dir", str(data_dir), "--cache-dir", str(tmp_path / "cache"), "--out", str(out),
        "--save-models", *small,
    ]) == 0  # fmt: skip
    (folder,) = (out / "models").iterdir()
    texts = load_texts("glue_sst2", OwnTokens(), data_dir)["test"].texts
    loaded = TextClassifier.load(folder)
    truth = Store(out).read(folder.name).classes()[1].tolist()
    assert [["negative", "positive"].index(name) for name in loaded.predict(texts)] == truth
    assert loaded.arch == arch


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "config.json").unlink(), "holds no config.json"),
        (lambda p: (p / "config.json").write_text("{}"), "config.json: damaged"),
        (lambda p: (p / "model.safetensors").write_bytes(b"x"), "model.safetensors: damaged"),
        (lambda p: shutil.rmtree(p), "no such folder"),
    ],
)
def test_a_damaged_folder_is_one_line(damage: Callable[[Path], Any], message: str, saved: Path) -> None:
    damage(saved)
    with pytest.raises(UserError, match=message) as error:
        TextClassifier.load(saved)
    assert "\n" not in str(error.value)


def test_a_model_is_replaced_and_the_users_files_are_kept(fitted: TextClassifier, saved: Path) -> None:
    before = sorted(os.listdir(saved))
    fitted.save(saved)
    assert sorted(os.listdir(saved)) == before
    (saved / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"holds README.md and is kept"):
        fitted.save(saved)


def test_weights_of_another_number_of_classes(tiny_bert: Path) -> None:
    """The folder of a bare model has no head, and none is made up when a kept one is read."""
    from zoo.pretrained.encoder import Encoder

    with pytest.raises(UserError, match=r"2 outputs; expected 3"):
        Encoder(tiny_bert).trained_model(3)
    with pytest.raises(UserError, match=r"weight classifier\.\w+ is missing or unknown"):
        Encoder(tiny_bert).trained_model(2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": "glove"}, "vectors=glove: hf:.* has its own"),
        ({"settings": {"members": 2}}, "members=2: hf:.* is trained alone"),
        ({"max_length": 400}, "max_length 400: tiny-bert has 24 positions; expected less"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str, tiny_bert: Path) -> None:
    with pytest.raises(UserError, match=message):
        TextClassifier(f"hf:{tiny_bert}", **SMALL | changes).fit(*films())


def test_pairs_are_refused(tiny_bert: Path, data_dir: Path) -> None:
    from zoo.text.loading import find

    raw = find("glue_rte", OwnTokens(), data_dir, None, print).read()
    with pytest.raises(UserError, match=r"rows are sentence pairs .*expected single texts"):
        TextClassifier(f"hf:{tiny_bert}", **SMALL).fit_corpus(raw)
