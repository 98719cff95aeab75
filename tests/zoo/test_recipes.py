"""Recipes as data: the table, the settings typed by a user, the near misses, JSON both ways."""

from __future__ import annotations

import dataclasses

import pytest

from uegr_ref import mean_keep
from zoo.changes import from_text
from zoo.core.errors import UserError
from zoo.core.options import parse_setting
from zoo.method.backward.selective import Selective
from zoo.method.forward.bi_stage import BiStage
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.models import ARCHS, MODELS
from zoo.models.textcnn import ConvolutionSizes
from zoo.recipes import (
    RECIPE_PRESETS,
    RECIPES,
    TABLE_IV,
    parts_of_recipes,
    recipe_fields,
    recipe_from_json,
    resolve_recipe,
)  # fmt: skip
from zoo.settings import PRESETS
from zoo.text import TextSettings
from zoo.training.settings import TrainSettings

COLUMNS = ("clean", "adversarial", "divergence", "dropout", "update")


def row(recipe: Recipe) -> tuple[object, ...]:
    return tuple(recipe.flat()[name] for name in COLUMNS)


def test_the_rows_of_table_iv() -> None:
    assert {name: row(RECIPES[name]) for name in TABLE_IV} == {
        "standard": (1, 0, "none", "none", "all"),
        "dropout": (1, 0, "none", "uniform", "all"),
        "at": (1, 1, "none", "uniform", "all"),
        "r_drop": (2, 0, "sym_kl", "uniform", "all"),
        "r_at": (1, 2, "sym_kl", "uniform", "all"),
        "r_at_su": (1, 2, "sym_kl", "uniform", "selective"),
        "uegr": (1, 2, "js", "mean", "selective"),
    }


# Where each number stands: R-AT's code (norm over the table, epsilon 1, sums, alpha 0.5), RoAST's (token-wise
# max norm, epsilon 0.1, alpha 0.01, saliency by epoch, scale 0.9, smoothness 10), FreeLB's first setting.
LITERALS = {
    ("r_at_su", "rat_code"): {
        "attack": "fgm", "attack_scope": "table", "epsilon": 1.0, "epsilon_unit": "absolute",
        "divergence": "sym_kl", "divergence_reduction": "sum", "alpha": 0.5, "dropout": "uniform",
        "threshold": 0.6, "sharpness": 1.0,
    },
    ("uegr", "roast_code"): {
        "attack": "token_linf", "epsilon": 0.1, "epsilon_unit": "absolute", "divergence": "sym_kl",
        "divergence_reduction": "sum", "alpha": 0.01, "dropout": "uniform", "saliency": "epoch",
        "resample": "epoch", "update_scope": "encoder", "threshold": 0.9, "sharpness": 10.0,
        "mask_on": "gradient",
    },
    ("uegr", "paper"): {
        "alpha": 0.5, "epsilon": 0.1, "epsilon_unit": "rms", "attack": "fgsm", "attack_steps": 1,
        "divergence_reduction": "mean", "adversarial_reduction": "mean", "base_rates": (0.2,), "gamma": 1.0,
        "q_min": 0.0, "q_max": 0.95, "statistic": "gradient", "statistics": "same_step",
        "statistics_decay": 0.9, "clean_dropout": "adaptive", "threshold": 0.6, "sharpness": 1.0,
        "saliency": "batch", "normalise": "rank", "rescale": True, "resample": "step", "update_scope": "all",
        "mask_on": "gradient", "p_floor": 0.0, "keep": "saliency", "keep_constant": 0.5,
    },
    ("freelb", "paper"): {
        "ascent_steps": 2, "ascent_rate": 0.1, "initial_magnitude": 0.1, "maximum_norm": 0.3,
        "dropout": "uniform", "update": "all",
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "preset"), LITERALS)
def test_the_values_are_those_of_their_sources(name: str, preset: str) -> None:
    found = resolve_recipe(name, preset).flat()
    assert {key: found[key] for key in LITERALS[name, preset]} == LITERALS[name, preset]


def test_the_controls_leave_out_one_part_each() -> None:
    uegr = RECIPES["uegr"].flat()
    differences = {
        name: {key for key, value in RECIPES[name].flat().items() if uegr.get(key) != value}
        for name in RECIPES
        if name.startswith("uegr_") and name != "uegr_no_mask"
    }
    assert differences == {
        "uegr_blind_mask": {"keep", "keep_constant"}, "uegr_uniform": {"dropout"},
        "uegr_no_js": {"divergence"}, "uegr_no_attack": {"clean", "adversarial"},
        "uegr_no_rescale": {"rescale"},
    }  # fmt: skip
    assert RECIPES["uegr_no_mask"] == dataclasses.replace(RECIPES["uegr"], backward=None)


def test_the_blind_mask_updates_as_much_as_the_rule() -> None:
    blind, rule = RECIPES["uegr_blind_mask"].flat(), RECIPES["uegr"].flat()
    assert blind["keep_constant"] == pytest.approx(mean_keep(rule["threshold"], rule["sharpness"]), abs=5e-4)


@pytest.mark.parametrize("preset", RECIPE_PRESETS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_never_switches_on_a_part(name: str, preset: str) -> None:
    changed, plain = resolve_recipe(name, preset).flat(), RECIPES[name].flat()
    for field in ("divergence", "dropout"):
        assert (changed.get(field) == "none") == (plain.get(field) == "none")
    for field in ("clean", "adversarial", "update"):
        assert changed.get(field) == plain.get(field)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reads_as_json_both_ways(name: str) -> None:
    recipe = RECIPES[name].changed(epsilon=0.3, threshold=0.2, base_rates=(0.1, 0.4))
    assert recipe_from_json(recipe.as_json()) == recipe


def test_names_of_settings_are_unique_over_all_parts_of_a_cell() -> None:
    """A user types `--set name=value` without saying which part is meant."""
    kinds = [*parts_of_recipes().values(), TrainSettings, TextSettings, *(MODELS[a].Sizes for a in ARCHS)]
    owners: dict[str, set[str]] = {}
    for kind in kinds:
        for field in dataclasses.fields(kind):
            owners.setdefault(field.name, set()).add(kind.what)
    assert {name: sorted(found) for name, found in owners.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("kind", "key", "text", "value"),
    [(BiStage, "alpha", "2", 2.0), (BiStage, "adversarial", "3", 3), (Selective, "rescale", "off", False),
     (Selective, "rescale", "True", True), (Dropout, "base_rates", "0.1,0.2", (0.1, 0.2)),
     (Dropout, "sites", "pooled", ("pooled",)), (ConvolutionSizes, "widths", "2,3", (2, 3))],
)  # fmt: skip
def test_settings_are_read_in_the_type_of_their_default(
    kind: type, key: str, text: str, value: object
) -> None:
    assert parse_setting(kind, key, text) == value


def changed(**overrides: str) -> Recipe:
    """As typed by a user."""
    return RECIPES["uegr"].changed(**from_text(overrides))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve_recipe("uergr"), r"unknown recipe 'uergr'.*did you mean 'uegr'"),
        (lambda: resolve_recipe("uegr", "paperr"), r"unknown recipe preset 'paperr'.*'paper'"),
        (lambda: changed(alhpa="1"), r"unknown setting 'alhpa'.*'alpha'"),
        (lambda: changed(alpha="x"), r"alpha='x': expected float"),
        (lambda: changed(alpha="nan"), r"alpha='nan': expected a finite"),
        (lambda: changed(alpha="-1"), r"alpha=-1.0: expected a number at least 0"),
        (lambda: changed(rescale="maybe"), r"expected on or off"),
        (lambda: changed(attack="fgms"), r"did you mean 'fgm"),
        (lambda: changed(base_rates="1.5"), r"base_rates=1.5: expected a number at least 0 and below 1"),
        (lambda: changed(base_rates=""), r"expected at least one drop rate"),
        (lambda: changed(base_rates="0.97"), r"expected rates from q_min=0.0 to q_max=0.95"),
        (lambda: changed(q_min="0.5", q_max="0.3"), r"q_min=0.5: expected at most q_max=0.3"),
        (lambda: changed(statistics="previous_step", statistic_scope="example"), "the last batch had other"),
        (lambda: changed(keep_constant="3"), r"keep_constant=3.0: expected a number above 0 and at most 1"),
        (lambda: Recipe(BiStage(clean=True)), r"clean=True: expected a whole number"),
        (lambda: BiStage(clean="1"), r"clean='1': expected a whole number"),
        (lambda: Selective(rescale=1), r"rescale=1: expected True or False"),
        (lambda: Dropout(sites="pooled"), r"sites='pooled': expected a tuple"),
        (lambda: Dropout(gamma=float("inf")), r"gamma=inf: expected a finite number"),
        (lambda: recipe_from_json({"forward": {"kind": "nil"}}), r"unknown part of a recipe 'forward nil'"),
        (lambda: recipe_from_json({"fowrard": None}), r"unknown part of a recipe 'fowrard'"),
        (lambda: recipe_from_json({"dropout": {"rate": 0.1}}), r"unknown dropout setting 'rate'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_line_with_the_near_miss(call, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_change_of_kind_keeps_the_other_settings_of_the_part() -> None:
    odd = RECIPES["uegr"].changed(base_rates=(0.1, 0.3), statistics="ema", threshold=0.2)
    other = odd.changed(dropout="rank", update="selective")
    assert other.flat() == odd.flat() | {"dropout": "rank"}
    assert odd.changed(dropout="none").dropout is None
    assert odd.changed(update="all").backward is None


def test_a_change_without_its_part_is_left_out() -> None:
    recipe = RECIPES["dropout"].changed(threshold=0.3, epsilon=0.3)
    assert recipe.backward is None
    assert "threshold" in recipe_fields()
    assert "threshold" not in recipe.flat()


def test_presets_name_real_fields() -> None:
    for preset in PRESETS.values():
        TrainSettings(**preset["train"])
        TextSettings(**preset["text"])
        for arch, sizes in preset["model"].items():
            MODELS[arch].Sizes(**sizes)
