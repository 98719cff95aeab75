"""A cell's name changes when, and only when, something changes that the cell reads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from zoo.core.identity import SCHEMA, cell_id
from zoo.core.records import Settings, setting
from zoo.method.step import prepare, train_step
from zoo.models import ARCHS, MODELS
from zoo.pretrained.settings import MultiTask, Pretrained
from zoo.recipes import RECIPES, parts_of_recipes
from zoo.text import TextSettings
from zoo.training.optim import make_optimizer
from zoo.training.settings import CellSettings, TrainSettings

CELL = {"corpus": "c", "arch": "textcnn", "recipe": "r", "seed": 0}
PINS = Path(__file__).with_name("unnamed.json")


def name(settings: CellSettings, **cell: Any) -> str:
    return cell_id(CELL | cell, settings.named(), "data")


def settings_of(recipe: str = "uegr", arch: str = "textcnn") -> CellSettings:
    return CellSettings(RECIPES[recipe], MODELS[arch].Sizes(), TrainSettings(), TextSettings())


def records() -> dict[str, type[Settings]]:
    """Every record that a cell can have."""
    return {
        **parts_of_recipes(),
        **{f"sizes of {arch}": MODELS[arch].Sizes for arch in ARCHS},
        "pretrained": Pretrained,
        "multitask": MultiTask,
        "train": TrainSettings,
        "text": TextSettings,
    }


def other_values(record: Settings, field: Any) -> Iterator[Settings]:
    """The record with one or two other permitted values of a field."""
    value, choices = getattr(record, field.name), field.metadata.get("choices", ())
    bounds = field.metadata.get("bounds", {})
    if isinstance(value, bool):
        candidates: list[Any] = [not value]
    elif field.name == "vectors":
        candidates = ["word2vec"]  # a file is data, named by its content
    elif choices:
        candidates = [choice for choice in choices if choice != value]
    elif isinstance(value, tuple):
        first = value[0] if value else "pooled"
        candidates = (
            [(first / 2,), (first + 1,)] if isinstance(first, int | float) else [("pooled", "embedding")]
        )
        candidates = [(int(c[0]),) if isinstance(first, int) else c for c in candidates]
    elif isinstance(value, int):
        candidates = [value + 1, value - 1, 2]
    elif isinstance(value, float):
        candidates = [value / 2 + 0.011, value + 0.3, bounds.get("high") or 1.0]
    else:
        candidates = [value + "x"]
    for candidate in candidates:
        try:
            yield dataclasses.replace(record, **{field.name: candidate})
        except Exception:  # not permitted beside the other values
            continue


def changed_everywhere(settings: CellSettings) -> Iterator[tuple[str, CellSettings]]:
    """The settings with one field of one part changed, by `part.field`."""
    recipe = settings.recipe
    for part, record in {**recipe.parts(), "model": settings.model, "train": settings.train,
                         "text": settings.text}.items():  # fmt: skip
        for field in dataclasses.fields(record):
            for other in other_values(record, field):
                if part in recipe.parts():
                    new = dataclasses.replace(settings, recipe=dataclasses.replace(recipe, **{part: other}))
                else:
                    new = dataclasses.replace(settings, **{part: other})
                yield f"{part}.{field.name}={getattr(other, field.name)}", new


@pytest.mark.parametrize("label", records())
def test_every_field_that_is_read_moves_the_name(label: str) -> None:
    """Other value, other name, for every field of every record, in a cell that reads it."""
    uegr = RECIPES["uegr"]
    reading = [
        *RECIPES.values(),
        uegr.changed(saliency="ema"), uegr.changed(epsilon_unit="absolute"), uegr.changed(keep="constant"),
    ]  # fmt: skip
    fields = {f.name for f in dataclasses.fields(records()[label])}
    moved: set[str] = set()
    for recipe in reading:
        for arch in (*ARCHS, "pretrained", "multitask"):
            brought = {"pretrained": Pretrained, "multitask": MultiTask}
            sizes = brought.get(arch) or MODELS[arch].Sizes
            for text in (TextSettings(), TextSettings(folds=5, fold=1)):
                settings = CellSettings(recipe, sizes(), TrainSettings(), text)
                before = name(settings)
                for change, new in changed_everywhere(settings):
                    part, field = change.split("=")[0].split(".")
                    if label.startswith(part) or (label.endswith(arch) and part == "model"):
                        moved |= {field} if name(new) != before else set()
    # The columns of a file say where data are; the data's fingerprint says what they are.
    assert fields - moved - {"text_column", "label_column"} == set()


def trained(settings: CellSettings, arch: str, steps: int = 3) -> torch.Tensor:
    """All weights after a few steps, with every option at work that has time to."""
    model = tiny.model(arch)
    trainee = prepare(model, settings.recipe, torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, dataclasses.replace(settings.train, learning_rate=0.01))
    model.train()
    for step in range(steps):
        if trainee.backward is not None:
            trainee.backward.new_epoch()
        batch = tiny.batch(seed=step)
        train_step(trainee, tiny.by_sentence(batch) if arch == "han" else batch, optimizer)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def variants(recipe: str) -> tuple[CellSettings, CellSettings]:
    """The recipe with the default attack, whose scope it reads, and with one by sign, which has none."""
    base = settings_of(recipe)
    by_sign = base.recipe.changed(attack="fgsm", epsilon_unit="rms")
    return base, dataclasses.replace(base, recipe=by_sign)


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_does_not_move_the_name_does_not_move_the_weights(recipe: str) -> None:
    """A field that is left out of the name must change nothing, bit for bit."""
    for variant in variants(recipe):
        before, weights = name(variant), trained(variant, "bilstm")
        silent = [
            (change, new) for change, new in changed_everywhere(variant)
            if change.split(".")[0] in variant.recipe.parts() and name(new) == before
        ]  # fmt: skip
        for change, new in silent:
            assert torch.equal(trained(new, "bilstm"), weights), f"{recipe}: {change} is not in the name"


# Limits that are read and yet change nothing where nothing reaches them.
NOT_REACHED = {"dropout.q_min", "dropout.q_max", "forward.maximum_norm"}


@pytest.mark.parametrize("recipe", ["standard", "dropout", "at", "r_drop", "uegr_no_js", "freelb", "sam"])
def test_what_moves_the_name_moves_the_weights(recipe: str) -> None:
    """The other way round: no cell is named, and run again, for a setting that it does not read."""
    for base in variants(recipe):
        before, weights = name(base), trained(base, "bilstm")
        named, effective = set(), set()
        for change, new in changed_everywhere(base):
            field = change.split("=")[0]
            if field.split(".")[0] in base.recipe.parts() and name(new) != before and field not in effective:
                named.add(field)
                if not torch.equal(trained(new, "bilstm"), weights):
                    effective.add(field)
        assert named - effective <= NOT_REACHED


def test_a_part_that_is_absent_names_nothing() -> None:
    """A plain BiLSTM is not named by FreeLB's steps, by the mask, or by the lines of a HAN."""
    named = settings_of("standard", "bilstm").named()
    assert named == {"recipe": {"forward": {"kind": "bi_stage"}}, "model": {}, "train": {}, "text": {}}
    wide = dataclasses.replace(settings_of("standard", "bilstm"), model=MODELS["bilstm"].Sizes(hidden=7))
    assert wide.named()["model"] == {"hidden": 7}


@pytest.mark.parametrize("label", records())
def test_a_new_field_with_its_default_moves_no_name(label: str) -> None:
    kind = records()[label]
    wider = dataclasses.make_dataclass(
        "Wider", [("brand_new", float, setting(0.25, low=0))], bases=(kind,), frozen=True
    )
    assert wider().named() == kind().named()
    assert wider(brand_new=0.5).named() == kind().named() | {"brand_new": 0.5}


def test_what_a_name_leaves_out_never_changes() -> None:
    """Pinned: a changed default must keep the old value as `unnamed`, or old names would mean something else.

    A new field is added to the file; an entry of it is never changed while SCHEMA stays.
    """
    found = {
        label: {
            field.name: list(v) if isinstance(v := field.metadata.get("unnamed", field.default), tuple) else v
            for field in dataclasses.fields(kind)
        }
        for label, kind in records().items()
    }
    pinned = json.loads(PINS.read_text())
    assert pinned.pop("schema") == SCHEMA
    assert found == pinned


def test_equal_recipes_under_other_words_have_one_name() -> None:
    """The last base rate repeats, and rates of passes that do not exist are not read."""
    two = RECIPES["uegr"].changed(base_rates=(0.2, 0.3))
    assert two.named() == RECIPES["uegr"].changed(base_rates=(0.2, 0.3, 0.3)).named()
    assert RECIPES["dropout"].named() == RECIPES["dropout"].changed(base_rates=(0.2, 0.7)).named()
    assert two.named() != RECIPES["uegr"].named()


@pytest.mark.parametrize(
    "change", [{"corpus": "d"}, {"arch": "bilstm"}, {"recipe": "q"}, {"seed": 1}, {"fold": 0}, {"fold": 1}]
)
def test_the_names_of_a_cell_are_part_of_its_name(change: dict[str, Any]) -> None:
    assert name(settings_of(), **change) != name(settings_of())
    assert cell_id(CELL, settings_of().named(), "other data") != name(settings_of())
    assert cell_id({**CELL, "fold": None}, settings_of().named(), "data") == name(settings_of())
