"""Recipes as data: the table, the settings typed by a user, the near misses."""

from __future__ import annotations

import dataclasses

import pytest

from zoo.core.errors import UserError
from zoo.core.options import parse_setting
from zoo.recipes import CHOICES, RECIPE_PRESETS, RECIPES, TABLE_IV, Recipe, resolve_recipe
from zoo.settings import PRESETS, ModelSettings, TrainSettings


def test_the_rows_of_table_iv() -> None:
    rows = {
        name: (r.clean, r.adversarial, r.divergence, r.dropout, r.update)
        for name in TABLE_IV
        for r in [RECIPES[name]]
    }
    assert rows == {
        "standard": (1, 0, "none", "none", "all"),
        "dropout": (1, 0, "none", "uniform", "all"),
        "at": (1, 1, "none", "uniform", "all"),
        "r_drop": (2, 0, "sym_kl", "uniform", "all"),
        "r_at": (1, 2, "sym_kl", "uniform", "all"),
        "r_at_su": (1, 2, "sym_kl", "uniform", "selective"),
        "uegr": (1, 2, "js", "mean", "selective"),
    }


@pytest.mark.parametrize("preset", RECIPE_PRESETS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_never_switches_on_a_part(name: str, preset: str) -> None:
    changed, plain = resolve_recipe(name, preset), RECIPES[name]
    for field in ("divergence", "dropout"):
        assert (getattr(changed, field) == "none") == (getattr(plain, field) == "none")
    assert (changed.clean, changed.adversarial, changed.update) == (
        plain.clean,
        plain.adversarial,
        plain.update,
    )


def test_every_choice_is_a_field_whose_default_is_allowed() -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(Recipe)}
    for name, choices in CHOICES.items():
        assert defaults[name] in choices


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("alpha", "2", 2.0), ("adversarial", "3", 3), ("rescale", "off", False), ("rescale", "True", True),
     ("base_rates", "0.1,0.2", (0.1, 0.2)), ("sites", "pooled", ("pooled",)), ("dropout", "rank", "rank")],
)  # fmt: skip
def test_settings_are_read_in_the_type_of_their_default(key: str, text: str, value: object) -> None:
    assert parse_setting(Recipe, key, text) == value
    assert parse_setting(ModelSettings, "widths", "2,3") == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve_recipe("uergr"), r"unknown recipe 'uergr'.*did you mean 'uegr'"),
        (lambda: resolve_recipe("uegr", "paperr"), r"unknown recipe preset 'paperr'.*'paper'"),
        (lambda: resolve_recipe("uegr", overrides={"alhpa": "1"}), r"unknown setting 'alhpa'.*'alpha'"),
        (lambda: resolve_recipe("uegr", overrides={"alpha": "x"}), r"alpha='x': expected float"),
        (lambda: resolve_recipe("uegr", overrides={"alpha": "nan"}), r"alpha='nan': expected a finite"),
        (lambda: resolve_recipe("uegr", overrides={"alpha": "-1"}), r"alpha=-1.0: expected a number"),
        (lambda: resolve_recipe("uegr", overrides={"rescale": "maybe"}), r"expected on or off"),
        (lambda: resolve_recipe("uegr", overrides={"attack": "fgms"}), r"did you mean 'fgm"),
        (lambda: resolve_recipe("uegr", overrides={"base_rates": "1.5"}), r"drop rates in \[0, 1\)"),
        (lambda: Recipe(mask_on="update", saliency="per_sample"), "only with saliency="),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_line_with_the_near_miss(call, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_presets_name_real_fields() -> None:
    for preset in PRESETS.values():
        ModelSettings(**preset["model"])
        TrainSettings(**preset["train"])
