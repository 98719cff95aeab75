"""Models of Hugging Face examined: as texts and as vectors, from kept weights, pairs and singles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from uegr import TextClassifier
from zoo import ablate, robust
from zoo.core.classes import decode_classes
from zoo.core.errors import UserError
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.settings import Pretrained
from zoo.pretrained.target import PretrainedTarget
from zoo.probes.robust import PretrainedSubject, RobustProbe
from zoo.recipes import RECIPES
from zoo.text import Part, load_examples
from zoo.text.settings import OwnTokens
from zoo.text.shifts import load_shifts
from zoo.training.cell import write_weights
from zoo.training.settings import CellSettings, TrainSettings

SMALL = RobustProbe(
    rows=8, strengths=(0.1,), norms=(1.0,), pgd_steps=2, text_rows=4, queries=12, other_rows=10,
    similarity=-1.0, outside=("glue_sst2", "glue_rte"),
)  # fmt: skip
WORDS = ["good", "bad", "film", "plot", "was", "the", "a", "is", "and", "not", "cat", "dog", "runs", "sleeps"]


@pytest.fixture
def target(tiny_bert: Path):
    encoder = Encoder(tiny_bert)
    found = PretrainedTarget(encoder.model(2, seed=0), encoder, 16, ("negative", "positive"), "en")
    yield found
    found.close()


def test_logits_of_texts_are_those_of_their_vectors_and_of_the_model_alone(target, tiny_bert: Path) -> None:
    part = Part(["the good film", "a bad plot was not the good film", "dog"], [], np.array([1, 0, 1]))
    found = target.logits(part)
    for row, text in enumerate(part.texts):
        inputs = target.encoder.tokeniser(text, return_tensors="pt")
        with torch.no_grad():
            alone = target.model(**inputs).logits[0]
        assert found[row] == pytest.approx(alone.double().numpy(), abs=1e-5)
    seen = []
    for words in target.words(part, 2):
        with torch.no_grad():
            logits = words.classify(words.vectors).numpy()
        seen += words.batch.index.tolist()
        assert logits == pytest.approx(found[words.batch.index.numpy()], abs=1e-5)
        assert words.batch.labels.tolist() == part.labels[words.batch.index.numpy()].tolist()
    assert sorted(seen) == [0, 1, 2]


def test_whole_words_and_their_own_vectors(target) -> None:
    words, vectors = target.table()
    assert words == WORDS
    weight = target.model.get_input_embeddings().weight.detach().numpy()
    number = target.encoder.tokeniser.convert_tokens_to_ids("dog")
    assert (vectors[words.index("dog")] == weight[number]).all()
    assert target.unknown == "[UNK]"


@pytest.mark.parametrize("corpus", ["glue_sst2", "glue_rte"])
def test_kept_weights_are_examined_without_training(
    run_cell: Callable, tiny_bert: Path, data_dir: Path, tmp_path: Path, corpus: str
) -> None:
    """What the cell said of its test texts is what the examination of its kept weights says."""
    load_shifts.cache_clear()
    kept = tmp_path / "kept.safetensors"
    result = run_cell("dropout", corpus, keep=lambda run: write_weights(run.model.state_dict(), kept))
    settings = CellSettings(
        RECIPES["dropout"],
        Pretrained(True),
        TrainSettings(epochs=2, learning_rate=3e-3),
        OwnTokens(max_length=16),
    )
    subject = PretrainedSubject(f"hf:{tiny_bert}", 0, settings, kept, tmp_path / "cache", corpus, data_dir)
    found = json.loads(json.dumps(SMALL.measure(subject)))
    truth, said = result.answers()
    assert (decode_classes(found["test"]["predictions"]) == said).all()
    assert (decode_classes(found["test"]["truth"]) == truth).all()
    assert set(found["edits"]) == {"letters", "words"}
    examples = load_examples(corpus, settings.text, data_dir)
    assert found["calibration"]["fitted_on"] == len(examples.validation)
    if corpus == "glue_sst2":
        assert found["shifts"]["advglue"]["accuracy"] == result.measures["advglue_accuracy"]
        assert set(found["outside"]) == {"glue_rte"}
    else:
        assert any("shift advglue" in line for line in found["left_out"])


def test_scores_are_refused(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> None:
    settings = CellSettings(RECIPES["dropout"], Pretrained(True), TrainSettings(), OwnTokens(max_length=16))
    subject = PretrainedSubject(f"hf:{tiny_bert}", 0, settings, None, tmp_path, "glue_stsb", data_dir)
    with pytest.raises(UserError, match="glue_stsb: answers are scores; expected classes"):
        SMALL.measure(subject)


def test_a_kept_model_of_hugging_face_is_examined_beside_one_of_the_zoo(
    tiny_bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone = {"yes": "good", "no": "bad"}
    texts = [
        f"{begin} {WORDS[2 + i % 4]} is {tone[('yes', 'no')[i % 2]]} {WORDS[i // 3 % 10]}"
        for i, begin in enumerate(["the"] * 90 + ["not a"] * 30)
    ]
    labels = [("yes", "no")[i % 2] for i in range(120)]
    for name, rows in (("seen", slice(0, 90)), ("other", slice(90, None))):
        lines = [f"{text},{label}" for text, label in zip(texts[rows], labels[rows], strict=True)]
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    common = {"epochs": 1, "batch_size": 16, "max_length": 16}
    sizes = {"embedding": 8, "filters": 4, "widths": (1, 2)}
    bert = TextClassifier(f"hf:{tiny_bert}", "dropout", learning_rate=3e-3, **common).fit(
        texts[:90], labels[:90]
    )
    bert.save(tmp_path / "bert")
    TextClassifier("textcnn", "dropout", settings=sizes, **common).fit(texts[:90], labels[:90]).save(
        tmp_path / "cnn"
    )
    line = [str(tmp_path / "cnn"), str(tmp_path / "bert"), "--cache-dir", str(tmp_path / "cache"), "--json"]
    line += ["--set", "rows=8", "text_rows=4", "queries=12", "pgd_steps=2", "strengths=0.1", "norms=1"]
    assert robust.main([*line, "--data", str(tmp_path / "other.csv")]) == 0
    cnn, found = json.loads(capsys.readouterr().out)["models"]
    said = decode_classes(found["values"]["test"]["predictions"])
    assert [str(bert.classes_[i]) for i in said] == bert.predict(texts[90:]).tolist()
    assert found["values"]["test"]["truth"] == cnn["values"]["test"]["truth"]
    assert robust.main([*line, "--data", str(tmp_path / "seen.csv")]) == 2
    assert "was trained on these rows" in capsys.readouterr().err
    assert robust.main([*line[1:], "--data", str(tmp_path / "seen.csv")]) == 2
    assert "bert was trained on these rows" in capsys.readouterr().err


def test_a_saved_cell_is_judged_by_its_own_test_part(
    tiny_bert: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    asked = [
        "--arch",
        f"hf:{tiny_bert}",
        "--corpus",
        "glue_sst2",
        "--seeds",
        "0",
        "--recipe",
        "dropout",
        "--jobs",
        "1",
        "--out",
        out,
    ]
    places = ["--data-dir", str(data_dir), "--cache-dir", str(tmp_path / "cache")]
    assert (
        ablate.main(
            [*asked, *places, "--preset", "glue", "--set", "max_length=16", "epochs=1", "--save-models"]
        )
        == 0
    )
    capsys.readouterr()
    (model,) = (path for path in (tmp_path / "out" / "models").iterdir() if "bert" in path.name)
    load_shifts.cache_clear()
    small = [
        "--set",
        "rows=8",
        "text_rows=4",
        "queries=12",
        "pgd_steps=2",
        "strengths=0.1",
        "norms=1",
        "outside=glue_rte",
    ]
    assert robust.main([str(model), "--data", "glue_sst2", *places, *small, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    (result,) = (json.loads(path.read_text()) for path in Path(out).glob("*bert*.json"))
    assert found["values"]["test"]["predictions"] == result["predictions"]
    assert found["values"]["shifts"]["advglue"]["rows"] == 10
    assert robust.main([str(model), "--data", "glue_rte", *places, *small]) == 2
    assert "glue_rte: not the rows that" in capsys.readouterr().err
