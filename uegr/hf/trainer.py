"""`transformers.Trainer` that trains by a recipe.

What is overridden: `training_step` (the method's passes in place of one), `train` (hooks come and go with
it), `log` and the saving of checkpoints. All else is the Trainer's, evaluation and prediction too. Plain
recipes go the same way, so that comparisons are fair: the Trainer itself multiplies the gradients of most
encoder classifiers by the number of accumulation steps.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

import transformers
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_utils import get_last_checkpoint

from uegr.hf import checkpoints
from uegr.hf.epochs import Epochs
from uegr.method import Method, attach
from uegr.recipes import as_recipe, preset_for
from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.method.recipe import Recipe

OPTIONS = ("embedding", "forward", "mask", "class_weights", "base_rates", "passes_at_once", "seed")


class Trainer(transformers.Trainer):
    """Drop-in for `transformers.Trainer`, with `recipe=`.

        trainer = uegr.hf.Trainer(model, args, train_dataset=data, recipe="uegr")

    `trainer.method` is the method at work while it trains, and afterwards what it was. Logs have its record
    under `uegr/`. A checkpoint has its state, and training resumes bit for bit. `label_smoothing_factor`,
    accumulation, clipping (before the mask), bf16 and fp16, `torch_compile`, DistributedDataParallel by
    torchrun, adapters and `model_init` are as usual.

    `compute_loss_func(outputs, labels, num_items_in_batch=n)` gets the logits of all passes of one kind with
    as many labels, and gives their mean; n counts these labels, as transformers counts them (-100 is none),
    but of this call alone: so a sum divided by n is the mean, and accumulated batches are divided by their
    number.

    Args:
        recipe: a Recipe (`uegr.recipe` makes one), or a name: its preset is `uegr.recipes.preset_for(model)`.
        method_options: further arguments of `uegr.attach` by name: embedding, forward, mask, class_weights,
            base_rates, passes_at_once, seed (else the seed of the TrainingArguments).
        args, kwargs: those of `transformers.Trainer`.

    Raises:
        UserError: an unknown recipe or option, an overridden `compute_loss`; in `train` what `attach`
            refuses, DataParallel, FSDP and DeepSpeed among it, regression of several numbers without a
            `compute_loss_func`, and a checkpoint of another recipe or model.
    """

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        *args: Any,
        recipe: str | Recipe = "uegr",
        method_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.method_options = dict(method_options or {})
        for name in self.method_options:
            if name not in OPTIONS:
                raise UserError(f"method_options {name}: expected {one_of(name, OPTIONS)}")
        if type(self).compute_loss is not transformers.Trainer.compute_loss:
            raise UserError(
                f"{type(self).__name__} overrides compute_loss, which sees one pass alone; expected "
                "compute_loss_func="
            )
        self.method: Method | None = None
        self._trained: Any = None  # what the method is attached to
        self._resumed: str | None = None
        super().__init__(*args, **kwargs)
        assert self.model is not None  # transformers refuses none
        self.recipe = as_recipe(recipe, preset_for(self.model))
        self._epochs = Epochs()
        self.add_callback(self._epochs)

    def train(
        self, resume_from_checkpoint: str | os.PathLike[str] | bool | None = None, *args: Any, **kwargs: Any
    ) -> transformers.trainer_utils.TrainOutput:
        """As `transformers.Trainer.train`; when it is over no hook is left in the model.

        Raises:
            UserError: see the class.
        """
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise UserError(
                "FSDP and DeepSpeed: no process holds the whole gradient that is ranked; expected "
                "DistributedDataParallel, which torchrun gives without them"
            )
        if self.args.n_gpu > 1:
            raise UserError(
                f"{self.args.n_gpu} GPUs in one process: DataParallel's replicas share the hooks' state; "
                "expected torchrun, or one GPU (CUDA_VISIBLE_DEVICES=0)"
            )
        if isinstance(resume_from_checkpoint, os.PathLike):
            resume_from_checkpoint = os.fspath(resume_from_checkpoint)
        self._resumed = resume_from_checkpoint if isinstance(resume_from_checkpoint, str) else None
        if resume_from_checkpoint is True:
            self._resumed = get_last_checkpoint(self.args.output_dir)
        if self._resumed is not None and self.model is not None:
            checkpoints.check_weights(self.model, self._resumed)
        try:
            return super().train(resume_from_checkpoint, *args, **kwargs)
        finally:
            self._detach()

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """The gradient of the recipe's loss on a micro-batch; its loss, divided by their number."""
        model.train()
        if callable(mode := getattr(self.optimizer, "train", None)):
            mode()  # of an optimizer without a schedule
        method = self._attached(model)
        if self._epochs.begun():
            method.new_epoch()
        method.accumulate = self.current_gradient_accumulation_steps
        scaler = getattr(self.accelerator, "scaler", None)
        with self.compute_loss_context_manager():
            loss = method.backward(self._batch(inputs), None if scaler is None else scaler.scale)
        return (loss / self.current_gradient_accumulation_steps).to(self.args.device)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As `transformers.Trainer.log`; beside a training loss stands the record of the method."""
        if self.method is not None and "loss" in logs:
            logs |= {f"uegr/{name}": float(value) for name, value in self.method.record.items()}
        super().log(logs, *args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        with checkpoints.own_names(self.model):
            super()._save_checkpoint(model, trial)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.method is not None:
            checkpoints.save(self.method, output_dir, self.args)

    def _attached(self, model: nn.Module) -> Method:
        """The method on this very model and optimizer: `model_init` and a search make others."""
        assert self.optimizer is not None
        now = (model, self.optimizer)
        if self._trained is not None and all(a is b for a, b in zip(now, self._trained, strict=True)):
            assert self.method is not None
            return self.method
        self._detach()
        config: Any = getattr(self.model, "config", None)
        regression = getattr(config, "problem_type", None) == "regression"
        if regression and (numbers := config.num_labels) > 1 and self.compute_loss_func is None:
            raise UserError(
                f"problem_type=regression of {numbers} numbers: float labels of several outputs are 0 and 1 "
                "here; expected one output, or compute_loss_func= and a recipe with divergence=none"
            )
        options = {"seed": self.args.seed} | self.method_options
        if self.compute_loss_func is not None:
            options["loss"] = self._loss
        if self.args.label_smoothing_factor:
            options["label_smoothing"] = self.args.label_smoothing_factor
        self.method = attach(model, self.optimizer, self.recipe, **options)
        self._trained = now
        if self._resumed is not None:
            checkpoints.load(self.method, self._resumed, self.args)
            self._resumed = None
        elif self.method.stage is not None and self.method.stage.wants_pass:
            with self.compute_loss_context_manager():
                self.method.first_pass(map(self._batch, self.get_train_dataloader()))
        return self.method

    def _batch(self, inputs: dict[str, Any]) -> Mapping[str, Any]:
        """On the device, in the type that the collator gives; a single one of `label_names` is `labels`."""
        batch: Mapping[str, Any] = self._prepare_inputs(inputs)
        if "labels" in batch or len(self.label_names) != 1 or self.label_names[0] not in batch:
            return batch
        return {"labels" if key == self.label_names[0] else key: value for key, value in batch.items()}

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        assert self.compute_loss_func is not None
        count = {"num_items_in_batch": labels.ne(-100).sum()}
        if not _takes(self.compute_loss_func, "num_items_in_batch"):
            count = {}
        found: Tensor = self.compute_loss_func(SequenceClassifierOutput(logits=logits), labels, **count)
        return found

    def _detach(self) -> None:
        if self.method is not None:
            self.method.remove()
        self._trained = None


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument of this name, or takes any."""
    own = inspect.signature(function).parameters.values()
    return any(p.name == name or p.kind == p.VAR_KEYWORD for p in own)
