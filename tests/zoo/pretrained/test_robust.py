"""Models of Hugging Face examined: as texts and as vectors, from kept weights, pairs and singles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

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
    result = run_cell("dropout", corpus, keep=tmp_path / "kept.safetensors")
    settings = CellSettings(
        RECIPES["dropout"],
        Pretrained(True),
        TrainSettings(epochs=2, learning_rate=3e-3),
        OwnTokens(max_length=16),
    )
    subject = PretrainedSubject(
        f"hf:{tiny_bert}", 0, settings, tmp_path / "kept.safetensors", tmp_path / "cache", corpus, data_dir
    )
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
