"""UEGR, or any other recipe of the zoo, on the model and in the training loop that one already has.

    method = uegr.attach(model, optimizer, "uegr")
    for batch in loader:
        loss = method.backward(batch)      # in place of loss = model(**batch).loss; loss.backward()
        optimizer.step(); scheduler.step(); optimizer.zero_grad()

A classifier of texts to keep, by scikit-learn's conventions, and nothing else to write:

    clf = uegr.TextClassifier(arch="textcnn", recipe="uegr").fit(texts, labels)

The parts stand alone too: `SelectiveUpdate`, `AdaptiveDropout`, `perturbation` and the divergences. Importing
this package imports no torch; its names do when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo import __version__
from zoo.core.errors import UserError, not_installed

if TYPE_CHECKING:
    from uegr.adapted import adapt
    from uegr.method import Method, attach
    from uegr.recipes import recipe
    from zoo.classifier.estimator import TextClassifier
    from zoo.method.backward.selective import SelectiveUpdate
    from zoo.method.dropout import AdaptiveDropout
    from zoo.method.forward.attack import perturbation
    from zoo.method.forward.divergence import DIVERGENCES, js
    from zoo.method.recipe import Recipe
    from zoo.recipes import RECIPES

_WHERE = {
    "adapt": "uegr.adapted",
    "attach": "uegr.method",
    "Method": "uegr.method",
    "recipe": "uegr.recipes",
    "TextClassifier": "zoo.classifier.estimator",
    "Recipe": "zoo.method.recipe",
    "RECIPES": "zoo.recipes",
    "SelectiveUpdate": "zoo.method.backward.selective",
    "AdaptiveDropout": "zoo.method.dropout",
    "perturbation": "zoo.method.forward.attack",
    "js": "zoo.method.forward.divergence",
    "DIVERGENCES": "zoo.method.forward.divergence",
}

__all__ = [
    "DIVERGENCES",
    "RECIPES",
    "AdaptiveDropout",
    "Method",
    "Recipe",
    "SelectiveUpdate",
    "TextClassifier",
    "UserError",
    "__version__",
    "adapt",
    "attach",
    "js",
    "perturbation",
    "recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'uegr' has no attribute {name!r}")
    try:
        return getattr(import_module(_WHERE[name]), name)
    except ModuleNotFoundError as error:
        raise not_installed(error) or error from error


def __dir__() -> list[str]:
    return __all__
