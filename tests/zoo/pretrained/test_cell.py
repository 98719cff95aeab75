"""A cell of a model of Hugging Face: what it promises is what a cell of the zoo promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from same import content
from stand_in import Short

from zoo.core.errors import OutOfTime
from zoo.core.result import Result
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.run import PretrainedRun, rows_of
from zoo.recipes import RECIPES
from zoo.text import load_examples
from zoo.text.settings import OwnTokens
from zoo.training.lanes import run_lanes
from zoo.training.settings import TrainSettings
from zoo.training.turns import Turn

Cell = Callable[..., Result]


def test_a_result_is_whole_and_reads_back(run_cell: Cell) -> None:
    curve = run_cell("uegr", epochs=1).curve
    assert {"kept_share", "divergence", "drop_rate"} <= set(curve[0])
    result = run_cell("dropout", epochs=8)
    assert result.done
    assert set(result.measures) == {"accuracy", "macro_f1", "attacked_accuracy", "advglue_accuracy"}
    assert result.measures["accuracy"] > 0.9, "the label is one word of the text"
    assert Result.from_json(result.as_json(), "file") == result
    truth, predictions = result.answers("advglue") or (np.zeros(0), np.zeros(0))
    assert len(truth) == 10
    assert (truth == predictions).mean() == result.measures["advglue_accuracy"]
    assert result.attacked is not None
    assert result.attacked["rows"] == 24


def test_a_cell_repeats_bit_for_bit_and_depends_on_its_seed(run_cell: Cell) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)  # whatever was drawn before
        run_cell("uegr", seed=seed, keep=lambda run: kept.append(run.model.state_dict()))
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert not torch.equal(kept[0]["classifier.weight"], kept[2]["classifier.weight"])


def test_a_cell_leaves_the_random_numbers_of_others_alone(run_cell: Cell) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run_cell("dropout", epochs=1)
    assert torch.equal(before, torch.get_rng_state())


def test_cells_in_lanes_are_the_cells_alone(run_cell: Cell) -> None:
    """Dropout draws from torch's own random numbers, of which a process has one row."""
    asked = [("dropout", 0), ("uegr", 0), ("dropout", 1)]
    alone = [content(run_cell(recipe, seed=seed)) for recipe, seed in asked]
    left, found = list(asked), dict[tuple[str, int], dict[str, Any]]()

    def lane() -> None:
        recipe, seed = left.pop()
        found[recipe, seed] = content(run_cell(recipe, seed=seed))

    run_lanes(3, lane, torch.device("cpu"))
    assert [found[one] for one in asked] == alone


def new_run(
    tiny_bert: Path, data_dir: Path, recipe: str, corpus: str = "glue_sst2", **train: Any
) -> PretrainedRun:
    encoder = Encoder(tiny_bert)
    examples = load_examples(corpus, OwnTokens(), data_dir)
    parts = (encoder.encode(part, 16) for part in (examples.train, examples.validation))
    settings = TrainSettings(epochs=2, **train)
    model = encoder.model(examples.outputs, seed=5)
    return PretrainedRun(model, encoder, RECIPES[recipe], settings, *parts, seed=5, name=examples.measure)


def test_recipes_of_a_seed_share_weights_and_batches(tiny_bert: Path, data_dir: Path) -> None:
    runs = [new_run(tiny_bert, data_dir, recipe) for recipe in ("standard", "uegr")]
    first, second = (dict(run.model.named_parameters()) for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    orders = [
        [list(rows) for rows in rows_of(run.data, run.train, run.seed, epoch)]
        for run in runs
        for epoch in (1, 2)
    ]
    assert orders[0] == orders[2] != orders[1]
    runs[0].model.train()
    runs[0].steps_of(1)  # a step of one draws nothing of the other
    assert all(torch.equal(value, second[name]) for name, value in runs[1].model.named_parameters())


def test_masks_are_those_of_committed_results(tiny_bert: Path, data_dir: Path) -> None:
    run = new_run(tiny_bert, data_dir, "uegr")
    assert run.method.trainee.generator.initial_seed() == 7_919 * run.seed + 1


def test_a_step_of_the_plain_recipe_is_that_of_a_plain_loop(tiny_bert: Path, data_dir: Path) -> None:
    from zoo.training.optim import make_optimizer, make_schedule

    run = new_run(tiny_bert, data_dir, "standard", learning_rate=1e-2)
    plain = Encoder(tiny_bert).model(2, seed=5).eval()  # as all rates are 0
    optimizer = make_optimizer(plain, run.train)
    schedule = make_schedule(optimizer, 2 * 6, run.train.warmup)
    for batch in run.batches(1):
        plain(**batch).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    run.model.train()
    run.steps_of(1)
    for (name, one), other in zip(run.model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


def test_selection_reads_validation_by_the_main_measure(
    tiny_bert: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tiny_bert, data_dir, "dropout", corpus="glue_stsb")
    assert run.name == "pearson"
    asked, scores = [], iter((-0.9, -0.2))
    monkeypatch.setattr(run, "predict", lambda data: asked.append(data))
    monkeypatch.setattr(
        "zoo.pretrained.run.measure", lambda name: type("M", (), {"compute": lambda self, x: next(scores)})()
    )
    run.fit()
    assert asked == [run.validation, run.validation]
    assert (run.best_epoch, run.best_score) == (2, -0.2)


@pytest.mark.parametrize("recipe", ["uegr", "r_at"])
def test_pairs_and_scores(run_cell: Cell, recipe: str) -> None:
    pairs = run_cell(recipe, "glue_rte", epochs=1)
    assert {"accuracy", "attacked_accuracy"} <= set(pairs.measures)
    scores = run_cell(recipe, "glue_stsb", epochs=1)
    assert set(scores.measures) == {"pearson", "spearman", "attacked_pearson"}
    assert scores.measure == "pearson"
    assert Result.from_json(scores.as_json(), "file") == scores
    assert scores.classes()[0].max() == pytest.approx(5.0)


def test_the_attack_is_one_step_of_fgsm(tiny_bert: Path, data_dir: Path) -> None:
    """Against the model called with `inputs_embeds`, its own way to take vectors; padding is left alone."""
    run = new_run(tiny_bert, data_dir, "dropout", corpus="glue_rte", learning_rate=3e-3)
    run.fit()
    data = run.data.take(np.arange(24))
    assert len(set(data.lengths)) > 1, "some rows are padded"
    answers, how = run.attacked(data)
    run.close()
    model, batch = run.model.eval(), run.answering.labelled(data, np.arange(len(data)))
    ids, mask = batch.pop("input_ids"), batch["attention_mask"].bool()
    x = model.get_input_embeddings()(ids).detach().requires_grad_()
    loss = model(inputs_embeds=x, **batch).loss
    (gradient,) = torch.autograd.grad(loss, x)
    rms = x[mask].square().mean().sqrt()
    attacked = x + how["epsilon"] * rms * gradient.sign() * mask[..., None]
    wanted = model(inputs_embeds=attacked, **batch).logits.softmax(1).detach().numpy()
    np.testing.assert_allclose(answers.probabilities, wanted, atol=1e-6)
    clean = model(inputs_embeds=x, **batch).logits.softmax(1).detach().numpy()
    assert np.abs(clean - wanted).max() > 1e-4


def test_a_recipe_that_begins_with_a_pass_over_the_data_has_it(run_cell: Cell) -> None:
    assert run_cell("ctune_d", epochs=1).done


def test_random_weights_are_others(tiny_bert: Path) -> None:
    encoder = Encoder(tiny_bert)
    table = "bert.embeddings.word_embeddings.weight"
    own, other, random = (
        dict(encoder.model(2, seed, pretrained).named_parameters())
        for seed, pretrained in ((7, True), (8, True), (7, False))
    )
    assert torch.equal(own[table], other[table])
    assert not torch.equal(own["classifier.weight"], other["classifier.weight"])
    assert not torch.equal(own[table], random[table])
    assert random[table].shape == own[table].shape


@pytest.mark.parametrize("recipe", ["dropout", "uegr", "rec_adam"])
def test_a_training_in_turns_ends_as_one_in_one(
    recipe: str, tiny_bert: Path, data_dir: Path, tmp_path: Path
) -> None:
    """Cut off within an epoch, behind it, and within the next one; dropout draws torch's own numbers."""

    def left_by(*turns: int) -> tuple[list[Any], dict[str, torch.Tensor]]:
        for looks in turns:
            run = new_run(tiny_bert, data_dir, recipe)
            with pytest.raises(OutOfTime):
                run.fit(turn=Short(tmp_path / "it.pt", looks))
            run.close()
            torch.manual_seed(looks)
        run = new_run(tiny_bert, data_dir, recipe)
        run.fit(turn=Turn(tmp_path / "it.pt"))
        run.close()
        return run.curve, run.model.state_dict()

    (whole, weights), (curve, cut) = left_by(), left_by(2, 3, 1)
    assert curve == whole
    assert all(torch.equal(weights[name], cut[name]) for name in weights)
