"""The saved form: the same answers bit for bit, nothing overwritten, nothing damaged taken."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from process import python_process
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save

from moods import SMALL, moods
from uegr import TextClassifier
from zoo.classifier import folder as folders
from zoo.classifier.folder import MODEL, WEIGHTS, check_place
from zoo.classifier.network import Network
from zoo.classifier.seen import SEEN
from zoo.core.errors import UserError
from zoo.text.normalise import duplicate_key

UNSEEN = moods(40, seed=9)[0]


@pytest.fixture
def saved(fitted: TextClassifier, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


# --- what is loaded is what was saved ---------------------------------------------------------------------


def test_a_loaded_classifier_gives_the_same_bits(fitted: TextClassifier, saved: Path) -> None:
    loaded = TextClassifier.load(saved)
    assert np.array_equal(loaded.predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))
    assert np.array_equal(loaded.predict(UNSEEN), fitted.predict(UNSEEN))
    assert loaded.get_params() == fitted.get_params() | {"settings": {**SMALL["settings"], "widths": [1, 2]}}
    assert (loaded.validation_accuracy_, loaded.best_epoch_) == (
        fitted.validation_accuracy_,
        fitted.best_epoch_,
    )
    again = loaded.fit(*moods(150))
    assert np.array_equal(again.predict_proba(UNSEEN), fitted.predict_proba(UNSEEN)), (
        "it can be trained again"
    )


def test_another_process_gives_the_same_bits(fitted: TextClassifier, saved: Path) -> None:
    code = """
        import json, sys
        from uegr import TextClassifier
        print(json.dumps(TextClassifier.load(sys.argv[1]).predict_proba(json.loads(sys.argv[2])).tolist()))
    """
    root = str(Path(folders.__file__).parents[2])
    process = python_process(code, saved, json.dumps(UNSEEN), PYTHONPATH=root)
    out, _ = process.communicate(timeout=120)
    assert np.array_equal(json.loads(out), fitted.predict_proba(UNSEEN))


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "texthan", "settings": {"embedding": 8, "hidden": 4}},
        {"arch": "han", "settings": {"embedding": 8, "hidden": 4}},
        {"settings": {**SMALL["settings"], "members": 2}},
    ],
    ids=["texthan", "han", "two that vote"],
)
def test_every_kind_of_network(changes: dict[str, Any], tmp_path: Path) -> None:
    made = TextClassifier(**SMALL | changes | {"recipe": "dropout", "epochs": 1}).fit(*moods(60))
    loaded = TextClassifier.load(made.save(tmp_path / "model"))
    assert np.array_equal(loaded.predict_proba(UNSEEN), made.predict_proba(UNSEEN))


@pytest.mark.parametrize("names", [["café", "中文\n", "\ud800"], [10, 2, -1], [True, False]])
def test_classes_come_back_as_they_were(names: list[Any], tmp_path: Path) -> None:
    labels = np.array(names)[np.arange(30) % len(names)]
    made = TextClassifier(**SMALL | {"epochs": 1}).fit(moods(30)[0], labels)
    loaded = TextClassifier.load(made.save(tmp_path / "model"))
    assert loaded.classes_.dtype == made.classes_.dtype
    assert loaded.classes_.tolist() == made.classes_.tolist() == sorted(names)


def test_it_says_where_it_comes_from(saved: Path) -> None:
    values = json.loads((saved / MODEL).read_text("utf-8"))
    assert sorted(os.listdir(saved)) == [MODEL, SEEN, WEIGHTS]
    assert values["data"]["train_rows"] == 135
    assert len(values["data"]["fingerprint"]) == 16
    assert values["classes"]["names"] == ["bad", "fine", "so"]
    assert {"recipe", "model", "train", "text"} == set(values["settings"])
    assert values["versions"]["torch"] == str(torch.__version__)
    assert values["reader"]["tokeniser"] == "words"
    assert values["date"].startswith("20")
    assert values["made_by"]["version"]


def test_a_folder_of_the_first_format_is_read(fitted: TextClassifier, saved: Path) -> None:
    def older(values: dict[str, Any]) -> None:
        values.update(format=1, weights_sha256=values.pop("files")[WEIGHTS])

    resigned(saved, older)
    assert np.array_equal(TextClassifier.load(saved).predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))
    flipped(saved / WEIGHTS, 0.5)
    with pytest.raises(UserError, match="damaged"):
        TextClassifier.load(saved)


def test_it_knows_which_texts_it_has_seen(fitted: TextClassifier, saved: Path, tmp_path: Path) -> None:
    """Those of the training and those that chose the epoch, whatever their case and punctuation."""
    texts = moods(150)[0]
    distinct = {duplicate_key(text) for text in texts}
    seen = Network.load(saved)[0].seen
    assert seen is not None
    assert len(seen.train) + len(seen.validation) == len(distinct)
    assert np.all(np.diff(seen.train.astype(object)) > 0)
    assert seen.count(text.upper() + "!" for text in texts) == 150
    assert 0 < seen.count(texts, in_validation=False) < 150
    assert seen.count(["never said", *texts[:2], *texts[:1], ""]) == 3
    assert sum(map(len, vars(fitted.network_.seen).values())) == len(distinct)
    without = TextClassifier(**SMALL | {"epochs": 1, "validation_fraction": 0}).fit(*moods(30))
    again = Network.load(without.save(tmp_path / "without"))[0].seen
    assert again is not None
    assert (len(again.validation), again.count(moods(30)[0])) == (0, 30)


def test_a_folder_of_an_earlier_version_does_not_say(saved: Path, tmp_path: Path) -> None:
    """A file that `model.json` does not name has not been checked, and is not read."""
    resigned(saved, lambda values: values["files"].pop(SEEN))
    (saved / SEEN).write_bytes(b"not ours")
    loaded = TextClassifier.load(saved)
    assert loaded.network_.seen is None
    assert sorted(os.listdir(loaded.save(tmp_path / "again"))) == [MODEL, WEIGHTS]


# --- places -----------------------------------------------------------------------------------------------


def test_a_model_is_replaced_and_nothing_else_is(fitted: TextClassifier, saved: Path) -> None:
    before = (saved / MODEL).read_bytes()
    other = TextClassifier(**SMALL | {"epochs": 1}).fit(*moods(30))
    other.save(saved)
    assert (saved / MODEL).read_bytes() != before
    assert sorted(os.listdir(saved.parent)) == ["model"], "no temporary folder stays"
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"model: holds notes.txt and is kept; expected a new folder"):
        fitted.save(saved)
    assert (saved / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_text("x"), "is a file; expected a new folder"),
        (lambda p: (p.mkdir(), (p / "a.txt").write_text("x")), "holds a.txt and is kept"),
        (lambda p: (p.mkdir(), (p / MODEL).write_text("{}")), f"holds {MODEL} and is kept"),
        (lambda p: p.symlink_to(p.with_name("nowhere")), "a link that leads nowhere"),
    ],
)
def test_what_we_did_not_make_is_kept(
    make: Callable[[Path], Any], message: str, fitted: TextClassifier, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    make(place)
    for call in (lambda: fitted.save(place), lambda: check_place(place)):
        with pytest.raises(UserError, match=message):
            call()


def test_a_name_that_is_not_utf8_is_refused_before_the_training(tmp_path: Path) -> None:
    """It could not be printed afterwards."""
    with pytest.raises(UserError, match="its name is not UTF-8; expected one that is"):
        check_place(tmp_path / "caf\udce9")


def test_a_failure_leaves_the_old_model(
    fitted: TextClassifier, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full while the weights are written; or the last renaming fails."""
    rename = os.replace

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    def once_in_place(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp") and Path(target) == saved:
            full()
        rename(source, target)

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    for what, fails in (("own.write_weights", full), ("folder.os.replace", once_in_place)):
        with monkeypatch.context() as patch:
            patch.setattr(f"zoo.classifier.{what}", fails)
            with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
                fitted.save(saved)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
        assert os.listdir(saved.parent) == ["model"]


def test_a_mount_point_is_refused_before_the_training(
    fitted: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of a container's volume can be written to and not be replaced."""
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(folders.os.path, "ismount", lambda path: Path(path).name == "volume")
    with pytest.raises(
        UserError, match="a mount point, which no new folder can replace; expected a folder in"
    ):
        check_place(tmp_path / "volume")
    assert fitted.save(tmp_path / "volume" / "model").is_dir()


def test_what_a_killed_process_of_the_same_number_left_is_in_nobody_s_way(
    fitted: TextClassifier, tmp_path: Path
) -> None:
    """In a container of its own each process has the number 1."""
    for end in ("tmp", "old"):
        (tmp_path / f".model.{os.getpid()}.{end}").mkdir()
    assert TextClassifier.load(fitted.save(tmp_path / "model")).predict(["good"]).shape == (1,)


def test_a_link_to_a_model_stays_a_link(fitted: TextClassifier, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(saved)
    fitted.save(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert TextClassifier.load(tmp_path / "latest").predict(["good"]).shape == (1,)


# --- foreign, damaged, newer ------------------------------------------------------------------------------


def resigned(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `model.json` and sign it as ours."""
    values = json.loads((folder / MODEL).read_text("utf-8"))
    values.pop("checksum")
    change(values)
    values["checksum"] = folders._checksum(values)
    (folder / MODEL).write_text(json.dumps(values), "utf-8")


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the weights, and sign them as ours."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    data = save(tensors)
    (folder / WEIGHTS).write_bytes(data)
    resigned(folder, lambda values: values["files"].update({WEIGHTS: hashlib.sha256(data).hexdigest()}))


def flipped(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 4
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def hashes(folder: Path, **arrays: np.ndarray) -> None:
    """Other hashes, signed as ours."""
    data = save_arrays(arrays)
    (folder / SEEN).write_bytes(data)
    resigned(folder, lambda values: values["files"].update({SEEN: hashlib.sha256(data).hexdigest()}))


def in_json(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda folder: resigned(folder, change)


def in_weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    return lambda folder: weights(folder, change)


HASHES = np.arange(3, dtype=np.uint64)
SIZE = "do not fit together .*size mismatch"
DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, "no such folder; expected a folder that TextClassifier.save"),
    "a file": (lambda p: (shutil.rmtree(p), p.write_text("x")), "model: is a file"),
    "empty": (lambda p: (shutil.rmtree(p), p.mkdir()), f"holds no {MODEL}"),
    "no weights": (lambda p: (p / WEIGHTS).unlink(), f"holds no {WEIGHTS}"),
    "weights cut": (lambda p: cut(p / WEIGHTS), f"{WEIGHTS}: damaged"),
    "weights' first bit": (lambda p: flipped(p / WEIGHTS, 0), f"{WEIGHTS}: damaged"),
    "weights' last bit": (lambda p: flipped(p / WEIGHTS, 1), f"{WEIGHTS}: damaged"),
    "weights in the middle": (lambda p: flipped(p / WEIGHTS, 0.5), f"{WEIGHTS}: damaged"),
    "hashes cut": (lambda p: cut(p / SEEN), f"{SEEN}: damaged"),
    "no hashes": (lambda p: (p / SEEN).unlink(), f"holds no {SEEN}"),
    "hashes of one part": (lambda p: hashes(p, train=HASHES), f"{SEEN} has no hashes"),
    "hashes of another kind": (lambda p: hashes(p, train=HASHES, validation=HASHES * 0.5), f"{SEEN} has no"),
    "json cut": (lambda p: cut(p / MODEL), f"{MODEL}: damaged, not JSON"),
    "json no text": (lambda p: (p / MODEL).write_bytes(b"\xff\xfe"), f"{MODEL}: damaged, not JSON"),
    "json deep": (lambda p: (p / MODEL).write_text("[" * 100_000), f"{MODEL}: damaged, not JSON"),
    "another's": (lambda p: (p / MODEL).write_text('{"what": "a"}'), "not a model of this program"),
    "a list": (lambda p: (p / MODEL).write_text("[1]"), "not a model of this program"),
    "newer": (
        in_json(lambda v: v.update(format=3, made_by={"version": "9.9"})),
        r"of format 3, written by uegr 9\.9; this one reads up to 2: expected a newer uegr",
    ),
    "a format that never was": (in_json(lambda v: v.update(format="one")), "damaged, or changed"),
    "files elsewhere": (in_json(lambda v: v["files"].update({"../x": ""})), "names no files"),
    "no files": (in_json(lambda v: v.update(files=[])), "names no files"),
    "words missing": (in_json(lambda v: v["reader"]["words"].pop()), SIZE),
    "padding missing": (in_json(lambda v: v["reader"]["words"].pop(0)), "words is not"),
    "a class missing": (in_json(lambda v: v["classes"]["names"].pop()), SIZE),
    "no classes": (in_json(lambda v: v.pop("classes")), "do not fit together"),
    "no settings": (in_json(lambda v: v.pop("settings")), "do not fit together"),
    "another reader": (in_json(lambda v: v["reader"].update(kind="x")), "unknown kind of reader"),
    "another arch": (in_json(lambda v: v.update(arch="bilstm")), "unknown model setting"),
    "an unknown arch": (in_json(lambda v: v.update(arch="cnn")), "unknown arch 'cnn'"),
    "an unknown part": (in_json(lambda v: v.update(more=1)), "do not fit together"),
    "a tensor missing": (in_weights(lambda w: w.pop("classifier.bias")), "do not fit .*classifier.bias"),
    "a tensor more": (in_weights(lambda w: w.update(x=torch.zeros(2))), "do not fit together"),
    "another shape": (in_weights(lambda w: w.update({"classifier.bias": torch.zeros(4)})), SIZE),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_one_line(damage: str, saved: Path) -> None:
    make, message = DAMAGE[damage]
    make(saved)
    with pytest.raises(UserError, match=message) as error:
        TextClassifier.load(saved)
    assert "\n" not in str(error.value)
    assert str(saved) in str(error.value)


def test_any_bit_of_the_json_counts(saved: Path) -> None:
    """100 bits, drawn; only one in the white space between values may go unseen."""
    whole = (saved / MODEL).read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole), size=100):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        (saved / MODEL).write_bytes(bytes(data))
        layout = whole[place : place + 1].isspace()
        try:
            Network.load(saved)
        except UserError:
            continue
        assert layout or bytes(data).split() == whole.split()


def test_another_tokeniser_is_a_warning(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resigned(saved, lambda values: values["reader"].update(fingerprint="0" * 16))
    with pytest.warns(UserWarning, match="the tokeniser here cuts texts otherwise"):
        TextClassifier.load(saved)
