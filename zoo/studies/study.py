"""A study as a record: its axes, its settings, its places. JSON both ways; checked when it is made.

    {"preset": "demo", "recipe_preset": "default",
     "axes": {"corpora": ["bbc_news"], "archs": ["texthan"], "recipes": ["uegr"], "seeds": [0], "folds": 0},
     "changes": {"alpha": 4.0, "epochs": 3},
     "places": {"out": "runs/mine", "device": "cpu", "jobs": 2}}

What is absent is the preset's. Every cell of a study is a function of it and of the data (`zoo.grid.plan`);
the places change no result.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from zoo.changes import as_typed, check_read, resolve, shown
from zoo.core.errors import UserError, write_whole
from zoo.core.identity import plain, short_hash
from zoo.core.names import is_pretrained
from zoo.core.options import lookup, one_of
from zoo.core.records import Settings, setting
from zoo.grid.engines import engine_of
from zoo.grid.jobs import Running
from zoo.models import ARCHS
from zoo.recipes import RECIPE_PRESETS, RECIPES, TABLE_IV
from zoo.settings import PRESETS
from zoo.text import TextSettings, default_length
from zoo.text.settings import MOST_FOLDS
from zoo.text.sources.tables import stem_of
from zoo.training.settings import CellSettings

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Axes(Settings):
    """What is compared; each entry counts once, `all` among the archs is every one."""

    what: ClassVar[str] = "axis"

    corpora: tuple[str, ...] = setting(("bbc_news", "zh_reviews"))  # names, or paths of one's own
    archs: tuple[str, ...] = setting(("texthan",))
    recipes: tuple[str, ...] = setting(TABLE_IV)
    seeds: tuple[int, ...] = setting((0,), low=0, high=LARGEST_SEED)
    folds: int = setting(0, low=0, high=MOST_FOLDS)  # k of k-fold cross-validation; 0: the fixed split

    def __post_init__(self) -> None:
        super().__post_init__()
        if "all" in self.archs:
            object.__setattr__(self, "archs", (*self.archs, *ARCHS))
        for name in ("corpora", "archs", "recipes", "seeds"):
            values = tuple(v for v in dict.fromkeys(getattr(self, name)) if v != "all" or name != "archs")
            if not values or "" in values:
                raise UserError(f"axis {name} is empty or has an empty name; expected at least one")
            object.__setattr__(self, name, values)
        for arch in (name for name in self.archs if not is_pretrained(name)):
            lookup(dict.fromkeys(ARCHS), arch, "arch")
        for recipe in self.recipes:
            lookup(RECIPES, recipe, "recipe")
        if self.folds == 1:
            raise UserError("folds is 1; expected 0 (the fixed split) or at least 2")


@dataclass(frozen=True)
class Where(Running, Settings):
    """Where and how a study is run; nothing of it changes a result, but for `portable`. Empty or 0: as usual
    there.

    Args:
        out: folder of the results; empty: `runs/` and the study's own name.
        data: folder of the corpora. cache: folder of prepared text and vectors.
        device: auto, cpu or cuda.
        jobs: processes; 0: one a core on a CPU, one a GPU.
        cells_per_gpu: cells at a time on each GPU; 0: one. In turn in one process, or with `mps` in several.
        rerun_foreign: run cells again here that were made on another kind of processor.
        minutes: end after so many, and let the cells that train go on in another run; 0: run all.
        engine: what runs the cells: local, ray or slurm. engine_set: its settings, `NAME=VALUE`.
    """

    what: ClassVar[str] = "place"

    out: str = setting("")
    data: str = setting("")
    cache: str = setting("")
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))
    jobs: int = setting(0, low=0, high=10_000)
    cells_per_gpu: int = setting(0, low=0, high=1_000)
    rerun_foreign: bool = setting(False)
    minutes: float = setting(0.0, low=0)
    engine: str = setting("local")
    engine_set: tuple[str, ...] = setting(())

    def __post_init__(self) -> None:
        super().__post_init__()
        engine_of(self.engine, self.engine_set)


def places_of_preset(preset: str, given: Mapping[str, Any]) -> Where:
    """The places that are given; whether runs are portable is the preset's where nobody says."""
    row = lookup(PRESETS, preset, "preset")
    return Where.from_json({"portable": row.get("portable", False), **given})


@dataclass(frozen=True)
class Study:
    """One study.

    `changes` has settings of recipe, model, training and text by their own names, with values of their types.

    Raises:
        UserError: anything unknown, of another type or out of its bounds; a change that no cell reads.
    """

    preset: str = "demo"
    axes: Axes = Axes()
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe_preset: str = "default"
    places: Where = Where()

    def __post_init__(self) -> None:
        lookup(PRESETS, self.preset, "preset")
        lookup(RECIPE_PRESETS, self.recipe_preset, "recipe preset")
        object.__setattr__(self, "changes", as_typed(self.changes))
        check_read(self._cells(self.changes), self.changes)
        for corpus in self.axes.corpora:
            self.text(corpus, 0)

    @classmethod
    def of(cls, preset: str, axes: Mapping[str, Any] | None = None, **others: Any) -> Self:
        """A study of a preset; what is absent is the preset's, or the default of `Axes`."""
        row = lookup(PRESETS, preset, "preset")
        given = {"corpora": row["corpora"], "seeds": row["seeds"], **(axes or {})}
        others.setdefault("places", places_of_preset(preset, {}))
        return cls(preset=preset, axes=Axes.from_json(given), **others)

    @property
    def corpora(self) -> Sequence[str]:
        """Names or paths."""
        return self.axes.corpora

    @property
    def archs(self) -> Sequence[str]:
        """Models."""
        return self.axes.archs

    @property
    def recipes(self) -> Sequence[str]:
        """Methods."""
        return self.axes.recipes

    @property
    def seeds(self) -> Sequence[int]:
        """Seeds."""
        return self.axes.seeds

    @property
    def folds(self) -> int:
        """k of k-fold cross-validation; 0: the fixed split."""
        return self.axes.folds

    def text(self, corpus: str, fold: int) -> TextSettings:
        """How the texts of a corpus are prepared: the preset, the corpus's own length, then the changes."""
        row = PRESETS[self.preset]
        values = {"fraction": row["fractions"].get(corpus, 1.0), **row["text"]}
        values["max_length"] = default_length(corpus, values.get("max_length", TextSettings.max_length))
        own = {f.name for f in fields(TextSettings)}
        values |= {name: value for name, value in self.changes.items() if name in own}
        return TextSettings(**values | {"folds": self.folds, "fold": fold})

    def settings(self, arch: str, recipe: str, text: TextSettings, corpus: str = "") -> CellSettings:
        """Everything that decides a cell's result; no corpus: one of which the preset says nothing."""
        return resolve(self.preset, self.recipe_preset, arch, recipe, text, self.changes, corpus)

    def changed(self, axes: Mapping[str, Any] | None = None, **changes: Any) -> Self:
        """The study with other axes, and with these settings changed too."""
        return replace(self, axes=replace(self.axes, **axes or {}), changes={**self.changes, **changes})

    def effective(self) -> dict[str, Any]:
        """The changes that change something: not those that name what the preset has anyway."""
        whole = self._by_corpus(self.changes)

        def differs(name: str) -> bool:
            try:
                return self._by_corpus({k: v for k, v in self.changes.items() if k != name}) != whole
            except UserError:  # the others do not go together without it
                return True

        return {
            name: value
            for name, value in sorted(self.changes.items())
            if self._text_reads(name) or differs(name)
        }

    def _text_reads(self, name: str) -> bool:
        if name not in {f.name for f in fields(TextSettings)}:
            return False
        without = {k: v for k, v in self.changes.items() if k != name}
        other = replace(self, changes=without)
        return any(other.text(corpus, 0) != self.text(corpus, 0) for corpus in self.corpora)

    def _by_corpus(self, changes: Mapping[str, Any]) -> dict[str, dict[tuple[str, str], CellSettings]]:
        return {corpus: self._cells(changes, corpus) for corpus in self.corpora}

    def _cells(self, changes: Mapping[str, Any], corpus: str = "") -> dict[tuple[str, str], CellSettings]:
        text = TextSettings()
        pairs = [(arch, recipe) for arch in self.archs for recipe in self.recipes]
        return {
            (arch, recipe): resolve(self.preset, self.recipe_preset, arch, recipe, text, changes, corpus)
            for arch, recipe in pairs
        }

    def differences(self) -> dict[str, str]:
        """What makes its cells others than those of the preset on its own corpora, as text by name."""
        others = [name for name in self.corpora if name not in PRESETS[self.preset]["corpora"]]
        found = {} if self.recipe_preset == "default" else {"recipe_preset": self.recipe_preset}
        found |= {"folds": str(self.folds)} if self.folds else {}
        found |= {name: shown(value) for name, value in self.effective().items()}
        return found | ({"corpus": ",".join(stem_of(Path(name).name) for name in others)} if others else {})

    def out(self) -> Path:
        """The folder of its results: where it says, or `runs/` and a name that tells it from others.

        Other settings are another folder (`runs/demo+alpha=4+epsilon=0.3`), so that no run meets the files of
        another one; other archs, recipes and seeds go into the same.
        """
        if self.places.out:
            return Path(self.places.out).expanduser()
        parts = [f"{key}={Path(value).name or value}" for key, value in self.differences().items()]
        name = re.sub(r"[^\w.,=+-]+", "_", "+".join([self.preset, *parts]))
        if len(name) > 100:
            name = f"{name[:90]}+{short_hash(self.differences())}"
        return Path("runs") / name

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "preset": self.preset,
            "recipe_preset": self.recipe_preset,
            "axes": self.axes.as_json(),
            "changes": plain(dict(self.changes)),
            "places": self.places.as_json(),
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The study of `as_json`; what is absent has its default, or the preset's.

        What `--dry-run --json` and `--json` print has the study as one of its parts: it is taken as well.

        Raises:
            UserError: see the class.
        """
        parts = ("preset", "recipe_preset", "axes", "changes", "places")
        if not isinstance(values, Mapping):
            raise UserError(f"expected an object with some of {', '.join(parts)}")
        if "study" in values and not set(values) & set(parts):
            return cls.from_json(values["study"])
        for name, value in values.items():
            if name not in parts:
                raise UserError(f"unknown part {name!r}: expected {one_of(name, parts)}")
            kind = str if name.endswith("preset") else Mapping
            if not isinstance(value, kind):
                raise UserError(f"{name} is {value!r}: expected {'a text' if kind is str else 'an object'}")
        return cls.of(
            values.get("preset", "demo"),
            values.get("axes"),
            changes=values.get("changes", {}),
            recipe_preset=values.get("recipe_preset", "default"),
            places=places_of_preset(values.get("preset", "demo"), values.get("places", {})),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The study of a file.

        Raises:
            UserError: no such file, or no study in it; the message names it.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); expected a study as JSON") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not JSON ({error}); expected a study") from None
        try:
            return cls.from_json(values)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def write(self, folder: Path) -> Path:
        """Keep it in `folder/studies`, under a name that only the same study has."""
        # In ASCII, as the name of a file need not be UTF-8.
        text = json.dumps(self.as_json(), indent=1) + "\n"
        path = folder / "studies" / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
        write_whole(path, text.encode())
        return path
