"""A user's batch: what the model is called with, what the labels are, the same rows once more.

Index letters: B examples, T tokens, C outputs, R rows of one call (a multiple of B).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError

Forward = Callable[[nn.Module, Any], Any]
Path = tuple[Any, ...]  # keys and numbers, from the outside in


def read(batch: Any) -> tuple[Any, Tensor]:
    """Inputs and labels of a mapping with `labels`, or of a pair (inputs, labels).

    Raises:
        UserError: no labels, or labels that do not count the rows of any input.
    """
    if isinstance(batch, Mapping):
        if batch.get("labels") is None:
            names = ", ".join(map(str, batch)) or "nothing"
            raise UserError(f"batch of {names}: expected `labels` among them")
        inputs, labels = _without_labels(batch), batch["labels"]
    elif isinstance(batch, tuple | list) and len(batch) == 2:
        inputs, labels = batch
    else:
        raise UserError(
            f"batch of type {type(batch).__name__}: expected a mapping of the model's arguments with "
            "`labels`, or a pair (inputs, labels)"
        )
    if not isinstance(labels, Tensor) or labels.dim() == 0:
        raise UserError(f"labels of type {type(labels).__name__}: expected a tensor with one row an example")
    sizes = [len(t) for t in tensors(inputs) if t.dim() > 0]
    if len(labels) not in sizes:
        raise UserError(f"labels of {len(labels)} rows beside inputs of {sizes} rows: expected the same")
    return inputs, labels


def unlabelled(batch: Any) -> tuple[Any, int]:
    """Inputs of a batch with or without `labels`, and B: the rows of the labels, else of the first tensor.

    Raises:
        UserError: no tensor with rows.
    """
    labels = None
    if isinstance(batch, Mapping) and batch.get("labels") is not None:
        batch, labels = read(batch)
    elif isinstance(batch, Mapping):
        batch = _without_labels(batch)
    sizes = [len(t) for t in tensors(batch) if t.dim() > 0]
    if not sizes:
        raise UserError(f"inputs of type {type(batch).__name__}: expected a tensor among them")
    return batch, sizes[0] if labels is None else len(labels)


def tensors(inputs: Any) -> list[Tensor]:
    """All tensors of nested mappings, tuples and lists."""
    if isinstance(inputs, Tensor):
        return [inputs]
    return [t for _, part in _parts(inputs) for t in tensors(part)]


def shared_of(inputs: Any, rows: int, path: Path = ()) -> set[Path]:
    """Where in the inputs stand tensors and lists that have no row an example: positions (T,), say."""
    if isinstance(inputs, Tensor):
        return set() if inputs.dim() > 0 and len(inputs) == rows else {path}
    if _is_column(inputs):
        return set() if len(inputs) == rows else {path}
    return {place for key, part in _parts(inputs) for place in shared_of(part, rows, (*path, key))}


def repeated(inputs: Any, rows: int, times: int, shared: Collection[Path] = (), path: Path = ()) -> Any:
    """Every tensor of B = `rows` rows `times` times along axis 0; anything else as it is.

    A list of B numbers or strings, of lengths or texts, say, is such a column too.

    Args:
        shared: places whose column has had another number of rows in other batches: where T = B by chance,
            its shape alone does not tell.
    """
    if times == 1:
        return inputs
    if isinstance(inputs, Tensor):
        own = inputs.dim() > 0 and len(inputs) == rows and path not in shared
        return inputs.repeat(times, *[1] * (inputs.dim() - 1)) if own else inputs
    if _is_column(inputs):
        return inputs * times if len(inputs) == rows and path not in shared else inputs
    parts = {key: repeated(part, rows, times, shared, (*path, key)) for key, part in _parts(inputs)}
    if isinstance(inputs, Mapping):
        return _like(inputs, parts)
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return type(inputs)(*parts.values())
    return type(inputs)(parts.values()) if isinstance(inputs, tuple | list) else inputs


def _is_column(inputs: Any) -> bool:
    """Whether this is a list or a plain tuple of numbers or strings."""
    return type(inputs) in (list, tuple) and all(isinstance(own, str | int | float) for own in inputs)


def _parts(inputs: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(inputs, Mapping):
        return inputs.items()
    return enumerate(inputs) if isinstance(inputs, tuple | list) else ()


def _without_labels(batch: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return _like(batch, {key: value for key, value in batch.items() if key != "labels"})


def _like(given: Mapping[Any, Any], parts: dict[Any, Any]) -> Mapping[Any, Any]:
    """`parts` in the type of `given`, since forward= may read entries as attributes; else as they are."""
    try:
        made: Any = type(given)(parts)  # type: ignore[call-arg]
    except (TypeError, ValueError):
        return parts
    return made if isinstance(made, Mapping) and list(made) == list(parts) else parts


def called(model: nn.Module, forward: Forward | None, inputs: Any) -> Any:
    """What the model gives for these inputs."""
    if forward is not None:
        return forward(model, inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def logits_of(output: Any, rows: int) -> Tensor:
    """(R, C) logits in what a model gave: the tensor itself, its `.logits`, or its entry `logits`.

    Raises:
        UserError: none of these, or another shape.
    """
    found = output
    if not isinstance(output, Tensor):
        found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if not isinstance(found, Tensor):
        raise UserError(
            f"the model gave a {type(output).__name__}: expected logits, an output with `logits`, or "
            "forward=: a function of the model and its inputs that returns them"
        )
    if found.dim() == 1:
        found = found[:, None]
    if found.dim() != 2 or len(found) != rows:
        raise UserError(f"logits of shape {tuple(found.shape)}: expected ({rows}, C), one row an example")
    return found


def mask_of(inputs: Any, tokens: Tensor, padding: int | None, given: Any) -> Tensor:
    """(B, T) bool, True = a token that may be attacked.

    From `given` (a function of the inputs), else an `attention_mask` of this shape among the inputs, else the
    embedding's `padding_idx`, else all.
    """
    mask = _told_mask(inputs, given)
    if given is None and (not isinstance(mask, Tensor) or mask.shape != tokens.shape):
        return torch.ones_like(tokens, dtype=torch.bool) if padding is None else tokens != padding
    if not isinstance(mask, Tensor) or mask.shape != tokens.shape:
        what = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise UserError(f"mask: got {what}, expected {tuple(tokens.shape)}, as the word ids")
    return mask != 0


def valid_of(inputs: Any, rows: int, given: Any) -> Tensor | None:
    """The same without ids, of B = `rows` rows: by `given` or the `attention_mask`; None: nobody says."""
    mask = _told_mask(inputs, given)
    return mask != 0 if isinstance(mask, Tensor) and mask.dim() == 2 and len(mask) == rows else None


def _told_mask(inputs: Any, given: Any) -> Any:
    if given is not None:
        return given(inputs)
    return inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
