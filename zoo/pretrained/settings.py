"""The settings of a model that comes with weights and a tokeniser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.core.records import Settings, setting


@dataclass(frozen=True)
class Pretrained(Settings):
    """What a cell may change of a model that its folder describes."""

    what: ClassVar[str] = "model setting"

    pretrained: bool = setting(True)  # from its weights; off: the same layers from random ones


@dataclass(frozen=True)
class MultiTask(Pretrained):
    """Of one model that is trained on several tasks at once (`zoo.pretrained.multitask`)."""

    tasks: tuple[str, ...] = setting(())  # the corpora, by name; a run's own
