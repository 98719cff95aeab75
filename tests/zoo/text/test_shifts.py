"""Sets of another kind, as cards name them: read, put into the corpus's classes, refused where others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora import write_rows

from zoo.core.cards import Shift, load_card
from zoo.core.errors import UserError
from zoo.text import Part
from zoo.text.shifts import Shifted, load_shifts, other_texts, sample


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """IMDB's rewritten reviews (in another order of classes)."""
    counter = tmp_path / "imdb_counterfactual"
    write_rows(counter, "original_test", ("good film", "pos"), ("bad plot", "neg"), ("a poor film", "neg"))
    write_rows(counter, "revised_test", ("bad film", "neg"), ("fine plot", "pos"), ("a fine bad film", "pos"))
    (counter / "labels.txt").write_text("pos\nneg\n")
    load_shifts.cache_clear()
    other_texts.cache_clear()
    return tmp_path


def test_classes_that_share_one_are_summed() -> None:
    own = Shifted("rte", Part(["x"], [], np.array([0])), ("yes", "no"), np.array([0, 1, 1]))
    p = np.array([[0.4, 0.35, 0.25], [0.6, 0.3, 0.1]])
    assert own.merged(p) == pytest.approx(np.array([[0.4, 0.6], [0.6, 0.4]]))
    turned = own.ordered(
        ("entailment", "neutral", "contradiction"), ("contradiction", "entailment", "neutral")
    )
    assert turned.own.tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="classes a, b; expected entailment"):
        own.ordered(("entailment",), ("a", "b"))


def test_a_set_that_does_not_fit_its_card_is_refused(data: Path) -> None:
    folder = data / "imdb_counterfactual"
    write_rows(folder, "original_test", ("good film", "pos"), ("bad", "neg"))
    with pytest.raises(UserError, match="3 rows in revised_test and 2 in original_test"):
        load_shifts("imdb", data)
    (folder / "labels.txt").write_text("pos\nnegative\n")
    write_rows(folder, "revised_test", ("good film", "pos"), ("bad", "negative"))
    with pytest.raises(UserError, match="classes pos, negative; expected neg, pos, as the card of imdb says"):
        load_shifts("imdb", data)
    (folder / "revised_test.jsonl").unlink()
    with pytest.raises(UserError, match=r"no revised_test\.jsonl\.gz; expected one"):
        load_shifts("imdb", data)


def test_cards_name_further_sets_and_the_other_kinds() -> None:
    assert load_card("glue_rte").shifts == {"advglue": Shift("advglue/rte")}
    assert list(load_card("glue_mnli").shifts) == ["advglue", "advglue_mm", "rte", "qnli"]
    assert load_shifts("my_own", None) == ((), ())
    assert load_shifts("imdb", None) == ((), ("counterfactual",))


def test_every_network_sees_the_same_rows() -> None:
    assert sample(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert len(sample(100, 10)) == 10
    assert sample(100, 10).tolist() == sorted(set(sample(100, 10).tolist()))


def test_real_sets_of_the_cards_are_read(shared_data: Path) -> None:
    for name, sizes in (
        ("imdb", [488]),
        ("glue_mnli", [121, 162, 277, 1080]),
        ("glue_sst2", [148, 488, 25_000]),
    ):
        found, missing = load_shifts(name, shared_data)
        assert [len(s.part) for s in found] == sizes
        assert missing == ()
