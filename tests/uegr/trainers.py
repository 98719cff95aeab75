"""Tiny trainings by Hugging Face's Trainer, and the loops that they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
import uegr.hf
from bench.tiny_families import texts, tiny

transformers = pytest.importorskip("transformers", reason="the extra hf")
pytest.importorskip("accelerate", reason="the extra hf")

ROWS = 16


def rows(seed: int = 0, count: int = ROWS) -> list[dict[str, Tensor]]:
    batch = texts("bert", rows=count, seed=seed)
    return [{key: value[i] for key, value in batch.items()} for i in range(count)]


def bert(seed: int = 0, rate: float = 0.2, **changes: Any) -> nn.Module:
    model = tiny("bert", seed=seed, num_hidden_layers=1, **changes)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    return model


class Ordered(uegr.hf.Trainer):
    """Takes the rows in their order, and one seed before the first step."""

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Plain(transformers.Trainer):
    """One of a user's own: rows in their order, gradients as they are."""

    loss_is_scaled_for_ga = False

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Seeded(transformers.TrainerCallback):
    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:  # the loader has drawn by then
            torch.manual_seed(5)


def arguments(folder: Path, **options: Any) -> Any:
    given: dict[str, Any] = {
        "output_dir": str(folder), "per_device_train_batch_size": 4, "learning_rate": 0.01,
        "max_grad_norm": 0.05,
        "lr_scheduler_type": "constant", "num_train_epochs": 1, "save_strategy": "no", "report_to": [],
        "disable_tqdm": True, "use_cpu": True, "logging_steps": 1, "seed": 3,
        "optim": "adamw_torch",
    } | options  # fmt: skip
    return transformers.TrainingArguments(**given)


def trainer(
    folder: Path, recipe: Any = "uegr", model: nn.Module | None = None, *, options: Any = None, **changes: Any
) -> Ordered:
    extra = {key: changes.pop(key) for key in ("compute_loss_func", "model_init") if key in changes}
    given = None if "model_init" in extra else bert() if model is None else model
    return Ordered(
        given, arguments(folder, **changes), train_dataset=rows(), eval_dataset=rows(1), recipe=recipe,
        callbacks=[Seeded()], method_options=options, **extra,
    )  # fmt: skip


def with_callback(folder: Path, callback: Any, model: nn.Module | None = None, **changes: Any) -> Plain:
    return Plain(
        bert() if model is None else model, arguments(folder, **changes), train_dataset=rows(),
        eval_dataset=rows(1), callbacks=[Seeded(), callback],
    )  # fmt: skip


def by_hand(
    recipe: Any, model: nn.Module, size: int = 4, parts: int = 1, steps: int | None = None, **options: Any
) -> nn.Module:
    """The loop that the Trainer should be."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    if options.pop("autocast", False):
        model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
    method = uegr.attach(model, optimizer, recipe, seed=3, accumulate=parts, **options)
    batches = [rows()[i : i + size] for i in range(0, ROWS, size)]
    torch.manual_seed(5)
    for number, batch in enumerate(batches, 1):
        method.backward({key: torch.stack([row[key] for row in batch]) for key in batch[0]})
        if number % parts == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
            optimizer.zero_grad()
    method.remove()
    return model
