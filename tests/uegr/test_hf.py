"""`uegr.hf.Trainer` and `uegr.hf.Callback` against loops by hand, on tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
import uegr.hf
from bench.tiny_families import texts
from toys import refused, same, toy
from trainers import ROWS, arguments, bert, by_hand, rows, trainer, with_callback
from zoo.core.errors import UserError

transformers = pytest.importorskip("transformers", reason="the extra hf")
pytest.importorskip("accelerate", reason="the extra hf")

pytestmark = pytest.mark.filterwarnings("ignore:.*the divergence is 0")


@pytest.mark.parametrize("recipe", ["dropout", "uegr"])
@pytest.mark.parametrize("parts", [1, 2])
def test_it_is_the_loop_by_hand(recipe: str, parts: int, tmp_path: Path) -> None:
    """Bit for bit: passes, accumulation, clipping before the mask, the mask."""
    ours = trainer(tmp_path, recipe, gradient_accumulation_steps=parts)
    ours.train()
    assert same(ours.model, by_hand(recipe, bert(), parts=parts))
    assert not same(ours.model, bert())


def test_a_name_means_what_it_means_in_attach(tmp_path: Path) -> None:
    """In a model of transformers, also by `model_init`, that for what is pre-trained; else the usual."""
    weak, usual = (uegr.recipe("uegr", preset) for preset in ("pretrained", "default"))
    assert weak != usual
    assert trainer(tmp_path, model=bert()).recipe == weak
    assert trainer(tmp_path, model_init=lambda: bert()).recipe == weak
    assert trainer(tmp_path, model=toy()).recipe == usual
    assert trainer(tmp_path, usual).recipe == usual
    with pytest.raises(UserError, match="unknown recipe 'uergr'"):
        trainer(tmp_path, "uergr")


def test_recipes_of_all_kinds_train(tmp_path: Path) -> None:
    for recipe in ("standard", "at", "r_drop", "freelb", "sam", "ctune_d"):
        ours = trainer(tmp_path, recipe, max_steps=1)
        result = ours.train()
        assert 0 < result.training_loss < 20, recipe
        assert not same(ours.model, bert()), recipe


def test_the_pass_before_the_first_step_is_as_the_steps_are(tmp_path: Path) -> None:
    """In training mode, by the labels' own name, in the context of the loss."""
    model, casts = bert().eval(), list[bool]()
    model.register_forward_pre_hook(lambda *_: casts.append(torch.is_autocast_enabled("cpu")))
    ours = trainer(tmp_path, "ctune_d", model, label_names=["truth"])
    ours.compute_loss_context_manager = lambda: torch.autocast("cpu", torch.bfloat16)
    ours.train_dataset = [{k.replace("labels", "truth"): v for k, v in row.items()} for row in rows()]
    ours.train()
    assert casts == [True] * 8


@pytest.mark.parametrize("recipe", ["standard", "r_at"])
def test_accumulated_batches_are_one_batch(recipe: str, tmp_path: Path) -> None:
    """transformers.Trainer would multiply the gradient by their number, and clip another one."""
    settings = {"epsilon_unit": "absolute"} if recipe == "r_at" else {}
    models = []
    for size, parts in ((8, 1), (4, 2), (2, 4)):
        ours = trainer(
            tmp_path, uegr.recipe(recipe, **settings), bert(rate=0.0, attention_probs_dropout_prob=0.0),
            per_device_train_batch_size=size, gradient_accumulation_steps=parts, optim="sgd",
            max_grad_norm=0.0,
        )  # fmt: skip
        ours.train()
        models.append(ours.model)
    assert same(models[0], models[1], within=1e-6)
    assert same(models[0], models[2], within=1e-6)
    assert not same(models[0], bert(rate=0.0), within=1e-4)


def test_options_reach_the_method(tmp_path: Path) -> None:
    """Label smoothing, bf16, a loss of one's own, rates: each is the loop by hand with the same option."""
    weights = torch.tensor([1.0, 2.0, 0.5])

    def weighted(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return nn.functional.cross_entropy(outputs.logits, labels, weights)

    by_logits: Callable[[Tensor, Tensor], Tensor] = lambda z, y: nn.functional.cross_entropy(z, y, weights)  # noqa: E731
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"label_smoothing_factor": 0.2}, {"label_smoothing": 0.2}),
        ({"bf16": True}, {"autocast": True}),
        ({"compute_loss_func": weighted}, {"loss": by_logits}),
        ({"options": {"base_rates": (0.4,), "passes_at_once": False}},
         {"base_rates": (0.4,), "passes_at_once": False}),
        ({"activation_checkpointing": True}, {}),
    ]  # fmt: skip
    plain = by_hand("uegr", bert())
    for given, wanted in cases:
        ours = trainer(tmp_path, "uegr", **given)
        ours.train()
        assert same(ours.model, by_hand("uegr", bert(), **wanted), within=1e-7), given
        assert same(ours.model, plain, within=1e-7) == ("activation_checkpointing" in given), given


def test_a_batch_is_as_the_collator_gives_it(tmp_path: Path) -> None:
    """BatchEncoding, as that of a tokeniser's padding: forward= reads its entries as attributes."""

    def collate(given: list[dict[str, Tensor]]) -> Any:
        return transformers.BatchEncoding({key: torch.stack([row[key] for row in given]) for key in given[0]})

    options = {"forward": lambda model, own: model(own.input_ids, own.attention_mask, own.token_type_ids)}
    ours = trainer(tmp_path, options=options)
    ours.data_collator = collate
    ours.train()
    assert same(ours.model, by_hand("uegr", bert()))


def test_numbers_and_several_labels(tmp_path: Path) -> None:
    for outputs, labels in ((1, torch.randn(ROWS)), (3, torch.randint(2, (ROWS, 3)).float())):
        model = bert(outputs=outputs)
        data = [row | {"labels": label} for row, label in zip(rows(), labels, strict=True)]
        ours = uegr.hf.Trainer(model, arguments(tmp_path), train_dataset=data, eval_dataset=data)
        ours.train()
        assert ours.evaluate()["eval_loss"] > 0
        assert float(ours.method.record["divergence"]) > 0


@pytest.mark.parametrize(("stop", "settings"), [(3, {}), (4, {"saliency": "epoch", "statistics": "ema"})])
def test_a_training_resumes_bit_for_bit(stop: int, settings: dict[str, Any], tmp_path: Path) -> None:
    """In the middle of an epoch of four steps, and at its end."""
    recipe = uegr.recipe("uegr", **settings)
    options: dict[str, Any] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": stop}
    whole = trainer(tmp_path, recipe, **options)
    whole.train()
    folder = tmp_path / f"checkpoint-{stop}"
    kept = torch.load(folder / "uegr_method.pt", weights_only=True)
    assert kept["update"]["generator"].numel() > 10
    again = trainer(tmp_path / "again", recipe, bert(seed=1), **options)
    again.train(resume_from_checkpoint=str(folder))
    assert same(whole.model, again.model)
    # The state matters: with that of an untrained method the end is another one.
    model = bert()
    torch.save(uegr.attach(model, torch.optim.SGD(model.parameters(), 1.0), recipe).state_dict(),
               folder / "uegr_method.pt")  # fmt: skip
    other = trainer(tmp_path / "other", recipe, bert(seed=1), **options)
    other.train(resume_from_checkpoint=str(folder))
    assert not same(whole.model, other.model)


def test_what_is_not_training_is_as_it_was(tmp_path: Path) -> None:
    """Evaluation and prediction, also between steps; logs; the model afterwards."""
    ours = trainer(tmp_path, eval_strategy="steps", eval_steps=2)
    ours.train()
    plain = transformers.Trainer(ours.model, arguments(tmp_path), eval_dataset=rows(1))
    found, wanted = ours.predict(rows(1)), plain.predict(rows(1))
    assert (found.predictions == wanted.predictions).all()
    assert ours.evaluate()["eval_loss"] == plain.evaluate()["eval_loss"]
    logs = [log for log in ours.state.log_history if "loss" in log]
    assert len(logs) == 4
    for name in ("divergence", "perturbation", "kept_share", "drop_rate/dropout"):
        assert all(log[f"uegr/{name}"] > 0 for log in logs), name
    json.dumps(ours.state.log_history)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in ours.model.modules())
    assert ours.method.describe()


def test_a_new_model_gets_the_method_anew(tmp_path: Path) -> None:
    """As a search for hyper-parameters does: `model_init`, and train once more."""
    made: list[nn.Module] = []

    def model_init() -> nn.Module:
        made.append(bert())
        return made[-1]

    ours = trainer(tmp_path, "uegr", model_init=model_init)
    for _ in range(2):
        ours.train()  # makes a model
        assert made[-1] is ours.model
    assert made[-1] is not made[-2]
    assert same(made[-1], made[-2])
    assert same(made[-1], by_hand("uegr", bert()))


def resumed(change: Callable[[Path], Any], recipe: str = "uegr", **changes: Any) -> Callable[[Path], Any]:
    """A training that goes on from a checkpoint that is changed."""

    def run(folder: Path) -> None:
        trainer(folder, max_steps=1, save_strategy="steps", save_steps=1).train()
        change(folder / "checkpoint-1")
        trainer(folder, recipe, bert(**changes), max_steps=2).train(str(folder / "checkpoint-1"))

    return run


class Own(uegr.hf.Trainer):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError


def on_two_gpus(folder: Path) -> None:
    ours = trainer(folder)
    ours.args._n_gpu = 2
    ours.train()


def sharded(folder: Path) -> None:
    ours = trainer(folder)
    ours.is_fsdp_enabled = True
    ours.train()


def unlabelled(folder: Path) -> None:
    data = [{key: value for key, value in row.items() if key != "labels"} for row in rows()]
    uegr.hf.Trainer(bert(), arguments(folder), train_dataset=data).train()


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a recipe": (lambda folder: trainer(folder, "uger"), "unknown recipe 'uger'"),
    "an option": (lambda f: trainer(f, options={"mask_": len}), "method_options mask_: expected one of"),
    "a loss": (lambda f: Own(bert(), arguments(f)), "Own overrides compute_loss, which sees one pass"),
    "two GPUs": (on_two_gpus, "2 GPUs in one process: DataParallel's replicas share the hooks' state"),
    "FSDP": (sharded, "FSDP and DeepSpeed: no process holds the whole gradient"),
    "several numbers": (
        lambda f: trainer(f, model=bert(outputs=2, problem_type="regression")).train(),
        "problem_type=regression of 2 numbers: float labels of several outputs are 0 and 1",
    ),
    "no labels": (unlabelled, "expected `labels` among them"),
    "another recipe": (resumed(lambda f: None, "r_at_su"), "state: of another recipe; expected"),
    "no state": (resumed(lambda f: (f / "uegr_method.pt").unlink()), "no uegr_method.pt; expected a"),
    "a damaged state": (
        resumed(lambda f: (f / "uegr_method.pt").write_bytes(b"??")), "expected what uegr.hf has saved",
    ),
    "damaged weights": (
        resumed(lambda f: (f / "model.safetensors").write_bytes(b"??")), "expected a whole safetensors file",
    ),
    "another width": (resumed(lambda f: None, intermediate_size=8), "of another architecture: bert.encoder"),
    "a callback that attacks": (lambda f: uegr.hf.Callback("uegr"), "recipe of 3 passes a step, bi_stage"),
    "a callback of FreeLB": (lambda f: uegr.hf.Callback("freelb"), "recipe of 2 passes a step, freelb"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_that_says_what_was_expected(case: str, tmp_path: Path) -> None:
    run, what = REFUSED[case]
    refused(lambda: run(tmp_path), what)


# --- the callback -----------------------------------------------------------------------------------------


class Looks(transformers.TrainerCallback):
    """Evaluates between steps."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        model.eval()
        with torch.no_grad():
            first, second = (model(**texts("bert")).logits for _ in range(2))
        assert torch.equal(first, second)
        model.train()


PARTS = uegr.recipe("dropout", dropout="mean", update="selective")


def test_a_callback_does_adaptive_dropout_and_the_update(tmp_path: Path) -> None:
    """As the method does on the same recipe, step by step; evaluation in between changes nothing."""
    ours = with_callback(tmp_path, uegr.hf.Callback())
    ours.add_callback(Looks())
    ours.train()
    assert same(ours.model, by_hand(PARTS, bert()), within=1e-6)
    assert not same(ours.model, by_hand("dropout", bert()), within=1e-3)
    logs = [log for log in ours.state.log_history if "loss" in log]
    assert len(logs) == 4
    assert all(log["uegr/kept_share"] > 0 and log["uegr/drop_rate/dropout"] > 0 for log in logs)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in ours.model.modules())


def test_a_callback_says_what_does_nothing(tmp_path: Path) -> None:
    ours = with_callback(tmp_path, uegr.hf.Callback(), bert(rate=0.0, attention_probs_dropout_prob=0.0))
    with pytest.warns(UserWarning, match="^BertFor.*: adaptive dropout does nothing") as told:
        ours.train()
    assert len(told) == 1


def test_a_training_with_a_callback_resumes_bit_for_bit(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}
    whole = with_callback(tmp_path, uegr.hf.Callback(), **options)
    whole.train()
    again = with_callback(tmp_path, uegr.hf.Callback(), bert(seed=1), **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert same(whole.model, again.model)


@pytest.mark.parametrize("name", ["torch_compile", "checkpointing"])
def test_what_a_callback_cannot_see_is_refused(name: str, tmp_path: Path) -> None:
    ours = with_callback(tmp_path, uegr.hf.Callback())
    if name == "torch_compile":
        ours.args.torch_compile = True
    else:
        ours.model.activation_checkpointing_enable()
    with pytest.raises(UserError, match=f"^{name}: a callback does not see .* expected uegr.hf.Trainer"):
        ours.train()
