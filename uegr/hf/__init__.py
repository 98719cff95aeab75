"""The method with Hugging Face's Trainer: `uegr.hf.Trainer` in place of `transformers.Trainer`.

    trainer = uegr.hf.Trainer(model, args, train_dataset=..., recipe="uegr")
    trainer.train()

`Callback` is for a Trainer of one's own, for what needs no pass but the ordinary one. Importing this package
imports transformers when a name is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.core.errors import UserError

if TYPE_CHECKING:
    from uegr.hf.callback import Callback
    from uegr.hf.trainer import Trainer

_WHERE = {"Callback": "uegr.hf.callback", "Trainer": "uegr.hf.trainer"}

__all__ = ["Callback", "Trainer"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'uegr.hf' has no attribute {name!r}")
    try:
        return getattr(import_module(_WHERE[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in ("transformers", "accelerate"):
            raise
        raise UserError(
            f"uegr.hf.{name} needs {error.name}: expected `pip install 'uegr[hf]'` before"
        ) from error


def __dir__() -> list[str]:
    return __all__
