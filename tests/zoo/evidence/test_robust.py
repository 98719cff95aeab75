"""Paired accuracies and Table III from made-up examinations, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from zoo.core.classes import decode_scores, encode_classes, encode_scores
from zoo.evidence.intervals import by_example, by_run_and_example
from zoo.evidence.measurements import MEASUREMENTS, Point
from zoo.evidence.robust import (
    MEASURES,
    improvement,
    measure,
    outcomes,
    paired,
    paired_calibration,
    paired_detection,
    places,
)
from zoo.report import measured
from zoo.report.blocks import MISSING, List, Table, Text, terminal
from zoo.report.robust import robust_blocks
from zoo.robustness.calibration import error_of
from zoo.robustness.detection import auroc

N = 20


def outcome(wrong: int) -> dict[str, Any]:
    """Of N texts of class 0 the first so many are answered wrongly."""
    truth = np.zeros(N, int)
    said = (np.arange(N) < wrong).astype(int)
    return {
        "rows": N, "accuracy": 1 - wrong / N, "truth": encode_classes(truth),
        "predictions": encode_classes(said),
    }  # fmt: skip


def point(variant: str, seed: int = 0, corpus: str = "imdb", failed: bool = False, **wrong: int) -> Point:
    """An examination; `wrong` says how many answers of each place are."""
    w = {"test": 2, "letters": 10, "control": 4, "advglue": 8, "shifted": 6, "attacked": 12, **wrong}
    attacked = outcome(w["attacked"])
    curve = {
        "strengths": [0.0, 0.1], "accuracy": [0.9, attacked["accuracy"]], "loss": [0.1, 0.9], "area": 0.7,
        "predictions": [outcome(w["test"])["predictions"], attacked["predictions"]],
    }  # fmt: skip
    edits = {**outcome(w["letters"]), "control": 1 - w["control"] / N, "edits": 1.5, "queries": 20.0,
             "control_predictions": outcome(w["control"])["predictions"],
             "budget": {"queries": 50, "share": 0.2}}  # fmt: skip
    values = {
        "test": outcome(w["test"]),
        "vectors": {
            "rows": N, "steps": 10, "truth": attacked["truth"],
            "zero_gradients": {"texts": 0.0, "entries": 0.1},
            "curves": dict.fromkeys(("fgsm", "pgd", "fgm", "noise", "fgm_noise"), curve),
            "checks": [{"check": "the loss rises", "passed": not failed, "found": "it falls"}],
        },
        "edits": {"letters": edits},
        "shifts": {"advglue": outcome(w["advglue"]), "counterfactual": {
            **outcome(w["shifted"]), "original": outcome(1), "seen": 0, "original_seen": 3}},
        "calibration": {"plain": {"ece": 0.2, "adaptive_ece": 0.2, "nll": 1.0, "brier": 0.5},
                        "scaled": {"ece": 0.01 * w["test"], "adaptive_ece": 0.1, "nll": 0.9, "brier": 0.4,
                                   "temperature": 2.0}},
        "familiar": dict.fromkeys(("confidence", "energy"), encode_scores(np.arange(4.0))),
        "outside": {"ag_news": {"confidence": {"auroc": 0.7, "scores": encode_scores(np.arange(3.0))},
                                "energy": {"auroc": 0.6, "scores": encode_scores(np.arange(3.0))}}},
        "left_out": ["outside tnews: not in the data folder"],
    }  # fmt: skip
    return Point(f"{variant}{seed}", variant, corpus, "textcnn", seed, values)


def test_outcomes_of_every_place() -> None:
    own = point("a")
    assert places([own]) == [
        ("test",), ("edits", "letters"), ("control", "letters"), ("shifts", "advglue"),
        ("shifts", "counterfactual"), ("original", "counterfactual"),
    ]  # fmt: skip
    wrong = [int((~right).sum()) for p in places([own]) if (right := outcomes(own.values, p)) is not None]
    assert wrong == [2, 10, 4, 8, 6, 1]
    attacked = outcomes(own.values, ("vectors", "pgd", "1"))
    assert attacked is not None
    assert attacked.sum() == N - 12
    assert outcomes(own.values, ("shifts", "nowhere")) is None
    assert outcomes(own.values, ("vectors", "nowhere", "1")) is None


def test_a_difference_is_paired_by_text_and_by_seed() -> None:
    """Of N texts `a` has 10 wrong and `b` 7, the same ones among them: +3 of N."""
    a, b = point("a"), point("b", letters=7)
    found = paired([b], [a], ("edits", "letters"))
    differences = np.array([0] * 7 + [1] * 3 + [0] * 10)
    assert found == by_example(differences)
    pairs = [(point("a", s), point("b", s, letters=7 + s)) for s in range(3)]
    several = paired([q for _, q in pairs], [p for p, _ in pairs][::-1], ("edits", "letters"))
    table = np.array([[0] * (7 + s) + [1] * (3 - s) + [0] * 10 for s in range(3)])
    assert several == by_run_and_example(table[:, None, :])


def test_other_corpora_are_averaged_and_what_only_one_has_is_left_out() -> None:
    own = [point("b", corpus=c, letters=w) for c, w in (("imdb", 7), ("tnews", 5), ("ag_news", 0))]
    base = [point("a", corpus=c) for c in ("imdb", "tnews")]
    found = paired(own, base, ("edits", "letters"))
    assert found is not None
    assert found.difference == pytest.approx((3 / N + 5 / N) / 2)
    assert paired(own[2:], base, ("edits", "letters")) is None


def test_the_measures_of_table_iii_and_their_improvement_by_hand() -> None:
    a, b = [point("a")], [point("b", test=1, advglue=2, letters=4, shifted=3)]
    raw = {name: measure(name, b) for name in MEASURES}
    assert raw == pytest.approx({
        "own test part": 0.95, "shifted": 0.85, "adversarial": (0.9 + 0.8) / 2, "calibration error": 0.01,
        "detection (AUROC)": 0.7,
    })  # fmt: skip
    found = {name: improvement(name, b, a) for name in MEASURES}
    assert found == pytest.approx({
        "own test part": 100 * 0.05 / 0.1, "shifted": 100 * 0.15 / 0.3,
        "adversarial": 100 * (0.85 - 0.55) / 0.45, "calibration error": 50.0, "detection (AUROC)": 0.0,
    })  # fmt: skip
    perfect = [point("a", test=0)]
    assert improvement("own test part", b, perfect) is None


def test_tables_of_two_methods() -> None:
    found = robust_blocks({"Vanilla": [point("a")], "UEGR": [point("b", letters=7, failed=True)]})
    tables = {block.title or block.header[0]: block for block in found if isinstance(block, Table)}
    assert tables["Edits of letters"].rows[1] == ("UEGR", "65.0", "80.0", "1.5", "20.0")
    assert tables["PGD, by epsilon in RMS of the word vectors"].header[1:] == (
        "clean",
        "0.1",
        "noise",
        "area",
    )
    assert tables["Is the attack believable?"].rows[0] == ("the loss rises", "passed", "FAILED")
    assert tables["Is the attack believable?"].rows[1][1:] == ("passed", "passed")
    differences = [b for b in found if isinstance(b, Table) and b.title == "Difference to Vanilla"]
    (letters,) = [b for b in differences if b.header == ("Edits of letters", "UEGR")]
    assert [row[0] for row in letters.rows] == ["searched", "random"]
    assert letters.rows[0][1].startswith("+15.0 [")


def test_of_methods_and_columns_what_there_is_less_of_stands_side_by_side() -> None:
    """An interval is 17 characters wide; both ways say the same."""

    def differences(*methods: str) -> Table:
        points = {name: [point("b", letters=4 + n)] for n, name in enumerate(methods)}
        found = robust_blocks({"Vanilla": [point("a")], **points})
        tables = [b for b in found if isinstance(b, Table) and b.title == "Difference to Vanilla"]
        (table,) = [b for b in tables if b.header[0] == "Edits of letters"]
        return table

    down, across = differences("UEGR"), differences("UEGR", "SAM", "R-AT")
    assert down.header[1:] == ("UEGR",)
    assert across.header[1:] == ("searched", "random")
    assert [row[0] for row in across.rows] == ["UEGR", "SAM", "R-AT"]
    assert across.rows[0][1:] == tuple(row[1] for row in down.rows)


def test_averages_and_notes_of_two_methods() -> None:
    found = robust_blocks({"Vanilla": [point("a")], "UEGR": [point("b", letters=7, failed=True)]})
    averages = next(b for b in found if isinstance(b, Table) and b.header[-1] == "average")
    adversarial = 100 * (0.15 / 2) / 0.45
    assert averages.rows == (
        ("UEGR", "+0.0", "+0.0", f"{adversarial:+.1f}", "+0.0", "+0.0", f"{adversarial / 4:+.1f}"),
    )
    lists = [item for block in found if isinstance(block, List) for item in block.items]
    assert "UEGR, IMDB, seed 0: not so: the loss rises: it falls" in lists
    assert "IMDB: 3 texts of counterfactual, original stand in the training part" in lists
    assert all(len(line) <= 80 for line in terminal(found, 80).splitlines())


def test_a_network_that_names_one_class_is_named_before_its_figures() -> None:
    """Half of the texts are of each class; one network names one of them, one is right of all."""
    truth = np.arange(N) % 2
    blind, seeing = (
        {"rows": N, "accuracy": share, "truth": encode_classes(truth), "predictions": encode_classes(said)}
        for share, said in ((0.5, np.zeros(N, int)), (1.0, truth))
    )
    groups = {}
    for name, test in (("Vanilla", seeing), ("AdvEmbed", blind)):
        made = point(name, seed=1)
        groups[name] = [replace(made, values={**made.values, "test": test})]
    found = robust_blocks(groups)
    named = next(i for i, block in enumerate(found) if isinstance(block, List))
    assert found[named].items == ("AdvEmbed, IMDB, seed 1: predicts one class only (accuracy 50.0 %)",)
    assert named < next(i for i, block in enumerate(found) if isinstance(block, Table))
    sound = robust_blocks({"Vanilla": groups["Vanilla"]})
    assert not any("largest classes" in block.text for block in sound if isinstance(block, Text))


def test_edits_no_better_than_random_ones_are_said() -> None:
    found = robust_blocks({"Vanilla": [point("a", letters=4, control=4)]})
    items = [item for block in found if isinstance(block, List) for item in block.items]
    assert any(
        "edits of letters mislead more than random ones: accuracy 80.0 % against 80.0 %" in i for i in items
    )


@pytest.mark.parametrize(
    ("scaled", "said"),
    [
        ((True, True), "test part, at the temperature of validation. Then"),
        (
            (False, False),
            "test part, as it is, as no validation texts were there to fit a temperature on. ",
        ),
        ((True, False), "test part, at the temperature of validation where there is one. Then"),
    ],
)
def test_table_iii_says_what_its_calibration_error_is(scaled: tuple[bool, bool], said: str) -> None:
    groups = {}
    for name, there in zip(("Vanilla", "UEGR"), scaled, strict=True):
        one = point("a")
        own = dict(one.values["calibration"])
        own.setdefault("scaled", own["plain"])
        if not there:
            del own["scaled"]
        groups[name] = [replace(one, variant=name, values=one.values | {"calibration": own})]
    (text,) = [b.text for b in robust_blocks(groups) if isinstance(b, Text) and "Table III" in b.text]
    assert said in text


def test_of_several_networks_the_passed_ones_are_counted() -> None:
    own = [point("a", s, failed=s == 1) for s in range(3)]
    table = next(
        b for b in robust_blocks({"Vanilla": own}) if isinstance(b, Table) and "believable" in b.header[0]
    )
    assert table.rows[0] == ("the loss rises", "2 of 3")


def test_the_study_has_its_tables_and_a_curve_a_method() -> None:
    asked = MEASUREMENTS["robust"]
    made = [point(v.name, attacked=12 - i) for i, v in enumerate(asked.variants)]
    titles = [b.title for b in measured.blocks(asked, made) if isinstance(b, Table)]
    assert "Table III, relative improvement over Vanilla, %" in titles
    lines = measured.curves(asked, made)
    assert list(lines) == [v.name for v in asked.variants]
    assert lines["AdvEmbed"] == ([0.0, 0.1], pytest.approx([90.0, 45.0]))


# --- measures that are no mean over texts -----------------------------------------------------------------


def examined(variant: str, seed: int, sharp: float, apart: float) -> Point:
    """300 answers of a network: `sharp` makes it too sure, `apart` tells texts of AG News from its own."""
    rng = np.random.default_rng(seed)
    sure = np.clip(0.6 + 0.3 * rng.random(300), 0, 1)
    right = rng.random(300) < sure
    own, others = rng.normal(apart, 1, 200), rng.normal(0, 1, 150)
    made = point(variant, seed)
    made.values["test"] |= {
        "truth": encode_classes(np.zeros(300, int)),
        "predictions": encode_classes(~right),
    }
    stage = {"ece": 0.0, "confidence": encode_scores(np.clip(sure + sharp, 0, 1))}
    made.values["calibration"] = {"plain": stage}
    scores = {"auroc": auroc(own, others), "scores": encode_scores(others)}
    made.values["familiar"]["confidence"] = encode_scores(own)
    made.values["outside"]["ag_news"]["confidence"] = scores
    return made


def test_few_texts_of_another_corpus_have_no_interval() -> None:
    """A group of texts that is left out may hold all of them."""
    own, base = examined("b", 0, 0.0, 1.0), examined("a", 0, 0.0, 1.0)
    assert paired_detection([own], [base], "ag_news", "confidence") is not None
    for few in (1, 4, 5):  # beside 150 others in 50 groups, of four texts at most
        for made in (own, base):
            made.values["familiar"]["confidence"] = encode_scores(np.arange(float(few)))
        assert (paired_detection([own], [base], "ag_news", "confidence") is None) == (few <= 4), few


def test_a_difference_of_calibration_is_that_of_the_errors() -> None:
    own = [examined("b", seed, 0.08, 1.0) for seed in range(3)]
    base = [examined("a", seed, 0.0, 1.0) for seed in range(3)]
    found = paired_calibration(own, base, "plain")
    assert found is not None

    def error(made: Point) -> float:
        right = outcomes(made.values, ("test",))
        return error_of(decode_scores(made.values["calibration"]["plain"]["confidence"]), right)

    expected = np.mean([error(a) - error(b) for a, b in zip(own, base, strict=True)])
    assert found.difference == pytest.approx(expected)
    assert found.low < found.difference < found.high
    assert (found.seeds, found.runs) == (3, 3)
    same = paired_calibration(own, own, "plain")
    assert same is not None
    assert (same.difference, same.p_value) == (0, 1)
    assert 0 < same.high == -same.low < 0.01  # no interval has width 0
    assert paired_calibration(own, base, "scaled") is None
    del base[0].values["calibration"]["plain"]["confidence"]
    fewer = paired_calibration(own, base, "plain")
    assert fewer is not None
    assert fewer.seeds == 2, "an older examination kept none"


def test_a_difference_of_detection_is_that_of_the_areas() -> None:
    own = [examined("b", seed, 0.0, 2.0) for seed in range(3)]
    base = [examined("a", seed, 0.0, 1.0) for seed in range(3)]
    found = paired_detection(own, base, "ag_news", "confidence")
    assert found is not None
    areas = [[p.values["outside"]["ag_news"]["confidence"]["auroc"] for p in group] for group in (own, base)]
    assert found.difference == pytest.approx(np.mean(areas[0]) - np.mean(areas[1]), abs=1e-6)
    assert 0 < found.low < found.high
    assert paired_detection(own, base, "nowhere", "confidence") is None


def test_the_interval_of_an_area_covers() -> None:
    """AUROC of N(d, 1) against N(0, 1) is Phi(d / sqrt 2). Of 200 intervals of one run 190 -+ 3 cover.

    Fewer than 91 % is a fault: by chance less often than once in 150.
    """
    truth = norm.cdf(1.5 / np.sqrt(2)) - norm.cdf(1.0 / np.sqrt(2))
    covered = 0
    for seed in range(200):
        own, base = examined("b", 1_000 + seed, 0.0, 1.5), examined("a", 5_000 + seed, 0.0, 1.0)
        found = paired_detection([replace(own, seed=0)], [replace(base, seed=0)], "ag_news", "confidence")
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.91 < covered / 200 < 0.99


def test_the_tables_have_these_differences() -> None:
    groups = {"a": [examined("a", 0, 0.0, 1.0)], "b": [examined("b", 0, 0.08, 2.0)]}
    found = [one for one in robust_blocks(groups) if isinstance(one, Table) and one.header[0] == "AUROC, %"]
    assert found[1].rows[0][0] == "b"
    assert found[1].rows[0][1].startswith("+")
    assert found[1].rows[0][2].startswith("+0.0 [")
    (errors,) = [
        one for one in robust_blocks(groups)
        if isinstance(one, Table) and one.header == ("Calibration", "ECE", "ECE at T")
    ]  # fmt: skip
    assert errors.rows[0][2] == MISSING
    older = {name: [point(name)] for name in "ab"}
    heads = [one.header for one in robust_blocks(older) if isinstance(one, Table)]
    assert ("Calibration", "ECE", "ECE at T") not in heads
