"""Whole training steps of every method of Table IV equal Algorithm 1 of the reference."""

from __future__ import annotations

import dataclasses

import pytest
from both import LEFT_OUT, compare, reference_settings

from uegr_ref.settings import Settings
from zoo.recipes import RECIPES
from zoo.training.settings import TrainSettings

UEGR = RECIPES["uegr"]
CASES = {
    "uegr": UEGR.changed(base_rates=(0.2, 0.3, 0.1)),
    "standard": RECIPES["standard"],
    "dropout": RECIPES["dropout"],
    "at": RECIPES["at"],
    "r_at": RECIPES["r_at"],
    "r_at_su": RECIPES["r_at_su"],
    "three passes": UEGR.changed(adversarial=3),
    "blind mask": RECIPES["uegr_blind_mask"],
    "no mask": RECIPES["uegr_no_mask"],
    "uniform": RECIPES["uegr_uniform"],
    "no js": RECIPES["uegr_no_js"],
}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("case", CASES)
def test_steps_equal_algorithm_1(case: str, optimizer: str) -> None:
    compare(CASES[case], optimizer)


def test_a_whole_run_with_its_schedule() -> None:
    compare(UEGR, "adamw", steps=10, schedule=True)


def test_one_vocabulary_with_one_set_of_defaults() -> None:
    """Every setting of UEGR in the zoo is the reference's of that name, or named as one that it lacks."""
    flat = RECIPES["uegr"].flat()
    assert reference_settings(flat) == Settings()
    training = dataclasses.asdict(TrainSettings())
    shared = ("learning_rate", "weight_decay", "beta1", "beta2", "adam_epsilon", "warmup")
    assert {name: training[name] for name in shared} == {name: getattr(Settings(), name) for name in shared}
    assert set(LEFT_OUT) <= set(flat)
    assert not set(LEFT_OUT) & set(Settings._fields)
