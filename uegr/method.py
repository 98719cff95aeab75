"""One door: any recipe on any PyTorch model, in the loop that trains it already.

Hooks and no wrapper: the model keeps its class, its parameters' names and its state dict, and `remove` leaves
it as it was. The masks of dropout come from torch's own random numbers, as those of `nn.Dropout` do; the mask
of the backward stage comes from a generator of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn

from uegr.batches import Forward, called, read, tensors
from uegr.bracket import Bracket
from uegr.checks import ATTACHED, check_model, check_optimizer, check_recipe, whole_number
from uegr.compiled import NO_LOOK, is_compiled, opened, renew
from uegr.describe import description, missing
from uegr.dropouts import HookedSites
from uegr.objective import Labelled, Loss, problem_of
from uegr.random_numbers import mask_seed
from uegr.ranks import Ranks
from uegr.recipes import as_recipe, preset_for
from uegr.trainee import HookedTrainee, Scale
from uegr.words import Words, named_embedding, seen_embedding
from zoo.core.errors import UserError
from zoo.fast.word_gradient import taken_out
from zoo.method.contract import TextClassifier
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.method.trainee import BackwardStage, copied, put_state


def attach(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: str | Recipe = "uegr",
    *,
    embedding: str | nn.Module | None = None,
    forward: Forward | None = None,
    mask: Callable[[Any], Tensor] | None = None,
    loss: Loss | None = None,
    problem: str | None = None,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    base_rates: tuple[float, ...] | None = None,
    passes_at_once: bool | int = True,
    accumulate: int = 1,
    seed: int | None = None,
) -> Method:
    """Train `model` by a recipe: hooks on the model and its optimizer, until `Method.remove`.

        >>> import torch, uegr
        >>> from torch import nn
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(
        ...     nn.Embedding(20, 8), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Dropout(0.1),
        ...     nn.Linear(16, 2),
        ... )
        >>> texts = torch.randint(20, (64, 4))
        >>> loader = [(texts, (texts[:, 0] > 9).long())] * 40
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        >>> method = uegr.attach(model, optimizer, "uegr")
        >>> for batch in loader:
        ...     loss = method.backward(batch)
        ...     optimizer.step(); optimizer.zero_grad()
        >>> bool(loss < 0.5)
        True

    Args:
        model: gives logits (B, C): as a tensor, as `.logits`, or by `forward`. Compiled before or after, by
            `torch.compile` or `.compile()`, its code is made anew with the hooks outside it. In
            DistributedDataParallel the gradients of all processes are averaged once a step, after the last of
            its batches, and a step without it is refused; the attack's unit and the drop rates are those of
            each process.
        recipe: a Recipe (`uegr.recipe` makes one), or a name: its preset is `uegr.recipes.preset_for(model)`.
        embedding: the module that turns ids (B, T) into word vectors (B, T, D), or its path. None: what
            `model.get_input_embeddings()` gives, else the only nn.Embedding that looks up an input.
        forward: (model, inputs) -> logits, for a model of another form.
        mask: inputs -> (B, T) bool, the tokens that may be attacked and that count in the norms of adaptive
            dropout. None: `attention_mask`, else, with an attack, all but the `padding_idx`, else all.
        loss: (logits (R, C), labels (R, ...)) -> (R,) or their mean, in place of what the labels say. Beside
            float labels (B, C) of other values than 0 and 1 no divergence is known: divergence=none.
        problem: "binary", where each output is a label of 0 and 1, or "regression", where one output is a
            number. None: what the labels say, or the configuration of a model of transformers; labels of 0
            and 1 beside one output want it said.
        label_smoothing, class_weights: of cross-entropy, as torch's; weights (C,).
        base_rates: mean drop rates of the clean pass, then of pass 1 .. K; the last one repeats. None: the
            recipe's where they are not the default, else each module's own `p`.
        passes_at_once: the K passes as one batch of K * B rows, or one after the other (False), or so many at
            a time. Then only their graphs are in memory at a time, and each pass takes one forward pass more.
        accumulate: batches of one optimizer step; the loss of each is divided by it.
        seed: decides the backward stage's masks; None: the seed of `torch.manual_seed` does. Their numbers
            are not those that made the weights, though both be given one seed.

    Raises:
        UserError: a model, optimizer, recipe or option that does not fit; one line that says what would.
    """
    group = None
    compiled, model, forward = opened(model, forward)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        group = model.process_group
        compiled, model, forward = opened(model.module, forward)
    check_model(model)
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner  # a wrapper of Accelerate's or Fabric's, whose step is this one's
    check_optimizer(model, optimizer)
    chosen = as_recipe(recipe, preset_for(model))
    own_rates = base_rates is None and (
        chosen.dropout is None or chosen.dropout.base_rates == Dropout().base_rates
    )
    if base_rates is not None:
        chosen = chosen.changed(base_rates=base_rates)
    check_recipe(model, chosen)
    at_once = (
        chosen.passes if passes_at_once is True else whole_number("passes_at_once", int(passes_at_once) or 1)
    )
    share = whole_number("accumulate", accumulate)
    objective = Labelled(label_smoothing, class_weights, loss, problem or problem_of(model))
    attacks = chosen.forward.attacks
    found = named_embedding(model, embedding) if attacks else None

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    ranks = None if group is None else Ranks(group, device)
    seed = mask_seed(torch.initial_seed() if seed is None else seed)
    generator = torch.Generator(device).manual_seed(seed if ranks is None else ranks.first_of(seed))
    stage = None if chosen.backward is None else chosen.backward.start(model, generator)
    sites = HookedSites(model, chosen.dropout, own_rates)
    trainee = HookedTrainee(
        cast(TextClassifier, model), chosen.forward, sites, stage, False, generator, False,
        objective=objective, attacks=attacks, call=forward, mask=mask, at_once=at_once, share=share,
        words=None if found is None else Words(*found), compiled=compiled,
    )  # fmt: skip
    return Method(optimizer, chosen, trainee, stage, ranks)


class Method:
    """A recipe at work on a model; `attach` makes it.

    `record` holds scalars: of the last batch loss_clean, loss_adversarial, divergence, perturbation and
    drop_rate/<site>, as far as the recipe has them; of the last step kept_share and mean_keep_probability.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        trainee: HookedTrainee,
        stage: BackwardStage | None,
        ranks: Ranks | None = None,
    ) -> None:
        self.optimizer, self.recipe, self.trainee, self.stage = optimizer, recipe, trainee, stage
        self.ranks, self.batches = ranks, 0
        self.model, self.sites = trainee.model, trainee.hooked_sites
        if ranks is not None:
            ranks.guard(optimizer)  # before the mask is drawn
        self.bracket = None if stage is None else Bracket(optimizer, stage, trainee.touched)
        self.terms: dict[str, Tensor] = {}
        self.removed, self.renewed, self.epochs = False, False, 0
        ATTACHED.add(self.model)

    @property
    def accumulate(self) -> int:
        """Batches of one optimizer step; may be set before the first of a step.

        Where an epoch ends with fewer, set it to their number.
        """
        return self.trainee.share

    @accumulate.setter
    def accumulate(self, batches: int) -> None:
        self.trainee.share = whole_number("accumulate", batches)

    @property
    def record(self) -> dict[str, Tensor]:
        """Scalars of the last batch and of the last step."""
        return self.terms | ({} if self.bracket is None else self.bracket.record)

    def backward(
        self, batch: Any, scale: Scale | None = None, *, backward: Callable[[Tensor], Any] | None = None
    ) -> Tensor:
        """Add the gradient of the recipe's loss on a batch to every `.grad`; returns the loss (a scalar).

        At the first batch a UserWarning says which parts of the recipe do nothing with this model.

        Args:
            batch: a mapping of the model's arguments with `labels`, or a pair (inputs, labels), of B rows.
                Tensors of B rows are repeated by pass, but for one that once had other rows: positions (T,).
                Labels: whole (B,) for classes, float (B,) beside one output for regression, float (B, C) of 0
                and 1 for several labels at once.
            scale: what is done to a loss before its backward pass, as `scaler.scale` of a GradScaler.
            backward: in place of `loss.backward()`, as `accelerator.backward` or `fabric.backward`.

        Raises:
            UserError: the method was removed, the model is in evaluation mode, or the batch does not fit.
        """
        if self.removed:
            raise UserError("method.backward: the method was removed from the model; attach another one")
        if not self.model.training:
            name = type(self.model).__name__
            raise UserError(f"{name} is in evaluation mode, where nothing is dropped; call .train()")
        inputs, labels = read(batch)
        trainee = self.trainee
        self._heed_compiling()
        if trainee.attacks and trainee.words is None:
            look = lambda: called(self.model, trainee.call, inputs)  # noqa: E731
            trainee.words = Words(*seen_embedding(self.model, look, tensors(inputs)))
        if self.ranks is not None:
            self.ranks.before_batch(self.model.parameters())
        self._narrow()
        # Of earlier batches, which a stage that reads its own gradient must not see.
        earlier = [] if self.recipe.forward.adds_up else taken_out(self.model.parameters())
        try:
            with self.sites.at_work():
                text = trainee.open(inputs, labels, scale, backward)
                record = self.recipe.forward.gradients(trainee, text)
        finally:
            trainee.close()
            for p, gradient in earlier:
                p.grad = gradient if p.grad is None else p.grad.add_(gradient)
        self.batches += 1
        if self.ranks is not None:
            self.ranks.after_batch(self.model.parameters(), trainee.share)
        scalars = {key: t for key, t in record.items() if isinstance(t, Tensor) and t.dim() == 0}
        self.terms = {key: value for key, value in scalars.items() if key != "loss"}
        # A stage that wants its first pass says so itself, when a step is tried without it.
        if self.batches == 1 and not (self.stage is not None and self.stage.wants_pass):
            for note in missing(self.recipe, trainee, self.terms, self.epochs):
                warnings.warn(f"{type(self.model).__name__}: {note}", stacklevel=2)
        return scalars["loss"]

    def _narrow(self) -> None:
        if self.bracket is not None:
            self.bracket.narrow()

    def _heed_compiling(self) -> None:
        """Once a compiled model is seen, be it compiled before or after `attach`."""
        if self.renewed or not (self.trainee.compiled or is_compiled(self.model)):
            return
        words = self.trainee.words
        if words is None and self.trainee.attacks:
            raise UserError(NO_LOOK.format(type(self.model).__name__))
        renew([self.sites] if words is None else [self.sites, words])
        self.renewed = True

    def first_pass(self, batches: Iterable[Any]) -> None:
        """A pass over the training data before the first step, for a recipe that chooses by one (ctune_d).

        Weights stay as they are. Of another recipe nothing is done. `batches` are as `backward` takes them.

        Raises:
            UserError: there is none, or none has a gradient to choose by.
        """
        self._narrow()
        if self.stage is None or not self.stage.wants_pass:
            return
        share, stream = self.accumulate, iter(batches)
        for step in iter(lambda: list(islice(stream, share)), []):
            self.accumulate = len(step)  # the last one may be shorter
            for batch in step:
                self.backward(batch)
            self.stage.observe()
            self.model.zero_grad()
        self.accumulate = share
        self.stage.settle()
        self.batches = 0

    def new_epoch(self) -> None:
        """An epoch begins: to be called before its first batch.

        With `resample=epoch` or `saliency=epoch` (preset roast_code) the mask changes here and nowhere else.
        """
        if self.stage is not None:
            self.epochs += 1
            self.stage.new_epoch()

    def describe(self) -> str:
        """What was found in the model, where the mask acts, and what is missing; at most 80 columns."""
        self._narrow()
        return description(self.recipe, self.trainee, self.terms, self.epochs)

    def remove(self) -> None:
        """Take every hook out; the model and the optimizer are as they were but for what was trained."""
        if self.removed:
            return
        for part in (self.sites, self.trainee.words, self.bracket, self.ranks):
            if part is not None:
                part.remove()
        if self.renewed:
            renew([])
        ATTACHED.discard(self.model)
        self.removed = True

    def state_dict(self) -> dict[str, Any]:
        """What a training goes on with, beside model, optimizer and torch's own random numbers.

        Tensors and plain types, in one dict for `torch.save`.
        """
        state: dict[str, Any] = {"recipe": self.recipe.as_json(), "sites": self.sites.state_dict()}
        if self.trainee.state:
            state["forward"] = self.trainee.state
        if self.stage is not None:
            state["epochs"] = self.epochs
            state["update"] = {"generator": self.trainee.generator.get_state(), **self.stage.state()}
        return dict(copied(state))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; its tensors may lie on any device. From GPU to CPU masks are others.

        Raises:
            UserError: the state of another recipe, or of a model with other dropout sites or parameters.
        """
        if not isinstance(state, Mapping) or state.get("recipe") != self.recipe.as_json():
            raise UserError(
                "state: of another recipe; expected the state_dict of a method with these settings"
            )
        state = copied(dict(state))
        if self.stage is not None:
            self.stage.load(state["update"])
            self.epochs = state.get("epochs", 0)  # older states have none
            put_state(self.trainee.generator, state["update"]["generator"])
        self.trainee.state = copied(state.get("forward", {}), self.trainee.device)
        self.sites.load_state_dict(state["sites"])
