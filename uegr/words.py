"""The word embedding of a model: found, listened to, and its output replaced, by one forward hook.

Index letters: B examples, T tokens, D vector size, R rows of one call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from uegr.compiled import Wrap
from uegr.random_numbers import put_random_states, random_states
from zoo.core.errors import UserError
from zoo.core.options import one_of


class _Reached(BaseException):
    """The word vectors are there; no code between the embedding and the caller takes it for an error."""


class Words:
    """Attacks act on what this embedding gives.

    Args:
        module: ids (R, T) -> vectors (R, T, D).
        name: its path in the model.
        guessed: nothing says that these are words, so where it looks up no input a UserWarning says it, once.
    """

    def __init__(self, module: nn.Module, name: str, guessed: bool = False) -> None:
        self.module, self.name, self.guessed = module, name, guessed
        self.listening, self.heard = False, False
        self.tokens, self.vectors = torch.empty(0), torch.empty(0)
        self.time_major = False  # whether the model asks for ids (T, R), as XLNet does
        self.replacement: Tensor | None = None
        # What gradient checkpointing gets that repeats a pass in the backward pass, after `replaced`.
        self.repeated: Tensor | None = None
        self.calls = 0
        self.handle: Any = None
        self.hook()

    def hook(self, wrap: Wrap | None = None) -> None:
        """Set the hook, as `wrap` gives it, in place of the one that was set."""
        self.remove()
        own = self._hook if wrap is None else wrap(self._hook)
        self.handle = self.module.register_forward_hook(own, with_kwargs=True)

    def _hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if self.listening:
            tokens = args[0] if args else next(iter(kwargs.values()))
            if not isinstance(output, Tensor) or output.dim() != 3 or tokens.shape != output.shape[:2]:
                what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise UserError(f"embedding {self.name} gave {what}: expected (B, T, D) for ids (B, T)")
            self.tokens, self.vectors = tokens, output
            raise _Reached
        vectors = self.repeated if self.replacement is None else self.replacement
        if vectors is None:
            return None
        self.calls += self.replacement is not None
        wanted = vectors.transpose(0, 1) if self.time_major else vectors
        if self.calls > 1 or output.shape != wanted.shape:
            raise UserError(
                f"embedding {self.name}: call {self.calls} of a forward pass, for {tuple(output.shape)}; "
                f"expected one call, for {tuple(wanted.shape)}"
            )
        return wanted

    def listen(self, forward: Callable[[], Any], inputs: list[Tensor], rows: int) -> tuple[Tensor, Tensor]:
        """Ids (B, T) and vectors (B, T, D) of a forward pass, which is left as soon as they are known.

        Args:
            inputs: the tensors of the batch of B = `rows` rows, which say where T = B whether ids come as
                (T, B).

        Raises:
            UserError: the pass does not use the embedding, or not for rows of this batch.
        """
        self.listening = True
        try:
            forward()
        except _Reached:
            self.time_major, self.heard = self._is_time_major(inputs, rows), True
            self._doubt(inputs)
            flip = (0, 1) if self.time_major else (0, 0)
            return self.tokens.transpose(*flip), self.vectors.transpose(*flip)
        finally:
            self.listening = False
            self.tokens, self.vectors = torch.empty(0), torch.empty(0)  # the graph is the caller's alone
        raise UserError(f"embedding {self.name}: the model's forward pass does not use it on this batch")

    def _doubt(self, inputs: list[Tensor]) -> None:
        if self.guessed and not any(_among(inputs, ids) for ids in (self.tokens, self.tokens.T)):
            warnings.warn(
                f"embedding {self.name}: the model's only nn.Embedding looks up no input as it is, and is "
                "attacked; expected embedding= with the words' module, if it has positions, say",
                stacklevel=2,
            )
        self.guessed = False

    def _is_time_major(self, inputs: list[Tensor], rows: int) -> bool:
        """Whether the ids at hand are (T, B); the shape says it, and where T = B their values do."""
        tokens, flipped = self.tokens, self.tokens.T
        if rows not in tokens.shape:
            raise UserError(
                f"embedding {self.name}: ids of shape {tuple(tokens.shape)}; expected {rows} rows, as the "
                "batch has"
            )
        if tokens.shape != flipped.shape:
            return len(tokens) != rows
        alike = [t for t in inputs if t.shape == tokens.shape]
        straight, turned = (any(torch.equal(t, ids) for t in alike) for ids in (tokens, flipped))
        return self.time_major if straight == turned else turned

    @contextmanager
    def replaced(self, vectors: Tensor) -> Iterator[None]:
        """The forward pass in this block gets `vectors` (R, T, D) from the embedding."""
        self.replacement, self.calls = vectors, 0
        try:
            yield
            if self.calls == 0:
                raise UserError(f"embedding {self.name}: the model's forward pass does not use it")
        finally:
            self.replacement = None

    def remove(self) -> None:
        """Take the hook out."""
        if self.handle is not None:
            self.handle.remove()


def _among(inputs: list[Tensor], ids: Tensor) -> bool:
    """Whether ids equal an input of whole numbers."""
    whole = [t for t in inputs if not t.is_floating_point() and not t.is_complex()]
    return any(t.shape == ids.shape and bool((t.to(ids.device) == ids).all()) for t in whole)


def named_embedding(
    model: nn.Module, given: str | nn.Module | None
) -> tuple[nn.Module, str] | tuple[nn.Module, str, bool] | None:
    """The arguments of `Words`, as far as the model alone says; None where a batch must decide.

    Raises:
        UserError: the model has none, or not the one that is named.
    """
    paths = {module: name for name, module in model.named_modules()}
    tables = {name: m for m, name in paths.items() if isinstance(m, nn.Embedding)}
    if isinstance(given, nn.Module):
        if given not in paths:
            raise UserError(f"embedding={type(given).__name__}: expected a module of the model")
        return given, paths[given]
    if given is not None:
        modules = {name: module for module, name in paths.items()}
        if given not in modules:
            raise UserError(f"embedding={given!r}: expected {one_of(given, tables or modules)}")
        return modules[given], given
    getter = getattr(model, "get_input_embeddings", None)
    if callable(getter):
        try:
            found = getter()
        except NotImplementedError:
            found = None
        if isinstance(found, nn.Module) and found in paths:
            return found, paths[found]
    if not tables:
        raise UserError(
            f"{type(model).__name__} has no nn.Embedding to attack: expected one, or embedding= with the "
            "module that turns ids into word vectors, or a recipe without an attack"
        )
    if len(tables) == 1:
        name, table = next(iter(tables.items()))
        return table, name, True
    return None


def seen_embedding(
    model: nn.Module, forward: Callable[[], Any], inputs: list[Tensor]
) -> tuple[nn.Module, str]:
    """The only nn.Embedding that looks up one of the `inputs`, found by a look at a forward pass.

    The look changes nothing: no gradient, evaluation mode, torch's random numbers put back.

    Raises:
        UserError: none does, or several do.
    """
    paths: dict[nn.Module, str] = {
        m: name for name, m in model.named_modules() if isinstance(m, nn.Embedding)
    }
    seen: dict[nn.Module, str] = {}

    def look(module: nn.Module, args: tuple[Any, ...]) -> None:
        ids = args[0] if args else None
        if isinstance(ids, Tensor) and _among(inputs, ids):
            seen[module] = paths[module]

    handles = [module.register_forward_pre_hook(look) for module in paths]
    modes = {module: module.training for module in model.modules()}
    random = random_states(model)
    try:
        model.eval()
        with torch.no_grad():
            forward()
    finally:
        put_random_states(model, random)
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    if len(seen) == 1:
        return next(iter(seen.items()))
    names = ", ".join(seen.values() if seen else paths.values())
    what = (
        f"{names} all look up inputs of the batch" if seen else f"none of {names} looks up an input as it is"
    )
    raise UserError(f"{type(model).__name__}: {what}; expected embedding= with the name of the words' one")
