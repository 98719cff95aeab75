"""Results grouped, once for all who read them: by model, corpus and method, then by seed and fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from zoo.core.errors import UserError
from zoo.core.names import BASELINE, NO_ARCH, display, in_order
from zoo.core.result import Result
from zoo.evidence.settings import as_read, differing, distinct, shown

__all__ = ["Cells", "Group", "Key", "Method", "Run"]


class Run(NamedTuple):
    """What tells the runs of a group apart."""

    seed: int
    fold: int | None = None


class Method(NamedTuple):
    """A recipe; where a folder has it under several settings, `variant` says which (`alpha 4`)."""

    recipe: str
    variant: str = ""

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"{display(self.recipe)}, {self.variant}" if self.variant else display(self.recipe)


class Key(NamedTuple):
    """Which runs belong together."""

    arch: str
    corpus: str
    method: Method


@dataclass(frozen=True)
class Group:
    """All runs of one model, corpus and method."""

    done: Mapping[Run, Result]
    failed: Mapping[Run, Result]

    @property
    def every(self) -> tuple[Result, ...]:
        """Those that are there, then the failed ones."""
        return (*self.done.values(), *self.failed.values())


_NOTHING = Group({}, {})


@dataclass(frozen=True)
class Cells:
    """Groups by key, in the order of print; made by `Cells.of`."""

    groups: Mapping[Key, Group]

    @classmethod
    def of(cls, results: Cells | Iterable[Result]) -> Cells:
        """Group results. What is grouped already is given back.

        Results of one model, corpus and recipe under several settings become several methods, each named by
        what differs.

        Raises:
            UserError: two results of one cell whose settings are equal: their texts differ, or they came from
                two folders, and a mean would mix two experiments.
        """
        if isinstance(results, Cells):
            return results
        every = list(results)
        variants = _variants(every)
        runs: dict[Key, dict[Run, Result]] = {}
        for result in every:
            cell = result.cell
            key = Key(cell.arch, cell.corpus, Method(cell.recipe, variants.get(result.id, "")))
            own, run = runs.setdefault(key, {}), Run(cell.seed, cell.fold)
            if run in own:
                raise UserError(
                    f"two results for {cell.arch}/{cell.corpus}/{cell.recipe} seed {cell.seed} with the same "
                    f"settings, of different texts: {own[run].id} and {result.id}; expected one: "
                    "keep each experiment in a results folder of its own, or delete one of the two files"
                )
            own[run] = result
        return cls(
            {
                key: Group(
                    {run: result for run, result in own.items() if result.done},
                    {run: result for run, result in own.items() if not result.done},
                )
                for key, own in ((key, runs[key]) for key in _ordered(runs))
            }
        )

    def get(self, arch: str, corpus: str, method: Method) -> Group:
        """The runs of one key, for the baseline those without arch; an empty group where there are none."""
        arch = NO_ARCH if method.recipe == BASELINE else arch
        return self.groups.get(Key(arch, corpus, method), _NOTHING)

    def archs(self) -> tuple[str, ...]:
        """The models, in the order of print; without that of the baseline."""
        return in_order(key.arch for key in self.groups if key.arch != NO_ARCH)

    def corpora(self) -> tuple[str, ...]:
        """The corpora, in the order of print."""
        return in_order(key.corpus for key in self.groups)

    def methods(self) -> tuple[Method, ...]:
        """The methods, in the order of print."""
        return tuple(dict.fromkeys(key.method for key in self.groups))

    def on(self, arch: str) -> Cells:
        """Those of one model and of the baseline, which has none."""
        return Cells({key: runs for key, runs in self.groups.items() if key.arch in (arch, NO_ARCH)})

    def within(self, corpora: Iterable[str], recipes: Iterable[str] | None = None) -> Cells:
        """Those of these corpora, and of these recipes unless None."""
        wanted, known = set(corpora), None if recipes is None else set(recipes)
        return Cells(
            {
                key: runs
                for key, runs in self.groups.items()
                if key.corpus in wanted and (known is None or key.method.recipe in known)
            }
        )

    def done(self, *, networks: bool = False) -> Iterator[Result]:
        """All results that are there, without failed ones; of neural networks alone on request."""
        for key, runs in self.groups.items():
            if not networks or key.arch != NO_ARCH:
                yield from runs.done.values()


def _ordered(keys: Iterable[Key]) -> list[Key]:
    known = list(keys)
    archs = in_order(k.arch for k in known)
    recipes = in_order(k.method.recipe for k in known)
    corpora = in_order(k.corpus for k in known)
    return sorted(
        known,
        key=lambda k: (
            archs.index(k.arch),
            recipes.index(k.method.recipe),
            _natural(k.method.variant),
            corpora.index(k.corpus),
        ),
    )


def _natural(variant: str) -> tuple[tuple[float, str], ...]:
    """alpha 4 before alpha 10."""
    return tuple(
        (float(word), "") if word.replace(".", "", 1).isdigit() else (-1.0, word)
        for word in variant.replace(",", " ").split()
    )


def _variants(results: Iterable[Result]) -> dict[str, str]:
    """Id of a result -> what names its settings, where a place of the tables has several."""
    places: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for result in results:
        cell = result.cell
        places.setdefault((cell.arch, cell.recipe), {}).setdefault(cell.corpus, []).append(result)
    found: dict[str, str] = {}
    for corpora in places.values():
        # Settings may differ between corpora (a text's length) without making another method.
        names = dict.fromkeys(
            name
            for own in corpora.values()
            for name in differing(map(as_read, distinct(r.settings for r in own)))
        )
        for result in (result for own in corpora.values() for result in own) if names else ():
            settings = as_read(result.settings)
            found[result.id] = ", ".join(f"{name} {shown(settings.get(name))}" for name in names)
    return found
