"""What a training run promises: seeds, selection, order of batches, rates, the attacked sample."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny
from zoo.core.batch import Batch
from zoo.core.result import decode_classes
from zoo.method.forward.divergence import cross_entropy
from zoo.method.rates import embedding_rms
from zoo.method.step import prepare
from zoo.recipes import RECIPES
from zoo.training import cell, loop, robustness, steps
from zoo.training.cell import write_weights
from zoo.training.optim import learning_rate_factor
from zoo.training.run import Run
from zoo.training.steps import Times

CPU = torch.device("cpu")


def new_run(recipe: str = "dropout", seed: int = 0, **train: Any) -> Run:
    chosen = tiny.cell_settings(recipe, **train)
    vectors, _ = cell.load_vectors("random", tiny.corpus(), 8, seed)
    model = cell.make_model("textcnn", seed, chosen, tiny.corpus(), vectors)
    return Run(model, seed, chosen, tiny.corpus(), CPU)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --- the seed ---------------------------------------------------------------------------------------------


def test_weights_masks_and_batches_each_depend_on_the_seed() -> None:
    """Three streams: the same seed gives the same of each, another seed others; every epoch has its order."""

    def streams(seed: int) -> tuple[list[float], list[float], list[list[int]], list[list[int]]]:
        made = new_run(seed=seed)
        masks = torch.rand(8, generator=made.trainee.generator).tolist()
        orders = [
            [b.index.tolist() for b in made.steps.batches(made.corpus.train, 16, epoch)] for epoch in (1, 2)
        ]
        return weights(made.model).tolist(), masks, *orders

    first, other = streams(0), streams(1)
    assert streams(0) == first
    for ours, theirs in zip(first, other, strict=True):
        assert ours != theirs
    assert first[2] != first[3], "each epoch has an order of its own"
    assert all(sorted(row for batch in order for row in batch) == list(range(120)) for order in first[2:])


def test_the_parts_of_a_cell_have_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, int] = {}
    load, build = cell.load_vectors, cell.build_model

    def load_vectors(kind: str, corpus: Any, size: int, seed: int, **more: Any) -> Any:
        seen["vectors"] = seed
        return load(kind, corpus, size, seed, **more)

    def build_model(arch: str, words: int, classes: int, sizes: Any, seed: int, vectors: Any) -> Any:
        seen["weights"] = seed
        return build(arch, words, classes, sizes, seed, vectors)

    class Watched(Run):
        def __init__(self, model: Any, seed: int, *more: Any) -> None:
            seen["masks and batches"] = seed
            super().__init__(model, seed, *more)

    monkeypatch.setattr(cell, "load_vectors", load_vectors)
    monkeypatch.setattr(cell, "build_model", build_model)
    monkeypatch.setattr(cell, "Run", Watched)
    tiny.run_cell(seed=5, epochs=1)
    assert seen == {"vectors": 5, "weights": 5, "masks and batches": 5}


# --- selection --------------------------------------------------------------------------------------------


def test_the_test_part_is_read_with_the_selected_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the best epoch as they were then, whatever was trained afterwards."""
    tiny.scores(monkeypatch, 0.2, 0.9, 0.5)
    made, kept = new_run(epochs=3), []
    made.fit(lambda share, entry: kept.append(weights(made.model).clone()))
    assert made.best_epoch == 2
    assert not torch.equal(kept[1], kept[2])
    assert torch.equal(weights(made.model), kept[1])


def test_selection_takes_the_first_of_equal_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.scores(monkeypatch, 0.4, 0.6, 0.6)
    made = new_run(epochs=3)
    made.fit(lambda share, entry: None)
    assert (made.best_epoch, made.best_score) == (2, 0.6)


@pytest.mark.parametrize(
    ("patience", "accuracies", "reached", "best"),
    [
        (0, (0.5, 0.4, 0.3, 0.2, 0.1), 5, 1),
        (1, (0.4, 0.5, 0.3, 0.9, 0.9), 3, 2),
        (2, (0.4, 0.5, 0.3, 0.6, 0.9), 5, 5),
        (2, (0.5, 0.5, 0.5, 0.9, 0.9), 3, 1),  # an equal epoch is no better one
        (2, (0.1, 0.9, 0.2, 0.3, 0.9), 4, 2),
        (3, (0.9, 0.1, 0.1, 0.1, 0.95), 4, 1),
        (4, (0.9, 0.1, 0.1, 0.1, 0.95), 5, 5),
    ],
)
def test_patience_ends_the_run_when_the_best_epoch_is_so_many_old(
    monkeypatch: pytest.MonkeyPatch, patience: int, accuracies: tuple[float, ...], reached: int, best: int
) -> None:
    """The weights are those of the best epoch reached, and the share of the cell that is done ends at 1."""
    tiny.scores(monkeypatch, *accuracies)
    made, kept = new_run(epochs=5, patience=patience), []
    made.fit(lambda share, entry: kept.append((share, weights(made.model).clone())))
    assert [entry["epoch"] for entry in made.curve] == list(range(1, reached + 1))
    assert (made.best_epoch, made.best_score) == (best, accuracies[best - 1])
    assert torch.equal(weights(made.model), kept[best - 1][1])
    assert [share for share, _ in kept] == pytest.approx([*(e / 5 for e in range(1, reached)), 1.0])


def test_the_saved_weights_are_the_selected_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny.scores(monkeypatch, 0.2, 0.9, 0.5)
    result = tiny.run_cell("dropout", keep=tmp_path / "weights.safetensors", epochs=3)
    assert (result.validation_accuracy, result.best_epoch) == (0.9, 2)
    tiny.scores(monkeypatch, 0.2, 0.9, 0.5)
    made = new_run(epochs=3)
    made.fit(lambda share, entry: None)
    saved = load_file(tmp_path / "weights.safetensors")
    assert set(saved) == set(made.model.state_dict())
    for name, value in made.model.state_dict().items():
        assert torch.equal(saved[name], value), name
    assert np.array_equal(decode_classes(result.predictions), made.predict(made.corpus.test).predictions)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    """After hours of training; the file's format takes no two tensors of one memory."""
    tied = torch.arange(6.0).reshape(2, 3)
    write_weights({"words": tied, "answers": tied, "turned": tied.T}, tmp_path / "w.safetensors")
    saved = load_file(tmp_path / "w.safetensors")
    assert torch.equal(saved["answers"], tied)
    assert torch.equal(saved["turned"], tied.T)


def test_an_evaluation_repeats_and_drops_nothing() -> None:
    made = new_run()
    made.steps.trainee.model.train()
    made.steps.epoch(1)
    found = [made.predict(made.corpus.validation).probabilities]
    made.model.train()
    found.append(made.predict(made.corpus.validation).probabilities)
    assert np.array_equal(*found)


def test_a_long_epoch_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step but the last, where no time must pass between two of them; else after epochs alone."""
    told: list[tuple[float, bool]] = []
    for beat, expected in (
        (0.0, [(step / 16, step % 8 == 0) for step in range(1, 17)]),
        (1e9, [(0.5, True), (1.0, True)]),
    ):
        monkeypatch.setattr(loop, "BEAT", beat)
        told.clear()
        new_run(epochs=2).fit(lambda share, entry: told.append((share, bool(entry))))
        assert told == expected


# --- epochs and steps -------------------------------------------------------------------------------------


def test_the_options_of_an_epoch_begin_anew_with_each() -> None:
    """After two epochs the saliency is the mean over the first one, and the mask another."""
    chosen = tiny.cell_settings("uegr")
    recipe = chosen.recipe.changed(saliency="epoch", resample="epoch")
    made = new_run()
    backward = prepare(made.model, recipe).backward
    made.trainee.backward = backward
    masks, begin = [], backward.new_epoch

    def new_epoch() -> None:
        masks.append(backward.fixed)
        begin()

    backward.new_epoch = new_epoch
    made.fit(lambda share, entry: None)
    assert len(masks) == 2
    assert backward.last_epoch is not None
    assert not torch.equal(masks[1][0], backward.fixed[0])


def watched_steps(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[dict[str, float]], list[int]]:
    """Rates, records and batch sizes of the steps to come."""
    rates: list[float] = []
    records: list[dict[str, float]] = []
    sizes: list[int] = []
    step = steps.train_step

    def train_step(trainee: Any, batch: Batch, optimizer: torch.optim.Optimizer) -> Any:
        rates.append(float(optimizer.param_groups[0]["lr"]))
        record = step(trainee, batch, optimizer)
        records.append({key: float(value) for key, value in record.items() if key != "logits"})
        sizes.append(len(batch))
        return record

    monkeypatch.setattr(steps, "train_step", train_step)
    return rates, records, sizes


def test_every_step_has_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the schedule over all epochs, the tail batch's step among them; the record says the last."""
    rates, _, sizes = watched_steps(monkeypatch)
    made = new_run(epochs=2, warmup=0.3)
    made.fit(lambda share, entry: None)
    assert sizes == 2 * [16, 16, 16, 16, 16, 16, 16, 8] or sorted(sizes) == [8, 8, *14 * [16]]
    assert rates == pytest.approx([0.02 * learning_rate_factor(s, 16, 0.3) for s in range(16)])
    assert [entry["learning_rate"] for entry in made.curve] == [rates[7], rates[15]]


def test_the_terms_of_an_epoch_are_means_over_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    _, records, _ = watched_steps(monkeypatch)
    made = new_run("uegr", epochs=1)
    made.fit(lambda share, entry: None)
    (entry,) = made.curve
    for key in ("loss", "divergence", "kept_share", "perturbation"):
        assert entry[key] == pytest.approx(np.mean([record[key] for record in records]), rel=1e-5)
    assert entry["drop_rate"] == pytest.approx(
        {"pooled": np.mean([record["drop_rate/pooled"] for record in records])}
    )


def test_the_batches_are_those_of_the_settings() -> None:
    """Of similar length where asked for, and not else."""

    def spread(bucketed: bool) -> int:
        made = new_run(bucketed=bucketed)
        batches = list(made.steps.batches(made.corpus.train, 16, 1))
        assert {len(batch) for batch in batches} == {16, 8}
        return sum(int(b.mask.sum(1).max() - b.mask.sum(1).min()) for b in batches)

    assert spread(True) < spread(False)


def test_the_mean_step_leaves_out_the_first_few() -> None:
    assert Times([100.0] * 5 + [1.0, 3.0], [50.0] * 5 + [2.0, 2.0]).mean_step() == (2.0, 2.0)
    assert Times([7.0, 5.0], []).mean_step() == (5.0, None)
    assert Times().mean_step() == (None, None)


# --- the attack on the test part --------------------------------------------------------------------------


def test_the_attack_is_a_share_of_the_word_vectors() -> None:
    """x + 0.1 RMS(x) sign(gradient), nothing dropped; parameters are left as they were."""
    model = tiny.model("textcnn")
    trainee = prepare(model, RECIPES["dropout"], torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.embedding.weight.mul_(7)
    batch = tiny.batch()
    trainee.sites.plan_clean(1)
    model.train()
    found = robustness.attacked_logits(model, batch)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    model.eval()
    x = model.embed(batch.tokens).detach().requires_grad_()
    loss = cross_entropy(model.classify(x, batch.mask)[None], batch.labels).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    epsilon = 0.1 * x.detach()[batch.mask].square().mean().sqrt()
    torch.testing.assert_close(epsilon, 0.1 * embedding_rms(x.detach(), batch.mask))
    wanted = model.classify(x + epsilon * gradient.sign() * batch.mask[:, :, None], batch.mask)
    torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-12)
    assert (wanted - model.classify(x, batch.mask)).abs().max() > 1e-3


def test_the_attacked_sample_is_drawn_from_the_whole_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a part sorted by class the first rows are one class; and every run attacks the same texts."""
    monkeypatch.setattr(robustness, "MOST_ROWS", 20)
    truths = []
    for seed in (0, 1):
        made = new_run(seed=seed)
        by_class = made.corpus.test.take(np.argsort(made.corpus.test.labels, kind="stable"))
        outcome, how = made.attacked(by_class)
        assert how == {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 20}
        assert len(outcome.truth) == 20
        assert set(outcome.truth) == {0, 1, 2}
        truths.append(outcome.truth)
    assert np.array_equal(*truths)


def test_the_measures_of_a_cell_are_those_of_its_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean ones of the test part, the attacked ones of the attacked sample."""
    monkeypatch.setitem(robustness.ATTACK, "epsilon", 1.0)
    result = tiny.run_cell("dropout", epochs=8, learning_rate=0.05)
    truth, predictions = result.classes()
    assert result.measures["accuracy"] == (truth == predictions).mean()
    attacked = result.attacked
    assert attacked is not None
    hits = decode_classes(attacked["truth"]) == decode_classes(attacked["predictions"])
    assert result.measures["attacked_accuracy"] == hits.mean()
    assert attacked["rows"] == len(hits) == 60
    assert result.measures["attacked_accuracy"] < result.measures["accuracy"] - 0.1


def test_a_seed_changes_the_masks_alone_where_weights_and_batches_are_given() -> None:
    """Two streams of masks on the same weights and the same batch give two gradients."""
    found = []
    for seed in (0, 1):
        chosen = tiny.cell_settings("dropout")
        model = cell.make_model("textcnn", 0, chosen, tiny.corpus(), None)
        made = Run(model, seed, chosen, tiny.corpus(), CPU)
        made.model.train()
        made.trainee.forward.gradients(made.trainee, tiny.batch())
        found.append(copy.deepcopy(made.model.classifier.weight.grad))
    assert not torch.equal(*found)
