"""MT-DNN: one encoder, a head a task, tasks in turn. Its steps against slow ones, its results in a store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stand_in import Short
from torch import Tensor, nn
from torch.nn import functional as F

from uegr.method import attach
from uegr_ref import mask
from uegr_ref.saliency import rank_normalise
from zoo.ablate import main
from zoo.core.errors import OutOfTime, UserError
from zoo.core.result import Cell, Result
from zoo.grid import worker
from zoo.grid.engines.local import _Pool
from zoo.grid.engines.on_slurm import divide
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Store
from zoo.pretrained.cell import examples_info, make_run_together, train_together
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.multitask import Best, MultiTaskRun
from zoo.pretrained.settings import MultiTask
from zoo.recipes import RECIPES
from zoo.studies import run
from zoo.studies.study import Study
from zoo.text import load_examples
from zoo.text.settings import OwnTokens
from zoo.training import loop
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.settings import CellSettings, TrainSettings
from zoo.training.turns import Turn

TASKS = ("glue_rte", "glue_sst2", "glue_stsb")  # pairs, single texts, scores


def new_run(tiny_bert: Path, data_dir: Path, recipe: Any = "uegr", **train: Any) -> MultiTaskRun:
    text = OwnTokens(max_length=16)
    chosen = RECIPES[recipe] if isinstance(recipe, str) else recipe
    settings = CellSettings(
        chosen, MultiTask(), TrainSettings(**{"epochs": 2, "learning_rate": 1e-2, **train}), text
    )
    parts = [load_examples(task, text, data_dir) for task in TASKS]
    return make_run_together(5, [settings] * 3, Encoder(tiny_bert), parts, torch.device("cpu"))


def test_a_long_epoch_is_told_of_on_the_way(
    tiny_bert: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the second epoch, when there is a score of the first: as on any real task."""
    monkeypatch.setattr(loop, "BEAT", 0.0)
    run, told = new_run(tiny_bert, data_dir, "dropout"), list[dict[str, Any]]()
    run.fit(lambda share, entry: told.append(run.entry_of(0, entry)))
    run.close()
    ends = [number for number, entry in enumerate(told) if entry]
    assert len(ends) == 2
    assert ends[1] - ends[0] > 2
    assert [told[number]["epoch"] for number in ends] == [1, 2]


def flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_tasks_come_in_proportion_to_their_size_and_mixed(tiny_bert: Path, data_dir: Path) -> None:
    runs = [new_run(tiny_bert, data_dir, recipe, batch_size=4) for recipe in ("uegr", "dropout")]
    orders = [[batch["task"] for batch in run.batches(epoch)] for run in runs for epoch in (1, 2)]
    sizes = [len(task.train) for task in runs[0].tasks]
    assert [orders[0].count(n) for n in range(3)] == [-(-size // 4) for size in sizes]
    assert orders[0] == orders[2] != orders[1]
    assert sum(a != b for a, b in pairwise(orders[0])) > len(orders[0]) / 4
    rows = [b["input_ids"].shape[0] for b in runs[0].batches(1) if b["task"] == 1]
    assert sum(rows) == sizes[1], "every row once"
    assert {b["labels"].dtype for b in runs[0].batches(1) if b["task"] == 2} == {torch.float32}


def test_an_epoch_of_the_plain_recipe_is_that_of_a_plain_loop(tiny_bert: Path, data_dir: Path) -> None:
    """An encoder of transformers', a linear layer a task, the loss of the task at hand; nothing of ours."""
    import transformers

    run = new_run(tiny_bert, data_dir, "standard")
    own: Any = run.model
    encoder = transformers.BertModel.from_pretrained(tiny_bert).eval()
    heads = nn.ModuleList([nn.Linear(16, outputs) for outputs in (2, 2, 1)])
    encoder.load_state_dict(own.base_model.state_dict())
    for head, task in zip(heads, own.tasks, strict=True):
        head.load_state_dict(task.classifier.state_dict())
    plain = nn.ModuleList([encoder, heads])
    optimizer = make_optimizer(plain, run.train)
    schedule = make_schedule(optimizer, 2 * run.steps, run.train.warmup)
    for batch in run.batches(1):
        task, labels = batch.pop("task"), batch.pop("labels")
        logits = heads[task](encoder(**batch).pooler_output)
        loss = F.mse_loss(logits[:, 0], labels) if task == 2 else F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    run.model.train()
    run.steps_of(1)
    torch.testing.assert_close(flat(own.base_model), flat(encoder), rtol=1e-4, atol=1e-6)
    for head, task in zip(heads, own.tasks, strict=True):
        torch.testing.assert_close(task.classifier.weight, head.weight, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(task.classifier.bias, head.bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "task"), [("uegr", 0), ("uegr", 1), ("uegr", 2), ("sam", 0), ("l2_sp", 2)]
)
def test_a_step_of_a_task_is_a_step_of_its_classifier_alone(
    recipe: str, task: int, tiny_bert: Path, data_dir: Path
) -> None:
    """Bit for bit: attack, passes, divergence, the mask over encoder and own head. Other heads stay."""
    run = new_run(tiny_bert, data_dir, recipe)
    own: Any = run.model
    before = [flat(classifier.classifier) for classifier in own.tasks]
    alone = Encoder(tiny_bert).model((2, 2, 1)[task], seed=0)
    alone.load_state_dict(own.tasks[task].state_dict())
    optimizer = make_optimizer(alone, run.train)
    make_schedule(optimizer, 2 * run.steps, run.train.warmup)  # it sets the first rate
    method = attach(alone.train(), optimizer, RECIPES[recipe])
    method.trainee.generator.manual_seed(7_919 * 5 + 1)
    batch = next(b for b in run.batches(1) if b["task"] == task)
    run.model.train()
    torch.manual_seed(3)
    record = run.step(dict(batch))
    torch.manual_seed(3)
    loss = method.backward({name: value for name, value in batch.items() if name != "task"})
    optimizer.step()
    assert torch.equal(record["loss"], loss.detach())
    assert torch.equal(flat(own.tasks[task]), flat(alone))
    after = [flat(classifier.classifier) for classifier in own.tasks]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [n != task for n in range(3)]


def test_the_mask_ranks_the_encoder_and_the_head_of_the_task_together(
    tiny_bert: Path, data_dir: Path
) -> None:
    """The keep probabilities of the reference, of all that has a gradient in the step."""
    recipe = RECIPES["standard"].changed(update="selective")
    run = new_run(tiny_bert, data_dir, recipe)
    own: Any = run.model
    run.model.train()
    for batch in (next(b for b in run.batches(1) if b["task"] == task) for task in (1, 0)):
        task = batch["task"]
        run.method.backward(dict(batch))
        shared = [*own.base_model.parameters(), *own.tasks[task].classifier.parameters()]
        gradient = torch.cat([p.grad.flatten() for p in shared if p.grad is not None]).double().numpy()
        run.optimizer.step()
        idle = [p for n, t in enumerate(own.tasks) if n != task for p in t.classifier.parameters()]
        assert all(p.grad is None for p in idle)
        run.optimizer.zero_grad()
        saliency = gradient[gradient != 0] ** 2
        wanted = mask.keep_probability(rank_normalise(saliency), 0.6, 1.0).mean()
        assert float(run.method.record["mean_keep_probability"]) == pytest.approx(wanted, abs=1e-5)


def test_each_task_selects_its_own_epoch(
    tiny_bert: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tiny_bert, data_dir, "dropout", epochs=3)
    said = iter([0.5, 0.2, -0.1, 0.4, 0.9, 0.3, 0.6, 0.8, 0.1])
    asked, weights = [], []

    def predict(number: int) -> Callable[[Any], None]:
        return lambda data: asked.append((number, data))

    for number, answering in enumerate(run.answering):
        monkeypatch.setattr(answering, "predict", predict(number))
    monkeypatch.setattr(
        "zoo.pretrained.multitask.measure",
        lambda name: type("M", (), {"compute": lambda self, answers: next(said)})(),
    )
    run.fit(lambda share, entry: weights.append(flat(run.model)) if entry else None)
    assert [(n, data is run.tasks[n].validation) for n, data in asked] == [
        (0, True),
        (1, True),
        (2, True),
    ] * 3
    assert [(best.epoch, best.score) for best in run.best] == [(3, 0.6), (2, 0.9), (2, 0.3)]
    for number, epoch in enumerate((3, 2, 2)):
        run.select(number)
        assert torch.equal(flat(run.model), weights[epoch - 1])
    assert run.best_epoch == 2, "the mean over the tasks"
    entries = [run.entry_of(1, entry)["validation_accuracy"] for entry in run.curve]
    assert entries == [0.2, 0.9, 0.8]


def test_the_last_epoch_where_it_is_asked_for(tiny_bert: Path, data_dir: Path) -> None:
    run = new_run(tiny_bert, data_dir, "dropout", selection="last", learning_rate=0.3)
    run.fit()
    last = flat(run.model)
    assert [best.epoch for best in run.best] == [2, 2, 2]
    assert [best.score for best in run.best] == run.scores[-1]
    run.select(0)
    assert torch.equal(flat(run.model), last)


def test_each_task_answers_with_its_own_weights(
    tiny_bert: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the weights that a task selects its own head says class 0 to everything, and others' class 1."""

    def fit(self: MultiTaskRun, progress: Any, turn: Any = None) -> None:
        for number in range(3):
            weights = {name: value.clone() for name, value in self.model.state_dict().items()}
            for other in range(3):
                weights[f"tasks.{other}.classifier.bias"][0] = 50 if other == number else -50
            self.best[number] = Best(number + 1, 0.5, weights)

    monkeypatch.setattr(MultiTaskRun, "fit", fit)
    text, arch = OwnTokens(max_length=16), f"mtdnn:{tiny_bert}"
    settings = CellSettings(RECIPES["dropout"], MultiTask(), TrainSettings(), text)
    parts = [load_examples(task, text, data_dir) for task in TASKS]
    heads = [
        Result(task, Cell(task, "mtdnn:tiny-bert", "dropout", 0), "failed", settings.as_json(),
               examples_info(examples, arch))
        for task, examples in zip(TASKS, parts, strict=True)
    ]  # fmt: skip
    kept: dict[int, Any] = {}
    results = train_together(
        heads, [settings] * 3, arch, parts, torch.device("cpu"),
        keep=lambda number, fitted: kept.update({number: fitted.model.classifier.bias[0].item()}),
    )  # fmt: skip
    assert kept == {0: 50.0, 1: 50.0, 2: 50.0}
    assert [result.best_epoch for result in results] == [1, 2, 3]
    for result in results[:2]:
        assert not result.classes()[1].any()
    assert results[2].classes()[1].min() > 30


# --- from the command line --------------------------------------------------------------------------------


def test_a_training_in_turns_ends_as_one_in_one(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> None:
    """Cut off within the first epoch, behind it, and within the second; what each task has selected too."""

    def left_by(*turns: int) -> MultiTaskRun:
        for looks in turns:
            cut = new_run(tiny_bert, data_dir)
            with pytest.raises(OutOfTime):
                cut.fit(turn=Short(tmp_path / "it.pt", looks))
            cut.close()
        run = new_run(tiny_bert, data_dir)
        run.fit(turn=Turn(tmp_path / "it.pt"))
        run.close()
        return run

    whole = left_by()
    cut = left_by(2, whole.steps - 2, 1)
    assert (cut.curve, cut.scores) == (whole.curve, whole.scores)
    assert all(own.seconds > 0 for own in cut.answering)
    for ours, theirs in zip(cut.best, whole.best, strict=True):
        assert (ours.epoch, ours.score) == (theirs.epoch, theirs.score)
        assert all(torch.equal(ours.weights[name], value) for name, value in theirs.weights.items())


@pytest.fixture
def command(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> list[str]:
    return [
        "--preset", "minilm", "--arch", f"mtdnn:{tiny_bert}", "--recipe", "dropout", "uegr",
        "--seeds", "0", "1", "--epochs", "1", "--fraction", "1", "--data-dir", str(data_dir), "--jobs", "1",
        "--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--set", "max_length=16",
    ]  # fmt: skip


def test_one_training_gives_each_task_a_result(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []
    fit = MultiTaskRun.fit
    monkeypatch.setattr(MultiTaskRun, "fit", lambda self, *a: fitted.append(self) or fit(self, *a))
    assert main([*command, "--corpus", *TASKS, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["cells"]) == 12
    assert len(fitted) == 4, "a training a method and seed"
    (table,) = said["table"]
    assert table["rows"][1]["scores"]["glue_rte"]["paired_runs"] == 2
    assert any("RTE, SST-2, STS-B: trained together" in note for note in table["footnotes"])
    store = Store(tmp_path / "out")
    results = [result for result in store.cells() if result.cell.arch != "-"]
    by_task = {r.cell.corpus: r for r in results if (r.cell.recipe, r.cell.seed) == ("uegr", 0)}
    assert {name: r.measure for name, r in by_task.items()} == {
        "glue_rte": "accuracy", "glue_sst2": "accuracy", "glue_stsb": "pearson",
    }  # fmt: skip
    assert "advglue_accuracy" in by_task["glue_sst2"].measures
    assert {tuple(r.settings["model"]["tasks"]) for r in results} == {TASKS}
    steps = {name: -(-r.corpus.train_rows // 16) for name, r in by_task.items() if r.corpus}
    train = {name: r.seconds["train"] / steps[name] for name, r in by_task.items()}
    assert max(train.values()) == pytest.approx(min(train.values())), "its part of the training"
    assert Result.from_json(by_task["glue_stsb"].as_json(), "file") == by_task["glue_stsb"]

    lost = by_task["glue_rte"]
    store.path(lost.id).unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    turned = [*command, "--corpus", *TASKS[::-1]]
    assert main(turned) == 0, "the order of the corpora names nothing"
    assert len(fitted) == 5
    assert "trained together" in capsys.readouterr().out
    again = store.read(lost.id)
    assert (again.predictions, again.curve) == (lost.predictions, lost.curve)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}, "the others stay as they are"


def jobs(tiny_bert: Path, data_dir: Path, tmp_path: Path, *corpora: str, **changes: Any) -> list[Job]:
    axes = {"archs": [f"mtdnn:{tiny_bert}"], "corpora": corpora, "recipes": ["uegr"], "seeds": [0]}
    study = Study.of("minilm", axes, changes={"max_length": 16, "fraction": 1.0, **changes})
    places = {"data": str(data_dir), "cache": str(tmp_path), "jobs": 1}
    study = Study.from_json({**study.as_json(), "places": places})
    return [job for job in run.jobs_of(study, lambda line: None) if not job.is_reference]


def test_what_is_trained_beside_a_task_names_its_cell(
    tiny_bert: Path, data_dir: Path, tmp_path: Path
) -> None:
    def ids(*corpora: str, data: Path = data_dir, **changes: Any) -> dict[str, str]:
        return {job.cell.corpus: job.id for job in jobs(tiny_bert, data, tmp_path, *corpora, **changes)}

    first = ids(*TASKS)
    assert first == ids(*TASKS[::-1])
    other = ids(*TASKS[:2])
    assert other["glue_rte"] != first["glue_rte"]
    assert set(ids(*TASKS, fraction=0.9).values()).isdisjoint(first.values())
    data = Path(shutil.copytree(data_dir, tmp_path / "data"))
    films = (data / "glue_sst2" / "train.jsonl").read_text().splitlines(keepends=True)
    (data / "glue_sst2" / "train.jsonl").write_text("".join(films[:-1]))
    assert ids(*TASKS, data=data)["glue_rte"] != first["glue_rte"]
    assert all("mtdnn_tiny_bert" in name for name in first.values())


def test_a_task_alone_and_what_trains_one_corpus_are_refused(
    tiny_bert: Path, data_dir: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="all corpora of a run; expected two or more, here is glue_rte alone"):
        jobs(tiny_bert, data_dir, tmp_path, "glue_rte")
    assert main([*command, "--corpus", "glue_rte"]) == 2
    assert "expected two or more" in capsys.readouterr().err
    from zoo.classifier.estimator import TextClassifier

    with pytest.raises(UserError, match=r"mtdnn:.*: trains one model on several corpora; expected hf:"):
        TextClassifier(arch=f"mtdnn:{tiny_bert}").fit(["good", "bad"] * 20, [0, 1] * 20)


def test_a_training_is_claimed_and_divided_as_one(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> None:
    planned = jobs(tiny_bert, data_dir, tmp_path, *TASKS)
    assert len({job.claim for job in planned}) == 1
    others = [
        replace(job, head=replace(job.head, id=f"own-{n}"), together=()) for n, job in enumerate(planned)
    ]
    shares = divide([planned[0], *others, *planned[1:]], 3)
    assert sorted(len(share) for share in shares) == [1, 2, 3]
    assert {job.id for job in planned} in [{job.id for job in share} for share in shares]


def test_a_failure_is_that_of_all_and_each_is_told_of(
    tiny_bert: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = jobs(tiny_bert, data_dir, tmp_path, *TASKS)
    tried: list[int] = []

    def fails(*arguments: Any, **options: Any) -> None:
        tried.append(1)
        raise MemoryError

    monkeypatch.setattr("zoo.pretrained.cell.train_together", fails)
    places, events = Places(tmp_path / "out", data_dir, tmp_path), list[Any]()
    worker.work(planned, places, events.append, dict.fromkeys(job.id for job in planned))
    assert tried == [1]
    assert [event[:2] for event in events] == [("start", 0), ("start", 1), ("start", 2),
                                               ("failed", 0), ("failed", 1), ("failed", 2)]  # fmt: skip
    assert {result.reason for result in Store(places.out).cells()} == {"MemoryError"}


def test_a_dead_worker_costs_the_cells_of_its_training(
    tiny_bert: Path, data_dir: Path, tmp_path: Path
) -> None:
    planned, events = jobs(tiny_bert, data_dir, tmp_path, *TASKS), list[Any]()
    pending = dict.fromkeys(job.id for job in planned)
    _Pool(planned, Places(tmp_path / "out"), events.append, pending)._record_lost({2, 0, 1})
    assert [event[:2] for event in events] == [("failed", 0), ("failed", 1), ("failed", 2)]
    assert all("died" in result.reason for result in Store(tmp_path / "out").cells())


def test_saved_networks_are_ordinary_ones(
    command: list[str], tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task's classifier with the weights that it has selected, as a folder of Hugging Face."""
    films = tmp_path / "films.csv"
    rows = [
        f"the {word} was {label},{label}"
        for word in ("film", "plot", "cat") * 20
        for label in ("good", "bad")
    ]
    films.write_text("\n".join(["text,label", *rows]) + "\n")
    line = [part for part in command if part != "uegr"]
    line += ["--corpus", "glue_sst2", str(films), "--save-models", "--set", "learning_rate=0.01"]
    del line[line.index("--seeds") + 2]
    assert main(line) == 0
    capsys.readouterr()
    from zoo.classifier.estimator import TextClassifier

    results = [result for result in Store(tmp_path / "out").cells() if result.cell.arch != "-"]
    assert len(results) == 2
    for result in results:
        model = TextClassifier.load(tmp_path / "out" / "models" / result.id)
        source = "glue_sst2" if result.cell.corpus == "glue_sst2" else films
        examples = load_examples(source, OwnTokens(max_length=16), data_dir, tmp_path / "cache")
        wanted = np.array(examples.labels)[result.classes()[1]]
        assert (model.predict(examples.test.texts) == wanted).all()
