"""Texts for models with a tokeniser of their own: pairs, scores, parts, further test sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.core.measures import Outcome
from zoo.core.result import measures_of
from zoo.text import RawCorpus, Rows, TextSettings, load_corpus, load_examples, load_texts
from zoo.text.examples import choose_examples
from zoo.text.settings import OwnTokens

CLASSES = ("entailment", "not_entailment")


def write(folder: Path, part: str, rows: list[dict[str, object]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair(i: int, **more: object) -> dict[str, object]:
    return {"text": f"premise {i}", "text_pair": f"hypothesis {i}", "label": CLASSES[i % 2], **more}


@pytest.fixture
def rte(tmp_path: Path) -> Path:
    write(tmp_path / "glue_rte", "train", [pair(i) for i in range(60)])
    write(tmp_path / "glue_rte", "dev", [pair(i) for i in range(100, 110)])
    write(tmp_path / "advglue/rte", "dev", [pair(i) for i in range(200, 205)])
    for name in ("glue_rte", "advglue/rte"):
        (tmp_path / name / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    return tmp_path


def test_pairs_stay_together_and_validation_is_cut_from_train(rte: Path) -> None:
    found = load_examples("glue_rte", OwnTokens(), rte)
    assert {name: len(part) for name, part in found.parts.items()} == {
        "train": 54, "validation": 6, "test": 10, "advglue": 5,
    }  # fmt: skip
    for part in found.parts.values():
        for text, other, label in zip(part.texts, part.pairs, part.labels, strict=True):
            number = int(text.split()[1])
            assert other == f"hypothesis {number}"
            assert label == number % 2
    assert not set(found.train.texts) & set(found.validation.texts)
    assert "validation: 6 rows cut from train, seed 0" in found.notes
    assert "partial: 60 of 2,490 training rows" in found.notes
    assert "test part: the dev file" in found.notes, "it is not the official one: 10 of 277 rows"


def test_the_fingerprint_is_of_texts_pairs_labels_and_further_sets(rte: Path) -> None:
    def now() -> str:
        return load_examples("glue_rte", OwnTokens(), rte).fingerprint

    seen = {now()}
    for path, old, new in (
        ("glue_rte/train.jsonl", "premise 3", "premise x"),
        ("glue_rte/train.jsonl", "hypothesis 3", "hypothesis x"),
        ("advglue/rte/dev.jsonl", '"not_entailment"', '"entailment"'),
    ):
        text = (rte / path).read_text()
        (rte / path).write_text(text.replace(old, new, 1))
        seen.add(now())
    assert len(seen) == 4


def test_single_texts_have_the_parts_of_the_prepared_corpus(tmp_path: Path) -> None:
    rows = [{"text": f"film {i} was {'good' if i % 2 else 'bad'}", "label": f"c{i % 2}"} for i in range(80)]
    write(tmp_path / "films", "train", rows)
    for settings in (TextSettings(), TextSettings(fraction=0.5), TextSettings(folds=4, fold=2)):
        raw = load_texts(tmp_path / "films", settings, tmp_path, tmp_path / "cache")
        own = OwnTokens(**{name: getattr(settings, name) for name in ("fraction", "folds", "fold")})
        found = load_examples(tmp_path / "films", own, tmp_path)
        for part in ("train", "validation", "test"):
            assert found.parts[part].texts == raw[part].texts
            assert found.parts[part].labels.tolist() == raw[part].labels


def test_scores_are_numbers_and_cut_in_proportion(tmp_path: Path) -> None:
    rows = [{**pair(i), "label": f"{i % 6 - 0.2 * (i % 6 > 0):.3f}"} for i in range(120)]
    write(tmp_path / "glue_stsb", "train", rows)
    write(tmp_path / "glue_stsb", "dev", rows[:12])
    found = load_examples("glue_stsb", OwnTokens(), tmp_path)
    assert found.labels == ()
    assert found.outputs == 1
    assert (found.measure, found.measures) == ("pearson", ("spearman",))
    assert found.test.labels.tolist() == pytest.approx([float(row["label"]) for row in rows[:12]])
    counts = np.bincount(np.rint(found.validation.labels).astype(int), minlength=6)
    assert counts.tolist() == [2] * 6
    with pytest.raises(UserError, match=r"sentence pairs .*or --arch hf:FOLDER"):
        load_corpus("glue_stsb", TextSettings(), tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("label", ["5.1", "-0.1", "high", "nan", ""])
def test_a_score_out_of_bounds_names_its_line(tmp_path: Path, label: str) -> None:
    write(tmp_path / "glue_stsb", "train", [pair(0, label="1.0"), pair(1, label=label)])
    with pytest.raises(UserError, match=rf"line 2: score '{label}'; expected a number from 0 to 5"):
        load_examples("glue_stsb", OwnTokens(), tmp_path)


def test_pairs_in_some_parts_only_are_refused() -> None:
    rows = Rows(["a", "b", "c", "d"], [0, 1, 0, 1], ["e", "f", "g", "h"])
    raw = RawCorpus("x", "en", ("n", "y"), {"train": rows, "test": Rows(["a", "b"], [0, 1])})
    with pytest.raises(UserError, match="x: test has no text_pair; expected it as in the other parts"):
        choose_examples(raw, OwnTokens())


def test_a_further_set_of_other_classes_is_refused(rte: Path) -> None:
    (rte / "advglue/rte/labels.txt").write_text("not_entailment\nentailment\n")
    with pytest.raises(UserError, match="classes not_entailment, entailment; expected entailment, not_"):
        load_examples("glue_rte", OwnTokens(), rte)
    (rte / "advglue/rte/dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"no dev.jsonl.gz or test.jsonl.gz; expected one"):
        load_examples("glue_rte", OwnTokens(), rte)


def test_texts_of_pairs_that_repeat_are_counted_and_stay_on_one_side(tmp_path: Path) -> None:
    write(tmp_path / "glue_rte", "train", [pair(i // 2 % 20, label=CLASSES[i // 2 % 2]) for i in range(80)])
    write(tmp_path / "glue_rte", "dev", [pair(0), {**pair(1), "text_pair": "other"}])
    found = load_examples("glue_rte", OwnTokens(), tmp_path)
    assert not set(found.train.texts) & set(found.validation.texts)
    shared = [note for note in found.notes if note.startswith("test: ")]
    assert shared == (["test: 1 of 2 texts are in train too"] if "premise 0" in found.train.texts else [])


def test_both_parts_of_advglues_mnli_are_read_as_far_as_they_are_there(tmp_path: Path) -> None:
    classes = ("entailment", "neutral", "contradiction")
    rows = [{**pair(i), "label": classes[i % 3]} for i in range(60)]
    for folder, part, own in (
        ("glue_mnli", "train", rows), ("glue_mnli", "dev", rows[:9]), ("advglue/mnli_mm", "dev", rows[:5]),
    ):  # fmt: skip
        write(tmp_path / folder, part, own)
        (tmp_path / folder / "labels.txt").write_text("\n".join(classes) + "\n")
    assert {
        name: len(part) for name, part in load_examples("glue_mnli", OwnTokens(), tmp_path).further.items()
    } == {"advglue_mm": 5}
    write(tmp_path / "advglue/mnli", "dev", rows[:4])
    (tmp_path / "advglue/mnli/labels.txt").write_text("\n".join(classes) + "\n")
    found = load_examples("glue_mnli", OwnTokens(), tmp_path)
    assert {name: len(part) for name, part in found.further.items()} == {"advglue": 4, "advglue_mm": 5}
    answers = {on: Outcome(np.eye(3)[part.labels], part.labels) for on, part in found.parts.items()}
    assert {"advglue_accuracy", "advglue_mm_accuracy"} <= set(measures_of(answers))
