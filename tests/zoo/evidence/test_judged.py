"""Verdicts on claims, from made-up results whose verdict is known, and against other code."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from zoo.evidence.cells import Cells
from zoo.evidence.claims import CLAIMS, Claim, Measured, Pair, Variants
from zoo.evidence.judged import CANNOT_TELL, Held, judged
from zoo.evidence.measurements import Point, mean_over_tasks
from zoo.evidence.statements import NOT_SUPPORTED, SUPPORTED, Statement, findings
from zoo.evidence.statistics import holm

HELPS = Claim("It helps.", "Table IV", Pair("uegr", "dropout"), scale=100, unit="points")
OTHER = Claim("AT helps.", "Table IV", Pair("at", "dropout"))
K_FORWARD = {"kind": "bi_stage", "attack": "fgsm", "epsilon": 0.05, "epsilon_unit": "rms"}
FLAT = Measured("sharpness", lambda values: values["top"], "top", "UEGR")


@pytest.fixture
def cells(result):
    """Cells of one model with so many wrong texts (of 400) a recipe, and one more for each further seed."""

    def make(corpora=("imdb", "tnews"), seeds=(0, 1, 2), arch="textcnn", rows=1000, **wrong: int) -> Cells:
        made = [
            result(recipe, corpus, arch, seed, n=400, wrong=range(w + seed))
            for recipe, w in wrong.items()
            for corpus in corpora
            for seed in seeds
        ]
        assert made[0].corpus
        return Cells.of(replace(r, corpus=replace(r.corpus, train_rows=rows)) for r in made)

    return make


def points(values: dict[str, list[float]]) -> list[Point]:
    return [
        Point(f"{v}{s}", v, "imdb", "textcnn", s, {"top": x})
        for v, own in values.items()
        for s, x in enumerate(own)
    ]


def test_a_difference_is_seen_in_either_direction(cells) -> None:
    held = Held({"one": cells(dropout=60, uegr=10)})
    (own,) = judged(held, [HELPS])
    assert own.verdict == SUPPORTED
    (other,) = judged(Held({"one": cells(dropout=10, uegr=60)}), [HELPS])
    assert other.verdict == NOT_SUPPORTED
    (none,) = judged(Held({"one": cells(dropout=10, uegr=10)}), [HELPS])
    assert none.verdict == CANNOT_TELL
    # The numbers are those of the statements, and n counts the pairs: two corpora of three seeds.
    (finding,) = findings(cells(dropout=60, uegr=10), [Statement("uegr", "dropout", "")])
    assert own.answer
    assert (own.answer.estimate, own.answer.n) == (finding.estimate, 6)
    assert own.as_json()["estimate"] == pytest.approx(12.5)
    json.dumps(own.as_json(), allow_nan=False)


def test_one_seed_and_no_run_tell_nothing(cells) -> None:
    (own,) = judged(Held({"one": cells(seeds=(4,), dropout=200, uegr=1)}), [HELPS])
    assert own.verdict == CANNOT_TELL
    assert own.as_json()["n"] == 2
    assert own.p_holm is None
    (own,) = judged(Held({"one": cells(dropout=200, at=1)}), [HELPS])
    assert own.verdict == CANNOT_TELL
    assert (
        own.as_json() | {"n": 0, "estimate": None, "interval": None, "from": None, "corpora": []}
        == own.as_json()
    )


def test_holm_is_over_all_claims_that_are_tested(cells) -> None:
    held = Held({"one": cells(dropout=40, at=36, uegr=30)}, points={"sharpness": points({"UEGR": [1, 2, 3]})})
    flat = Claim("It is flat.", "Section V-B", FLAT, 1.5, True)
    found = judged(held, [HELPS, OTHER, flat, Claim("No run.", "Fig. 3", Pair("sam", "dropout"))])
    assert [own.p_holm is None for own in found] == [False, False, False, True]
    alone = [judged(held, [claim])[0].p_holm for claim in (HELPS, OTHER, flat)]
    assert [own.p_holm for own in found[:3]] == pytest.approx(holm([p for p in alone if p is not None]))


@pytest.mark.parametrize(
    ("values", "bound", "below", "verdict"),
    [
        ([0.9, 1.0, 1.1], 0.5, False, SUPPORTED),
        ([0.9, 1.0, 1.1], 0.5, True, NOT_SUPPORTED),
        ([0.9, 1.0, 1.1], 1.5, True, SUPPORTED),
        ([0.9, 1.0, 1.1], 1.5, False, NOT_SUPPORTED),
        ([0.9, 1.0, 1.1], 0.95, False, CANNOT_TELL),
        ([0.9], 0.5, False, CANNOT_TELL),
    ],
)
def test_a_bound_is_passed_on_the_side_that_the_claim_names(values, bound, below, verdict) -> None:
    claim = Claim("It passes.", "Section V-B", FLAT, bound, below)
    (own,) = judged(Held(points={"sharpness": points({"UEGR": values})}), [claim])
    assert own.verdict == verdict
    assert own.as_json()["n"] == len(values)
    if len(values) > 1:  # alone in its family, so that p is the t test's of the bound
        assert own.p_holm == pytest.approx(stats.ttest_1samp(values, bound).pvalue, rel=1e-3)


def test_measured_networks_are_paired_by_model_corpus_and_seed() -> None:
    claim = Claim("Flatter.", "Section V-B", replace(FLAT, reference="Dropout"), 0.0, True)
    made = points({"UEGR": [1.0, 2.0, 3.0, 9.0], "Dropout": [4.0, 5.5, 5.0]})
    (own,) = judged(Held(points={"sharpness": made[::-1]}), [claim])
    assert own.answer
    assert (own.answer.n, own.answer.value) == (3, pytest.approx(np.mean([-3.0, -3.5, -2.0])))


def test_the_folder_is_chosen_by_seeds_then_by_texts_over_all_pairs(cells) -> None:
    """600 texts x 12 pairs are more than 1,000 x 6; one seed is less than several, whatever its texts."""
    grids = {
        "large": cells(rows=1000, dropout=60, uegr=40),
        "many": cells(rows=600, seeds=range(6), dropout=60, uegr=10),
        "single": cells(rows=10**6, seeds=(0,), dropout=60, uegr=1),
    }
    (own,) = judged(Held(grids), [HELPS])
    assert own.answer
    assert own.answer.where == "many"
    assert [other.where for other in own.others] == ["large", "single"]
    assert own.verdict == SUPPORTED


@pytest.mark.parametrize(("first", "second"), [((60, 10), (10, 60)), ((10, 60), (60, 10))])
def test_folders_that_contradict_each_other_leave_it_open(cells, first, second) -> None:
    grids = {
        "many": cells(seeds=range(6), dropout=first[0], uegr=first[1]),
        "few": cells(dropout=second[0], uegr=second[1]),
    }
    (own,) = judged(Held(grids), [HELPS])
    assert own.verdict == CANNOT_TELL
    assert own.as_json()["against"] == ["few"]
    # From one seed there is no contradiction.
    grids["few"] = cells(seeds=(0,), dropout=second[0], uegr=second[1])
    assert judged(Held(grids), [HELPS])[0].verdict != CANNOT_TELL


def test_what_a_folder_that_contradicts_has_set_otherwise_is_known(cells) -> None:
    def under(seeds, mask_on: str, rates=(0.2, 0.2), **wrong: int) -> Cells:
        made = []
        for r in cells(seeds=seeds, **wrong).done():
            backward = {"kind": "selective", "mask_on": mask_on, "p_floor": rates[r.cell.corpus == "imdb"]}
            made.append(replace(r, settings={"recipe": {"backward": backward}}))
        return Cells.of(made)

    here = under(range(6), "update", dropout=60, uegr=10)
    (own,) = judged(Held({"a": here, "b": under(range(3), "gradient", dropout=10, uegr=60)}), [HELPS])
    assert own.answer
    assert own.answer.unlike(own.others[0]) == {"mask_on": "gradient"}
    # What the recipe has not alike in all corpora of a folder says nothing of it.
    other = under(range(3), "gradient", (0.1, 0.3), dropout=10, uegr=60)
    (own,) = judged(Held({"a": here, "b": other}), [HELPS])
    assert own.answer
    assert own.answer.unlike(own.others[0]) == {"mask_on": "gradient"}


def test_pretrained_models_answer_their_own_claims_alone(cells) -> None:
    grids = {"hf": cells(arch="hf:minilm", dropout=60, uegr=10)}
    tuned = Claim("Fine.", "Tables I and II", Pair("uegr", "dropout", pretrained=True))
    verdicts = [own.verdict for own in judged(Held(grids), [HELPS, tuned])]
    assert verdicts == [CANNOT_TELL, SUPPORTED]


def test_variants_of_a_question_are_compared_as_recipes_are(result) -> None:
    """K = 5 against K = 2, found by their settings."""
    made = []
    for passes, wrong in ((2, 40), (5, 10), (3, 0)):
        for seed in range(3):
            one = result(
                "uegr",
                "imdb",
                "textcnn",
                seed,
                n=400,
                wrong=range(wrong + seed),
                train={"learning_rate": 1e-2},
            )
            recipe = one.settings["recipe"] | {"forward": K_FORWARD | {"adversarial": passes}}
            made.append(replace(one, id=f"k{passes}-{seed}", settings=one.settings | {"recipe": recipe}))
    claim = Claim("More is better.", "Table V", Variants("k", "UEGR, K = 5", "UEGR, K = 2"), printed=0.0003)
    (own,) = judged(Held(answers={"k": made}), [claim])
    assert own.answer
    assert (own.verdict, own.answer.n, own.answer.value) == (SUPPORTED, 3, pytest.approx(30 / 400))
    assert own.paper == 0.0003


def test_a_corpus_that_only_one_variant_has_is_left_out_and_the_others_named(result) -> None:
    """More networks never take an answer away."""
    made = [
        replace(one, settings=one.settings | {"recipe": recipe}, id=f"{corpus}-{passes}")
        for passes, wrong, corpora in ((2, 40, ("imdb", "tnews")), (5, 10, ("imdb",)))
        for corpus in corpora
        for one in [
            result("uegr", corpus, "textcnn", n=400, wrong=range(wrong), train={"learning_rate": 1e-2})
        ]
        for recipe in [one.settings["recipe"] | {"forward": K_FORWARD | {"adversarial": passes}}]
    ]
    claim = Claim("More is better.", "Table V", Variants("k", "UEGR, K = 5", "UEGR, K = 2"))
    (own,) = judged(Held(answers={"k": made}), [claim])
    assert own.answer
    assert (own.answer.n, own.answer.value) == (1, pytest.approx(30 / 400))
    assert own.as_json()["corpora"] == ["imdb"]


def test_a_mean_over_tasks_is_for_other_seeds_of_the_same_tasks() -> None:
    """Tasks that lie far apart do not widen it; of one task it is the t interval of its seeds."""
    near = [0.1, 0.2, 0.3]
    mean, alone = mean_over_tasks((("textcnn", "imdb"), value) for value in near)
    wanted = stats.ttest_1samp(near, 0).confidence_interval(0.95)
    assert mean == pytest.approx(0.2)
    assert (alone.low, alone.high) == pytest.approx((wanted.low, wanted.high))
    both = [(("textcnn", "imdb"), x) for x in near] + [(("textcnn", "tnews"), x + 50) for x in near]
    mean, estimate = mean_over_tasks(both)
    assert mean == pytest.approx(25.2)
    assert estimate.high - estimate.low < alone.high - alone.low
    assert mean_over_tasks([*both, (("bilstm", "imdb"), 0.1)])[1] is None


def test_without_results_every_claim_is_open_and_names_its_command() -> None:
    found = judged(Held())
    assert [own.claim for own in found] == list(CLAIMS)
    for own in found:
        assert (own.verdict, own.as_json()["n"]) == (CANNOT_TELL, 0)
        assert own.as_json()["command"].startswith("python -m zoo.")
