"""How many operators a training step launches on a GPU, counted without one.

The step runs on torch's `meta` device, where tensors have shapes and no numbers, in the fixed shapes and with
the operators of a GPU. What the dispatcher is asked for is noted, but for views and memory that is only
reserved. An operator counts once, though a sort is a dozen kernels; so does one pass of a one-way recurrent
layer, which is one call of cuDNN, and on `meta` would be a loop over the words.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from bench.cases import Case, check, make_split, make_trainee, recipe_of
from zoo.method.several import why_alone
from zoo.recipes import RECIPES
from zoo.training import graphs
from zoo.training.environment import made_by
from zoo.training.graphs import GraphedSteps, why_not_recorded
from zoo.training.optim import make_optimizer
from zoo.training.seeds import StackedSteps
from zoo.training.settings import TrainSettings

META = torch.device("meta")
PACKAGE = Path(zoo.__file__).parent
VOCABULARY = 1_000  # rows of the word table, on which nothing here depends but the time it takes to make
SEEDS = 3  # of the rows of several seeds as one model
WARM = 2  # steps before the one that counts; the first has no statistics yet
# Views that the dispatcher does not call so, and what is no operator at all.
NO_LAUNCH = {"detach", "_unsafe_view", "lift_fresh", "_record_function_enter_new", "_record_function_exit"}


def measure_launches(
    archs: Sequence[str], length: int, sizes: str, report: Callable[[str], None]
) -> dict[str, Any]:
    """{"launches": a row a model and recipe that a GPU records, "stacked": of SEEDS seeds, "made_by": who}.

    A row has `launches`, their number, and `where`, the same by the file of `zoo` that asked for them; one of
    several seeds as one model has `seeds` in its place.
    """
    recipes = [name for name, recipe in RECIPES.items() if why_not_recorded(recipe) is None]
    cases = [
        Case(arch, recipe, length, vocabulary=VOCABULARY, sizes=sizes) for arch in archs for recipe in recipes
    ]
    check(cases)
    rows = []
    for case in cases:
        report(f"{case.arch}, {case.recipe}")
        where = launches_of(case)
        rows.append(
            {"arch": case.arch, "recipe": case.recipe, "launches": sum(where.values()), "where": dict(where)}
        )
    stacked = []
    for case in cases:
        if not why_alone(RECIPES[case.recipe]):
            report(f"{case.arch}, {case.recipe}, {SEEDS} seeds as one model")
            found = sum(stacked_launches_of(case, SEEDS).values())
            stacked.append({"arch": case.arch, "recipe": case.recipe, "seeds": SEEDS, "launches": found})
    return {"launches": rows, "stacked": stacked, "made_by": made_by()}


def launches_of(case: Case) -> Counter[str]:
    """Launches of a step of the case by file, the most first."""
    with patch.object(graphs, "make_optimizer", _optimizer):
        trainee, _ = make_trainee(case, META, torch.Generator())
        settings = TrainSettings(batch_size=case.batch)
        steps = GraphedSteps(trainee, settings, make_split(case, 1), 0, META, None)
    return _counted_step(steps, case)


def stacked_launches_of(case: Case, seeds: int) -> Counter[str]:
    """Those of so many seeds as one model, whose recurrent layers are a loop over the words."""
    with patch.object(graphs, "make_optimizer", _optimizer):
        made = [make_trainee(case, META, torch.Generator()) for _ in range(seeds)]
        parts = ([trainee for trainee, _ in made], recipe_of(case), TrainSettings(batch_size=case.batch))
        steps = StackedSteps(*parts, make_split(case, 1), range(seeds), META, None)
    return _counted_step(steps, case)


def _counted_step(steps: GraphedSteps, case: Case) -> Counter[str]:
    index = torch.arange(steps.full, device=META)
    for _ in range(WARM):
        with counted():
            steps.step(index, case.length)
    with counted() as found:
        steps.step(index, case.length)
    return Counter(dict(found.most_common()))


def _optimizer(
    model: nn.Module, settings: TrainSettings, rate: Tensor | None, stacked: bool
) -> torch.optim.AdamW:
    """`make_optimizer` for a rate on `meta`, whose sign AdamW would look at."""
    optimizer = make_optimizer(model, settings, stacked=stacked)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return optimizer


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count what is launched inside the block, by the file of `zoo` that asks for it."""
    found: Counter[str] = Counter()
    devices = "torch.optim.optimizer._get_fused_kernels_supported_devices"
    with patch(devices, lambda: ["meta"]), _Operators(found), _RecurrentLayers(found):
        yield found


class _Operators(TorchDispatchMode):
    """Counts the operators that reach the dispatcher; the fused AdamW has no form on `meta`, so it rests."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if not function.is_view and "empty" not in name and name not in NO_LAUNCH:
            self.found[_file()] += 1
        return None if name == "_fused_adamw_" else function(*args, **(kwargs or {}))


class _RecurrentLayers(TorchFunctionMode):
    """Takes the place of torch's LSTM and GRU, whose shapes are all that counts here."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name not in ("lstm", "gru"):
            return function(*args, **(kwargs or {}))
        x, _, weights = args[:3]
        states = _RecurrentLayer.apply(self.found, x, *weights)
        return (states, None, None) if name == "lstm" else (states, None)


class _RecurrentLayer(torch.autograd.Function):
    """(B, T, D) -> (B, T, H), and back, each one launch."""

    @staticmethod
    def forward(ctx: Any, found: Counter[str], x: Tensor, *weights: Tensor) -> Tensor:
        ctx.found = found
        ctx.save_for_backward(x, *weights)
        found[_file()] += 1
        return x.new_empty(*x.shape[:2], weights[1].shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        ctx.found[_file()] += 1
        return None, *(torch.empty_like(tensor) for tensor in ctx.saved_tensors)


def _file() -> str:
    """The innermost file of `zoo` on the stack: a backward pass stands where it was asked for."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _of_zoo(frame.f_code.co_filename):
        frame = frame.f_back
    return "others" if frame is None else _of_zoo(frame.f_code.co_filename)


@cache
def _of_zoo(file: str) -> str:
    """The name of a file of `zoo` inside the package; empty for any other."""
    path = Path(file)
    return path.relative_to(PACKAGE).with_suffix("").as_posix() if path.is_relative_to(PACKAGE) else ""
