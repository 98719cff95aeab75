"""The parts of the method that a callback can do in a `transformers.Trainer` of one's own.

A callback sees neither the batch nor the forward pass, so there is no attack and no second pass: it does
adaptive dropout (rates from earlier steps) and the backward stage. Everything else needs `uegr.hf.Trainer`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from uegr.batches import unlabelled, valid_of
from uegr.describe import missing
from uegr.hf import checkpoints
from uegr.hf.epochs import Epochs
from uegr.method import Method, attach
from uegr.recipes import as_recipe, recipe
from zoo.core.errors import UserError
from zoo.method.forward.bi_stage import BiStage
from zoo.method.recipe import Recipe


class Callback(Epochs):
    """Adaptive dropout and selective update in a Trainer of one's own.

        trainer = transformers.Trainer(model, args, train_dataset=data, callbacks=[uegr.hf.Callback()])

    The loss, its scaling and the accumulation stay the Trainer's: a plain Trainer multiplies the gradients of
    most encoder classifiers by the accumulation steps unless its `loss_is_scaled_for_ga` is False.

    Args:
        recipe: of one clean pass. Default: `uegr.recipe("dropout", dropout="mean", update="selective")`.
        base_rates: mean drop rate of the pass, as in `uegr.attach`.
        seed: of the update's mask; None: that of the TrainingArguments.
        resume_from: the checkpoint that the Trainer is told to go on from, of which a callback does not hear;
            read where it goes on. None: `checkpoint-N` in the output folder, as `on_save` has it.

    Raises:
        UserError: a recipe of several passes or with an attack; in training what `attach` refuses,
            torch_compile and activation checkpointing, and a checkpoint that has nothing of this callback's.
    """

    def __init__(
        self,
        recipe: str | Recipe | None = None,
        *,
        base_rates: tuple[float, ...] | None = None,
        seed: int | None = None,
        resume_from: str | os.PathLike[str] | None = None,
    ) -> None:
        self.recipe = _default() if recipe is None else as_recipe(recipe)
        stage = self.recipe.forward
        if not isinstance(stage, BiStage) or stage.passes != 1:
            raise UserError(
                f"recipe of {stage.passes} passes a step, {stage.kind}: a callback sees the Trainer's own "
                "alone; expected uegr.hf.Trainer, or a recipe of one clean pass"
            )
        super().__init__()
        self.base_rates, self.seed, self.resume_from = base_rates, seed, resume_from
        self.method: Method | None = None
        self._told = False
        self._handles: list[Any] = []
        self._passing = ExitStack()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the hooks."""
        self._detach()  # from a training that was interrupted
        super().on_train_begin(args, state, control, **kwargs)
        model, optimizer = kwargs["model"], kwargs["optimizer"]
        seed = args.seed if self.seed is None else self.seed
        names = ("is_activation_checkpointing", "is_gradient_checkpointing")  # since 5.23, and before
        name = next((name for name in names if hasattr(type(model), name)), None)
        checkpointing = name is not None and getattr(model, name)
        for name, given in (("torch_compile", args.torch_compile), ("checkpointing", checkpointing)):
            if given:
                raise UserError(
                    f"{name}: a callback does not see when a pass begins anew; expected uegr.hf.Trainer"
                )
        if args.n_gpu > 1:
            model = nn.DataParallel(model)  # which is what the Trainer trains, and `attach` refuses
        self._told = False
        self.method = attach(model, optimizer, self.recipe, base_rates=self.base_rates, seed=seed)
        if state.global_step:
            self._load(args, state.global_step)
        own = self.method.model
        self._handles = [
            own.register_forward_pre_hook(self._begin, with_kwargs=True),
            own.register_forward_hook(self._end, always_call=True),
        ]

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Settings that change once an epoch."""
        super().on_epoch_begin(args, state, control, **kwargs)
        if self.method is not None and self.begun():
            self.method.new_epoch()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the first one a UserWarning says which parts of the recipe do nothing with this model."""
        method, told = self.method, self._told
        self._told = True
        if method is not None and not told:
            for note in missing(method.recipe, method.trainee, {}, method.epochs):
                warnings.warn(f"{type(method.model).__name__}: {note}", stacklevel=2)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The record of the step, beside a training loss."""
        logs = kwargs.get("logs")
        if self.method is not None and isinstance(logs, dict) and "loss" in logs:
            record = dict(self.method.record)
            record |= {f"drop_rate/{name}": rate for name, rate in self.method.sites.mean_rates().items()}
            found = {f"uegr/{name}": float(value) for name, value in record.items()}
            logs.update(found)
            state.log_history[-1].update(found)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The state, beside the Trainer's own.

        Not in a search for hyper-parameters: its folders are not told to a callback.
        """
        if self.method is not None and not state.is_hyper_param_search:
            checkpoints.save(self.method, _folder(args, state.global_step), args)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the hooks out."""
        self._detach()

    def _load(self, args: Any, step: int) -> None:
        """The state of the checkpoint that is resumed."""
        assert self.method is not None
        folder = Path(_folder(args, step) if self.resume_from is None else self.resume_from)
        if self.resume_from is None and not checkpoints.file_of(folder, args).is_file():
            raise UserError(
                f"{folder}: no state of this callback's; expected Callback(resume_from=...) with the "
                "checkpoint that the Trainer goes on from, made with this callback and as many processes"
            )
        checkpoints.load(self.method, folder, args)

    def _detach(self) -> None:
        self._passing.close()  # a pass that was interrupted has not
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.method is not None:
            self.method.remove()

    def _begin(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A pass of the Trainer's; evaluation is left alone."""
        if not model.training or self.method is None:
            return
        _, rows = unlabelled([*args, *kwargs.values()])
        sites = self.method.sites
        self._passing.enter_context(sites.at_work())
        sites.positions.valid = valid_of(kwargs, rows, None)
        sites.plan_clean(1)
        self._passing.enter_context(sites.forward(rows, 0, 1))

    def _end(self, *_: Any) -> None:
        self._passing.close()


def _folder(args: Any, step: int) -> str:
    """Where a Trainer's checkpoint of a step lies, outside a search."""
    return f"{args.output_dir}/checkpoint-{step}"


def _default() -> Recipe:
    return recipe("dropout", dropout="mean", update="selective")
