"""The table of the paper's claims: what it names exists, its quantities are those of made-up networks."""

from __future__ import annotations

import shlex

import pytest

from zoo import ablate, study
from zoo.core.names import RECIPES
from zoo.evidence.claims import CLAIMS, Claim, Measured, Pair, Variants
from zoo.evidence.judged import CANNOT_TELL, Held, judged
from zoo.evidence.measurements import MEASUREMENTS, Point
from zoo.evidence.questions import QUESTIONS

MEASURED = [claim for claim in CLAIMS if isinstance(claim.evidence, Measured)]
MASK = {"measured": 3.0, "unmasked": 2.0}
VALUES = {
    "drop": {"strengths": [0.01, 0.05, 0.1], "accuracy": 0.9, "pgd": [0.8, 0.7, 0.2]},
    "drift": {"cka": {"words": [1.0, 0.8, 0.6], "pooled": [1.0, 0.4, 0.2]}},
    "sharpness": {"top": 7.0},
    "theory": {
        "adamw": {"sgd": {"slope": 1.02}, "gradient": {"slope": 0.75}},
        "trained": {
            "mask": {"inside": MASK, "words": {"measured": 9.0, "unmasked": 1.0}},
            "penalty": {"strengths": [0.01, 0.05], "fgsm": {"gain": [1.0, 1.25], "across": 0.6}},
        },
    },
}
EXPECTED = {
    "A medium attack": 0.2,
    "The selective update keeps": (0.8 + 0.6 + 0.4 + 0.2) / 4,
    "UEGR finds flatter": 7.0,
    "The selective update itself": 7.0,
    "The masked update is unbiased under SGD": 0.02,
    "The masked update is unbiased under AdamW": 0.25,
    "The masked gradient varies": 1.5,
    "The adversarial loss": 0.25,
    "One vector": 0.6,
}


def test_each_claim_stands_once_and_says_where() -> None:
    assert len(CLAIMS) >= 10
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)
    assert len({(claim.evidence, claim.bound) for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.text.endswith(".")
        assert any(
            word in claim.source for word in ("Table", "Section", "Fig.", "Theorem", "Eq.", "Abstract")
        )
        assert (claim.scale == 100) == (claim.unit == "points")


def test_what_a_claim_names_exists() -> None:
    for claim in CLAIMS:
        if isinstance(claim.evidence, Pair):
            assert {claim.evidence.recipe, claim.evidence.reference} <= set(RECIPES)
        if isinstance(claim.evidence, Variants):
            asked = QUESTIONS[claim.evidence.study]
            assert {claim.evidence.variant, claim.evidence.reference} <= {v.name for v in asked.variants}
            assert len(asked.rates) == 1, "cells of two learning rates would fill one place"
        if isinstance(claim.evidence, Measured):
            named = {claim.evidence.variant, claim.evidence.reference} - {""}
            assert named <= {v.name for v in MEASUREMENTS[claim.evidence.study].variants}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_the_command_that_answers_it_is_one(claim: Claim) -> None:
    _, _, module, *arguments = shlex.split(claim.evidence.command)
    if module == "zoo.study":
        assert study.parse(arguments).name in {**QUESTIONS, **MEASUREMENTS}
    else:
        from zoo.studies.options import study_of

        assert module == "zoo.ablate"
        own = study_of(ablate.parse(arguments))
        assert isinstance(claim.evidence, Pair)
        assert list(own.recipes) == [claim.evidence.reference, claim.evidence.recipe]
        assert len(own.seeds) > 1


@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: claim.text)
def test_a_quantity_is_that_of_a_made_up_network(claim: Claim) -> None:
    assert isinstance(claim.evidence, Measured)
    (expected,) = (value for start, value in EXPECTED.items() if claim.text.startswith(start))
    assert claim.evidence.value(VALUES[claim.evidence.study]) == pytest.approx(expected)


def test_what_was_not_measured_is_no_number() -> None:
    """Other strengths than those of the training; a dead layer, which is alike to nothing."""
    by_study = {c.evidence.study: c.evidence for c in MEASURED if isinstance(c.evidence, Measured)}
    drop, drift = VALUES["drop"] | {"strengths": [0.1, 0.2, 0.4]}, {"cka": {"words": [1.0, None, 0.6]}}
    for name, values in (("drop", drop), ("drift", drift)):
        asked = by_study[name]
        assert asked.value(values) is None
        points = [Point("x", asked.variant, "imdb", "textcnn", seed, values) for seed in range(2)]
        claim = next(claim for claim in MEASURED if claim.evidence is asked)
        (found,) = judged(Held({}, {}, {name: points}), [claim])
        assert (found.verdict, found.answer) == (CANNOT_TELL, None)
