"""The result of a cell, typed: what was run, what came out, and what decided it. One JSON file each."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Self

import numpy as np

from zoo.core.classes import decode_classes, decode_scores, encode_classes, encode_scores
from zoo.core.errors import UserError
from zoo.core.measures import ACCURACY, MEASURES, Answers, Outcome, lack_of_skill
from zoo.core.names import NO_ARCH
from zoo.core.result_check import DONE, FAILED, checked, unpacked

__all__ = [
    "DONE", "FAILED", "NO_ARCH", "Cell", "CorpusInfo", "Machine", "Result", "Shared", "answers_json",
    "decode_classes", "encode_classes", "measures_of",
]  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Names of one training run."""

    corpus: str
    arch: str
    recipe: str
    seed: int
    fold: int | None = None  # under cross-validation only


@dataclass(frozen=True)
class CorpusInfo:
    """What a result says of its corpus: sizes of the parts, and notes on what is partial or ours in it.

    `labels` counts the classes; 1 where the answer is a score. `measure` is the main one.
    """

    name: str
    language: str
    fingerprint: str
    labels: int
    train_rows: int
    validation_rows: int
    test_rows: int
    words: int
    notes: tuple[str, ...] = ()
    measure: str = ACCURACY

    @property
    def scores(self) -> bool:
        """Whether the answers are numbers and not classes."""
        return self.labels == 1


@dataclass(frozen=True)
class Machine:
    """What decides a result beside its settings.

    Args:
        device: name of the device.
        processor: the vector instructions that torch's CPU kernels use (`AVX512`, `AVX2`, ...), with the
            bound that `--portable` set, or the GPU's compute capability; None where it was not recorded.
            Training in float32 differs between kinds, so results of two kinds are never paired.
        blas: the library of matrix products.
        fast_paths: names of the fast paths taken (`zoo.fast`).
        threads: of the cell.
    """

    device: str = ""
    processor: str | None = None
    blas: str = ""
    fast_paths: tuple[str, ...] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Result:
    """One cell's result.

    `measures` has the values of `zoo.core.measures.MEASURES` that the cell has. `predictions` and `truth` are
    the classes of the test texts, `attacked` says how the attacked sample was made, with the same two rows of
    classes of it (older results: its accuracy alone), and `further` has the two rows of each further test
    set. Where the answer is a score, the rows are scores. `validation_accuracy` is the validation value of
    the corpus's main measure. `curve` has an entry for each epoch that was reached (fewer than the settings'
    where patience ended), `seconds` the times. `made_by` says which version and which commit of this program
    made it (`commit` None: not from a checkout).
    """

    id: str
    cell: Cell
    status: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    corpus: CorpusInfo | None = None
    reason: str = ""  # of a failed cell
    traceback: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    validation_accuracy: float | None = None
    best_epoch: int | None = None
    curve: tuple[Mapping[str, Any], ...] = ()
    predictions: str = ""  # encode_classes
    truth: str = ""
    attacked: Mapping[str, Any] | None = None
    further: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: int | None = None
    vectors: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    strengths: tuple[Mapping[str, Any], ...] = ()  # of the reference row's SVM, tried on validation
    machine: Machine = Machine()
    recorded: bool = False  # whether steps were replayed as CUDA graphs
    not_recorded: str = ""  # why they were not, where a GPU could have
    seconds: Mapping[str, float] = field(default_factory=dict)
    step_seconds: float | None = None
    step_cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    made_by: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the cell gave a result."""
        return self.status == DONE

    @property
    def measure(self) -> str:
        """The name of the main measure."""
        return ACCURACY if self.corpus is None else self.corpus.measure

    @property
    def main(self) -> float:
        """The value of the main measure of a done cell."""
        return self.measures[self.measure]

    def answers(self, on: str = "test") -> tuple[np.ndarray, np.ndarray] | None:
        """(n,) what is true and (n,) what was said, on the texts of measures with this `on`.

        None where the result has no such texts, or (older ones) not their single answers.
        """
        if on == "test":
            return self.classes()
        holder = (self.attacked if on == "attacked" else self.further.get(on)) or {}
        if "truth" not in holder:
            return None
        decode = self._decode
        return decode(holder["truth"]), decode(holder["predictions"])

    @property
    def _decode(self) -> Any:
        return decode_scores if self.corpus is not None and self.corpus.scores else decode_classes

    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) true classes and (n,) predicted classes of the test texts; scores where these are asked for.

        Raises:
            UserError: the result has none that can be read.
        """
        try:
            truth, predictions = self._decode(self.truth), self._decode(self.predictions)
        except (ValueError, zlib.error):
            raise UserError(
                f"the result {self.id} has no readable 'predictions' and 'truth'; "
                "delete its file and run again"
            ) from None
        if truth.shape != predictions.shape or not truth.size:
            raise UserError(
                f"the result {self.id} has {predictions.size} predictions for {truth.size} texts; "
                "delete its file and run again"
            )
        return truth, predictions

    @cached_property
    def without_skill(self) -> str:
        """What is wrong with a network that does little more than name the largest classes; else empty."""
        truth, predictions = self.classes()
        if self.corpus is not None and self.corpus.scores:
            return "gives one score to all" if np.ptp(predictions) == 0 < np.ptp(truth) else ""
        return lack_of_skill(truth, predictions)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types; parts that are empty are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {"cell": asdict(self.cell), "machine": asdict(self.machine)}
        values["corpus"] = None if self.corpus is None else asdict(self.corpus)
        if self.measure == ACCURACY and self.corpus is not None:
            del values["corpus"]["measure"]  # as results from before there were others
        return {key: value for key, value in values.items() if value not in (None, "", (), {}, [])}

    @classmethod
    def from_json(cls, values: Any, where: str, known: bool = False, shared: Shared | None = None) -> Self:
        """The result of `as_json`, every part of it checked.

        Args:
            where: names the file in messages.
            known: these values have passed the checks before, and are not checked again.
            shared: parts that results of one run have alike are taken from it.

        Raises:
            UserError: not a result: a part is missing, of another type, unknown, or out of its bounds.
        """
        parts = unpacked(values) if known else checked(values, where)
        parts["cell"] = Cell(**parts["cell"])
        if parts.get("corpus") is not None:
            parts["corpus"] = CorpusInfo(**parts["corpus"])
        if "machine" in parts:
            parts["machine"] = Machine(**parts["machine"])
        if shared is not None:
            parts |= {name: shared(parts[name]) for name in Shared.NAMES if name in parts}
        return cls(**parts)


class Shared:
    """Equal parts of many results as one object: settings, corpus and truth are most of a result."""

    NAMES = ("settings", "corpus", "truth", "vectors", "machine", "made_by", "versions")

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def __call__(self, part: Any) -> Any:
        """The first part that was equal to this one, which may be it; nobody may change it."""
        # `marshal` is the fastest name of a tree of plain types; version 2 knows nothing of shared objects.
        key = marshal.dumps(part, 2) if isinstance(part, dict) else part
        return self._known.setdefault(key, part)


def measures_of(outcomes: Mapping[str, Answers], named: Iterable[str] = ()) -> dict[str, float]:
    """Every measure whose texts (`test`, `attacked`, ...) have answers of its kind.

    Args:
        named: those that the corpus names; others that are computed `by_name` are left out.
    """
    wanted = set(named)
    return {
        row.name: row.compute(outcomes[row.on])
        for row in MEASURES
        if row.on in outcomes and row.fits(outcomes[row.on]) and (not row.by_name or row.name in wanted)
    }


def answers_json(answers: Answers) -> dict[str, Any]:
    """What was said and what is true, as a result keeps them."""
    encode = encode_classes if isinstance(answers, Outcome) else encode_scores
    return {"predictions": encode(answers.predictions), "truth": encode(answers.truth)}
