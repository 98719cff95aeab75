"""What a method leaves in a Trainer's checkpoint, beside model, optimizer and random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uegr.method import Method
from zoo.core.errors import UserError

WEIGHTS = "model.safetensors"
CONVERSIONS = "_weight_conversions"  # how transformers came from the names of a file to those of a model


def file_of(folder: str | Path, args: Any) -> Path:
    """The file of this process: drop rates are those of each process."""
    rank = f"_{args.process_index}" if args.world_size > 1 else ""
    return Path(folder, f"uegr_method{rank}.pt")


def save(method: Method, folder: str | Path, args: Any) -> None:
    """Tensors and plain types, to be read with `weights_only`.

    A process that does not save the model may come first, or find no folder on its node.
    """
    path = file_of(folder, args)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(method.state_dict(), path)


def load(method: Method, folder: str | Path, args: Any) -> None:
    """Go on from `save`.

    Raises:
        UserError: no such file, or one of another recipe or model.
    """
    path = file_of(folder, args)
    if not path.is_file():
        raise UserError(
            f"{folder}: no {path.name}; expected a checkpoint of uegr.hf, made with as many processes"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch say
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: {what}; expected what uegr.hf has saved") from error
    method.load_state_dict(state)


@contextmanager
def own_names(model: nn.Module | None) -> Iterator[None]:
    """What is written in this block has the names of the model's own tensors, by which a Trainer reads it.

    transformers writes the names of the file that a model came from, such as LayerNorm.gamma, and a Trainer
    that goes on, or takes its best checkpoint, leaves out those that it does not know.
    """
    held = getattr(model, CONVERSIONS, None)
    if held is None:
        yield
        return
    setattr(model, CONVERSIONS, [])
    try:
        yield
    finally:
        setattr(model, CONVERSIONS, held)


def check_weights(model: nn.Module, folder: str | Path) -> None:
    """Refuse a checkpoint of another architecture; names and shapes are compared, nothing is loaded.

    Raises:
        UserError: a tensor that the model has not, or in another shape.
    """
    path = Path(folder, WEIGHTS)
    if not path.is_file():
        return  # of an adapter, or in parts: transformers says what is wrong
    from safetensors import SafetensorError, safe_open

    own = model.state_dict()
    try:
        with safe_open(path, "pt") as kept:
            shapes = {name: tuple(kept.get_slice(name).get_shape()) for name in kept.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: {error}; expected a whole safetensors file") from error
    for name, shape in shapes.items():
        if name not in own:
            raise UserError(
                f"{folder}: of another architecture: a tensor {name}, which {type(model).__name__} has not"
            )
        if shape != tuple(own[name].shape):
            raise UserError(
                f"{folder}: of another architecture: {name} of {shape}; expected {tuple(own[name].shape)}"
            )
