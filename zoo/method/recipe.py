"""A recipe: one training method as three records, each beside the code that reads it.

    forward     which passes, on what, tied how: leaves the gradient of the loss in `.grad`
    dropout     the drop rates at the sites; None = none
    backward    what stands between the gradient and the optimizer's step; None = nothing

An ablation is data: the table of recipes is `zoo.recipes`. A method of another kind is one more record with
the same calls, in a file of its own under `forward/` or `backward/`, and one line in that table.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.core.records import Settings
from zoo.method.backward.selective import Selective
from zoo.method.forward.bi_stage import BiStage
from zoo.method.sites import Dropout
from zoo.method.trainee import Backward, Forward


@dataclass(frozen=True)
class Recipe:
    """One method."""

    forward: Forward = BiStage()  # noqa: RUF009 (frozen)
    dropout: Dropout | None = None
    backward: Backward | None = None

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        return self.forward.passes

    def parts(self) -> dict[str, Settings]:
        """The records that are present."""
        parts = {"forward": self.forward, "dropout": self.dropout, "backward": self.backward}
        return {name: part for name, part in parts.items() if part is not None}

    def read(self) -> set[str]:
        """The settings that its code reads with the values of the others."""
        return {
            field.name
            for part in self.parts().values()
            for field in dataclasses.fields(part)
            if field.name not in {"kind", *part.unread()}
        }

    def flat(self) -> dict[str, Any]:
        """Every setting of the parts that are present, by its own name; `dropout` and `update` say which they
        are.

        The names are unique over all parts: they are those that a user types.
        """
        settings: dict[str, Any] = {
            "dropout": "none" if self.dropout is None else self.dropout.kind,
            "update": "all" if self.backward is None else self.backward.kind,
        }
        for part in self.parts().values():
            settings |= {f.name: getattr(part, f.name) for f in dataclasses.fields(part) if f.name != "kind"}
        return settings

    def changed(self, **changes: Any) -> Recipe:
        """The recipe with other values of these settings (names as in `flat`).

        `dropout` and `update` may bring a part in, or take it out. A setting whose part the recipe lacks is
        left out.
        """
        recipe = self
        if (kind := changes.pop("dropout", None)) is not None:
            dropout = None if kind == "none" else dataclasses.replace(recipe.dropout or Dropout(), kind=kind)
            recipe = dataclasses.replace(recipe, dropout=dropout)
        if (update := changes.pop("update", None)) is not None:
            if update not in ("all", Selective.kind, self.backward and self.backward.kind):
                choices = ("all", Selective.kind)
                raise UserError(f"setting update={update!r}: expected {one_of(update, choices)}")
            if update == "all":
                recipe = dataclasses.replace(recipe, backward=None)
            elif recipe.backward is None or recipe.backward.kind != update:
                recipe = dataclasses.replace(recipe, backward=Selective())
        for name, part in recipe.parts().items():
            own = {f.name for f in dataclasses.fields(part)} & set(changes)
            new = dataclasses.replace(part, **{key: changes[key] for key in own})
            recipe = dataclasses.replace(recipe, **{name: cast(Any, new)})
        return recipe

    def named(self) -> dict[str, Any]:
        """What enters a cell's name: the parts that are present, and of them what is read."""
        named = {"forward": {"kind": self.forward.kind, **self.forward.named()}}
        if self.dropout is not None:
            adversarial = getattr(self.forward, "adversarial", 0)
            named["dropout"] = {"kind": self.dropout.kind, **self.dropout.named_for(adversarial)}
        if self.backward is not None:
            named["backward"] = {"kind": self.backward.kind, **self.backward.named()}
        return named

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types: each part with its kind, null where there is none."""
        parts: dict[str, Any] = {"forward": None, "dropout": None, "backward": None}
        return parts | {
            name: {"kind": getattr(part, "kind"), **part.as_json()}  # noqa: B009 (a field, or a class's name)
            for name, part in self.parts().items()
        }
