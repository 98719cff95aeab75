"""The path of a GPU without one: on torch's `meta` device, where tensors have shapes and no numbers.

What would make a GPU wait, or break a recording, fails here: a look at a number, a size that depends on data,
a tensor of the host that meets one of the device, a constant sent in the middle of a step. What `meta` cannot
see: cuDNN, streams, memory, and numbers; `tests/zoo/training/test_graphs.py` compares those on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from recorded import OPTIONS, RECORDED, SETTINGS, line, split
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tiny
from zoo.classifier.network import Network
from zoo.classifier.own import made_of
from zoo.core.result import Cell, Result
from zoo.fast.ranks import HISTOGRAM_ENTRIES, rank_normalise
from zoo.method.contract import TextClassifier
from zoo.method.recipe import Recipe
from zoo.method.step import prepare
from zoo.recipes import RECIPES
from zoo.training import graphs
from zoo.training.cell import Trained, train_cell
from zoo.training.device import begin_cell, work_of
from zoo.training.graphs import GraphedSteps
from zoo.training.resident import Resident
from zoo.training.robustness import attacked_logits
from zoo.training.seeds import StackedSteps
from zoo.training.settings import CellFailed

META = torch.device("meta")
WIDTH = 4  # words: without cuDNN a recurrent layer is a slow loop over them


class OneDevice(TorchDispatchMode):
    """Fails where an operator takes tensors of two devices, carries one across, or writes by a mask."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        taken, given = ({leaf.device.type for leaf in tensors(tree)} for tree in ((args, kwargs), made))
        assert len(taken) < 2, f"{function} takes tensors of {sorted(taken)}"
        assert not (taken and given) or taken == given, f"{function} goes from {taken} to {given}"
        if function is torch.ops.aten.index_put_.default:
            assert all(i is None or i.dtype != torch.bool for i in args[1]), f"{function} by a mask"
        return made


def tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No crossing; and no `torch.tensor`, which on a GPU is a copy from the host and on `meta` is nothing."""

    def refused(*_: Any, **__: Any) -> torch.Tensor:
        raise AssertionError("torch.tensor in the middle of a step")

    with OneDevice(), monkeypatch.context() as patch:
        patch.setattr(torch, "tensor", refused)
        yield


def a_step(arch: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second step of a recipe; the first makes what is made once."""
    # AdamW's fused kernel has no form on `meta`: the optimizer is torch's own matter and stands back here.
    monkeypatch.setattr(graphs, "make_optimizer", lambda model, *_: torch.optim.SGD(model.parameters(), 0.1))
    model = tiny.model(arch, double=False).train().to(META)
    steps = GraphedSteps(prepare(model, recipe, torch.Generator()), SETTINGS, split(), 0, META, None)
    index = torch.arange(4).to(META)
    steps.step(index, WIDTH)
    with watched(monkeypatch):
        steps.step(index, WIDTH)


def a_step_of_several(arch: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of three seeds as one model, of which one lacks a text."""
    monkeypatch.setattr(graphs, "make_optimizer", lambda model, *_: torch.optim.SGD(model.parameters(), 0.1))
    models = [tiny.model(arch, seed, double=False).train().to(META) for seed in range(3)]
    trainees = [prepare(model, RECIPES[name], torch.Generator()) for model in models]
    settings = tiny.cell_settings(name, arch, batch_size=4)
    steps = StackedSteps(trainees, settings.recipe, settings.train, split(), (0, 1, 2), META, None)
    index = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, len(split())]).to(META)
    steps.step(index, WIDTH)
    with watched(monkeypatch):
        steps.step(index, WIDTH)


@pytest.mark.parametrize("name", ["standard", "r_drop", "uegr"])
def test_so_does_one_of_several_seeds(arch: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_step_of_several(arch, name, monkeypatch)


@pytest.mark.parametrize("name", RECORDED)
def test_a_step_stays_on_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_step("textcnn", RECORDED[name], monkeypatch)


@pytest.mark.parametrize("name", ["dropout", "uegr"])
def test_whatever_the_model(arch: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_step(arch, RECORDED[name], monkeypatch)


@pytest.mark.parametrize("name", OPTIONS)
def test_so_does_one_with_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_step("textcnn", OPTIONS[name], monkeypatch)


def test_so_does_one_with_every_site(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_step(arch, RECIPES["uegr"].changed(sites=tuple(tiny.model(arch).sites)), monkeypatch)


def test_so_do_the_ranks_of_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    saliency = torch.empty(HISTOGRAM_ENTRIES, device=META)
    with watched(monkeypatch):
        assert rank_normalise(saliency).shape == saliency.shape


def test_evaluation_and_the_attack_on_it_stay_there(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: TextClassifier = tiny.model(arch, double=False).eval().to(META)
    resident = Resident.of(split(), META, line(arch))
    ((index, width), *_) = resident.plan(4, shuffle=False)
    batch = resident.batch(index, width)
    with watched(monkeypatch):
        with torch.inference_mode():
            model.classify(model.embed(batch.tokens), batch.mask).argmax(1)
        attacked_logits(model, batch)


def test_the_best_weights_are_kept_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selection copies the weights on the device; it does not carry them to the host and back."""
    model = tiny.model("textcnn", double=False).to(META)
    with watched(monkeypatch):
        model.load_state_dict({name: one.clone() for name, one in model.state_dict().items()})


# --- that it can fail -------------------------------------------------------------------------------------

MISTAKES: dict[str, Callable[[torch.Tensor], Any]] = {
    "a look at a number": lambda x: float(x.sum()),
    "a decision by a number": lambda x: 1 if x.sum() > 0 else 2,
    "a mask as an index": lambda x: x[x > 0],
    "a size by the data": lambda x: x.long().unique(),
    "places of the non-zero": lambda x: x.nonzero(),
    "counts without a length": lambda x: x.long().bincount(),
    "a tensor of the host": lambda x: x + torch.ones(4),
    "a constant made anew": lambda x: torch.where(x > 0, x, torch.tensor(0.0)),
    "numbers of the host": lambda x: torch.rand(4).to(x.device),
    "a write by a mask": lambda x: x.index_put_((x > 0,), x.new_zeros(())),
    "a way home": lambda x: x.cpu(),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.empty(4, device=META)
    with watched(monkeypatch), pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
        MISTAKES[name](x)


# --- what a device is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("tf32", [False, True])
def test_training_evaluation_and_attack_have_one_arithmetic(
    tf32: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever torch was told before, which stands again afterwards; a kept network predicts by it too."""
    products, layers = torch.backends.cuda.matmul, torch.backends.cudnn
    seen: list[tuple[bool, bool, bool]] = []
    classify = TextClassifier.classify

    def noted(self: TextClassifier, *given: Any, **more: Any) -> torch.Tensor:
        seen.append((self.training, products.allow_tf32, layers.allow_tf32))
        return classify(self, *given, **more)

    monkeypatch.setattr(TextClassifier, "classify", noted)
    before = products.allow_tf32, layers.allow_tf32
    products.allow_tf32 = layers.allow_tf32 = not tf32
    kept: list[Trained] = []
    try:
        head = Result("name", Cell("toy", "textcnn", "at", 0), "failed")
        settings = tiny.cell_settings("at", tf32=tf32)
        train_cell(head, settings, tiny.corpus(), torch.device("cpu"), keep=kept.append)
        assert (products.allow_tf32, layers.allow_tf32) == (not tf32, not tf32)
        Network.of(made_of(kept[0]), "at").probabilities(["w3 w4"])
    finally:
        products.allow_tf32, layers.allow_tf32 = before
    assert set(seen) == {(True, tf32, tf32), (False, tf32, tf32)}


def test_the_peak_of_memory_is_that_of_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    begin_cell(torch.device("cpu"))
    begin_cell(torch.device("cuda", 1))
    assert reset == [torch.device("cuda", 1)]


def test_memory_that_ends_is_the_cells_failure() -> None:
    with pytest.raises(CellFailed, match=r"^out of memory: CUDA says so$"), work_of(SETTINGS):
        raise torch.cuda.OutOfMemoryError("CUDA says so\nand more")
