"""Studies that measure networks, each a record; and what is kept of a measurement, one file a network.

What is measured is code (`zoo.probes`); here stands which networks, and how results are read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.errors import UserError
from zoo.core.names import display
from zoo.evidence.intervals import Estimate, average, by_run
from zoo.evidence.questions import Variant

__all__ = ["MEASUREMENTS", "SCHEMA", "Measurement", "Point", "mean_over_tasks", "missing", "read_points"]

SCHEMA = 1


@dataclass(frozen=True)
class Measurement:
    """What is asked, and the networks that are measured for it.

    Args:
        asks: in one sentence.
        variants: methods; the first one is what the others are held against.
        preset, archs, corpora, seeds, rate: of all variants.
        about: what the answer stands under on a page.
    """

    name: str
    asks: str
    variants: tuple[Variant, ...]
    preset: str = "slices"
    archs: tuple[str, ...] = ("textcnn",)
    corpora: tuple[str, ...] = ("imdb", "tnews")
    seeds: tuple[int, ...] = (0, 1, 2)
    rate: float = 1e-2
    about: str = "Inside the networks"

    @property
    def networks(self) -> int:
        """How many are measured."""
        return len(self.variants) * len(self.archs) * len(self.corpora) * len(self.seeds)


# The attack that the paper names, by sign, at half of RoAST's strength.
_ATTACK = {"attack": "fgsm", "epsilon": 0.05, "epsilon_unit": "rms"}
_WITHOUT = ("dropout", "sam")  # attack nothing
_ROBUSTNESS = "How robust the networks are"


def _plain(*recipes: str) -> tuple[Variant, ...]:
    return tuple(Variant(display(name), name, {} if name in _WITHOUT else _ATTACK) for name in recipes)


# Table III: its methods, the baseline first, at the attack of each one's default.
_TABLE_III = tuple(
    Variant(title, recipe)
    for title, recipe in (
        ("Vanilla", "dropout"),
        ("AdvEmbed", "adv_embed"),
        ("WCons", "l2_sp"),  # the middle of RecAdam's schedule is about where these trainings end
        ("CTune", "ctune_d"),
        ("AdvWeight", "sam"),
        ("UEGR", "uegr"),
    )
)

MEASUREMENTS: dict[str, Measurement] = {
    study.name: study
    for study in (
        Measurement(
            "theory",
            "Does Theorem 1 hold for real gradients, what is left of it under AdamW, and is the adversarial "
            "loss a gradient penalty (Section V-A)?",
            _plain("uegr"),
        ),
        Measurement(
            "drift",
            "Does the selective update keep a network nearer to where it began (Fig. 2a)?",
            _plain("dropout", "r_at", "uegr_no_mask", "uegr"),
        ),
        Measurement(
            "sharpness",
            "Does UEGR find flatter minima?",
            _plain("dropout", "sam", "uegr_no_mask", "uegr"),
        ),
        Measurement(
            "drop",
            "How much accuracy do weak, medium and strong attacks cost (Fig. 2b)?",
            (
                *_plain("dropout", "at", "r_at", "r_at_su", "uegr"),
                *(Variant(f"UEGR, trained at {e:g}", "uegr", _ATTACK | {"epsilon": e}) for e in (0.025, 0.1)),
            ),
            about=_ROBUSTNESS,
        ),
        Measurement(
            "robust",
            "Is a pre-trained model more robust after UEGR than after other robust fine-tuning (Table III)?",
            _TABLE_III,
            preset="minilm",
            archs=("hf:minilm",),
            corpora=("glue_sst2", "glue_mnli"),
            rate=1e-4,
            about=_ROBUSTNESS,
        ),
        Measurement(
            "robust-zh",
            "Table III in Chinese: is a network on pre-trained word vectors more robust after UEGR?",
            tuple(replace(v, changes={"vectors": "e5"}) for v in _TABLE_III),
            preset="quick",
            corpora=("tnews",),
            rate=3e-3,
            about=_ROBUSTNESS,
        ),
    )
}


Network = tuple[str, str, str, int]  # variant, model, corpus, seed
_APART = "expected one of them in a folder of its own"


@dataclass(frozen=True)
class Point:
    """One network, measured.

    Args:
        values: what the probe found, in plain JSON types.
        facts: the rest of the file: settings of cell and probe, corpus, machine, program, seconds.
    """

    id: str
    variant: str
    corpus: str
    arch: str
    seed: int
    values: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """What tells it from the other networks of its study."""
        return self.variant, self.arch, self.corpus, self.seed

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        cell = {"corpus": self.corpus, "arch": self.arch, "seed": self.seed}
        return {
            "schema": SCHEMA, "id": self.id, "variant": self.variant, "cell": cell,
            "values": dict(self.values), **self.facts,
        }  # fmt: skip


def read_point(path: Path) -> Point:
    """The measurement of a file.

    Raises:
        UserError: it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        schema, id, variant, cell, values = (
            found.pop(key) for key in ("schema", "id", "variant", "cell", "values")
        )
        if schema != SCHEMA:
            raise ValueError(f"schema {schema}")
        return Point(id, variant, cell["corpus"], cell["arch"], cell["seed"], values, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a measurement of schema {SCHEMA} ({error}); expected a file of zoo.study"
        ) from None


def read_points(folder: Path) -> list[Point]:
    """All measurements of a folder, by file name; none where there is no folder.

    Raises:
        UserError: a `.json` file of it is none; two are of one network, or were measured by other settings.
    """
    paths = sorted(folder.glob("[!.]*.json"))
    points = [read_point(path) for path in paths]
    first: dict[Network, Path] = {}
    for path, point in zip(paths, points, strict=True):
        if (other := first.setdefault(point.network, path)) != path:
            raise UserError(f"{path} and {other.name}: the same network, measured twice; {_APART}")
        before, own = (dict(p.facts.get("probe", {})) for p in (points[0], point))
        if any(own[name] != before[name] for name in own.keys() & before.keys()):
            raise UserError(f"{path} and {paths[0].name}: measured by other settings; {_APART}")
    return points


def missing(asked: Measurement, points: Sequence[Point]) -> int:
    """How many of the planned networks are not there."""
    there = {point.network for point in points}
    planned = {
        (v.name, arch, corpus, seed)
        for v in asked.variants
        for corpus in asked.corpora
        for arch in asked.archs
        for seed in asked.seeds
    }
    return len(planned - there)


def mean_over_tasks(values: Iterable[tuple[tuple[str, str], float]]) -> tuple[float, Estimate | None]:
    """The mean over tasks of the mean over the seeds of each, and its 95 % interval; any unit.

    Args:
        values: (model, corpus), which is the task, and the value of one seed of it.

    The tasks stay the same, so the interval covers other seeds of them: `intervals.average` of `by_run`,
    without a floor, as none is known. None where a task has one seed alone.
    """
    tasks: dict[tuple[str, str], list[float]] = {}
    for task, value in values:
        tasks.setdefault(task, []).append(value)
    mean = float(np.mean([np.mean(own) for own in tasks.values()]))
    if min(map(len, tasks.values())) < 2:
        return mean, None
    return mean, average([by_run(np.array(own)[:, None], floor=0.0) for own in tasks.values()])
