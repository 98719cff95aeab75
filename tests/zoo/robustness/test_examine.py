"""The whole examination of one network: what is in it, read from files as corpora are, and paired."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_rows

import tiny
from zoo.core.classes import decode_classes, decode_scores
from zoo.fast.denormals import are_flushed
from zoo.robustness.calibration import temperature
from zoo.robustness.detection import auroc
from zoo.robustness.examine import Material, _table, examine, gathered
from zoo.robustness.settings import Robust
from zoo.robustness.target import ZooTarget
from zoo.text import Part
from zoo.text.encode import Encoder
from zoo.text.shifts import load_shifts, other_texts

from .linear import VECTORS, WORDS, Linear, part  # type: ignore[import-not-found]

SMALL = Robust(rows=5, strengths=(0.1,), norms=(0.5,), pgd_steps=2, text_rows=6, queries=30, other_rows=4)
TEXTS = part(
    "good film", "bad plot", "fine the a", "poor film", "good bad good", "the good", labels=[1, 0, 1, 0, 0, 1]
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """IMDB's rewritten reviews (in another order of classes), and another corpus."""
    counter = tmp_path / "imdb_counterfactual"
    write_rows(counter, "original_test", ("good film", "pos"), ("bad plot", "neg"), ("a poor film", "neg"))
    write_rows(counter, "revised_test", ("bad film", "neg"), ("fine plot", "pos"), ("fine bad", "pos"))
    (counter / "labels.txt").write_text("pos\nneg\n")
    write_rows(tmp_path / "ag_news", "train", *((f"the a {i}", str(i % 4)) for i in range(20)))
    write_rows(tmp_path / "ag_news", "test", *((f"a the a {i}", str(i % 4)) for i in range(12)))
    (tmp_path / "ag_news" / "labels.txt").write_text("0\n1\n2\n3\n")
    load_shifts.cache_clear()
    other_texts.cache_clear()
    return tmp_path


def test_everything_is_in_it_text_by_text(data: Path, tmp_path: Path) -> None:
    target = Linear((2.0, 0.05))
    train = part("something else", "Bad  plot!")
    parts = {"test": TEXTS, "validation": TEXTS, "train": train}
    material = gathered("imdb", parts, SMALL, data, tmp_path / "cache", target)
    found = json.loads(json.dumps(examine(target, material, SMALL)))
    assert set(found) == {
        "test", "calibration", "vectors", "edits", "shifts", "familiar", "outside", "left_out",
    }  # fmt: skip
    logits = target.logits(TEXTS)
    assert (decode_classes(found["test"]["predictions"]) == logits.argmax(1)).all()
    scaled = found["calibration"]["scaled"]
    assert scaled["temperature"] == pytest.approx(temperature(logits, TEXTS.labels))
    assert found["calibration"]["plain"]["temperature"] == 1.0
    assert (found["vectors"]["rows"], found["edits"]["letters"]["rows"]) == (5, 6)
    assert set(found["edits"]) == {"letters", "words"}
    counter = found["shifts"]["counterfactual"]
    assert decode_classes(counter["truth"]).tolist() == [1, 0, 0]  # of the folder's own order: pos, neg
    assert counter["accuracy"] == 2 / 3  # bad outweighs fine
    assert counter["original"]["accuracy"] == 1.0
    assert (counter["seen"], counter["original_seen"]) == (0, 1)
    assert set(found["outside"]) == {"ag_news"}
    own, other = (
        decode_scores(found["familiar"]["energy"]),
        decode_scores(found["outside"]["ag_news"]["energy"]["scores"]),
    )
    assert len(own) == len(other) == 4
    assert found["outside"]["ag_news"]["energy"]["auroc"] == pytest.approx(auroc(own, other))
    assert "outside glue_qqp: not in the data folder" in found["left_out"]
    assert not any("tnews" in line for line in found["left_out"]), "of another language"


def test_a_chinese_network_is_examined_by_characters() -> None:
    words = ("<pad>", "<unk>", "电影", "好看", "难看", "服务", "!", "2")
    target = ZooTarget(
        tiny.model("textcnn", double=False), Encoder(words, "zh", "jieba", 12), ("neg", "pos", "so")
    )
    texts = Part(["电影好看!", "服务难看", "好看2"], [], np.array([0, 1, 2]))
    found = examine(target, Material(texts), replace(SMALL, similarity=-1.0))
    assert set(found["edits"]) == {"characters", "words"}
    assert target.unknown not in words
    assert _table(target, "own")[0] == ["电影", "好看", "难看", "服务"]
    table = target.model.embed(torch.arange(2, 6)[None])[0].detach().numpy()
    assert (_table(target, "own")[1] == table).all()


def test_without_validation_texts_there_is_no_temperature() -> None:
    found = examine(Linear(), Material(TEXTS), replace(SMALL, neighbours="none"))
    assert set(found["calibration"]) == {"rows", "plain"}
    assert set(found["edits"]) == {"letters"}
    assert (found["shifts"], found["outside"]) == ({}, {})


def test_the_temperature_never_sees_the_test_texts() -> None:
    other = part("good", "bad film", "fine", labels=[0, 1, 1])
    target = Linear()
    found = examine(target, Material(TEXTS, other), SMALL)["calibration"]
    assert found["scaled"]["temperature"] == temperature(target.logits(other), other.labels)
    assert found["fitted_on"] == 3


def test_neighbours_come_from_the_vectors_that_are_named(tmp_path: Path) -> None:
    """In the file the nearest of good is poor: in the network's own vectors it is fine."""
    lines = ["good 1 0", "poor 1 0.1", "fine 0 1", "elsewhere 1 0.01"]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    texts = part("good the", "good a", labels=[1, 1])
    asked = replace(SMALL, near=1, share=1.0)
    own = examine(Linear(), Material(texts), asked)["edits"]["words"]
    other = examine(Linear(), Material(texts), replace(asked, neighbours=str(tmp_path / "glove.txt")))[
        "edits"
    ]["words"]
    assert (own["accuracy"], other["accuracy"]) == (1.0, 0.0)
    assert other["examples"][0]["edited"] == "poor the"
    assert VECTORS[WORDS.index("fine")] @ VECTORS[0] > VECTORS[WORDS.index("poor")] @ VECTORS[0]


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor has no such choice")
def test_gradients_that_fade_cost_no_denormal_numbers() -> None:
    seen: list[bool] = []

    class Noting(Linear):  # type: ignore[misc]
        def logits(self, part: Part) -> np.ndarray:
            seen.append(are_flushed())
            raise KeyError

    with pytest.raises(KeyError):
        examine(Noting(), Material(part("good")), Robust())
    assert seen == [True]
    assert not are_flushed()
