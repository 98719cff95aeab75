"""How much of a planned grid is there: which blocks of one model and one seed are whole.

A mean over a part of a block would mix what is missing with what was found, so conclusions are drawn from
whole blocks alone: every recipe on every corpus.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from zoo.core.names import AVERAGE, NO_ARCH, in_order
from zoo.evidence.cells import Cells, Group, Key, Method, Run
from zoo.evidence.paper import paper

__all__ = ["SEEDS", "Block", "Planned", "table_iv"]

SEEDS = (0, 1, 2)  # of the preset `full`


@dataclass(frozen=True)
class Block:
    """One model and one seed: how many of the planned networks are there, and how many failed."""

    arch: str
    seed: int
    done: int
    failed: int
    planned: int

    @property
    def whole(self) -> bool:
        """Whether every recipe has a result on every corpus."""
        return self.done == self.planned

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be run; some of it may have failed."""
        return self.done + self.failed == self.planned


@dataclass(frozen=True)
class Planned:
    """A grid as it is planned, and the results that it has. Other seeds and recipes are not looked at.

    A recipe that was run under several settings fills no place: no single one of them is the planned one.
    """

    archs: tuple[str, ...]
    recipes: tuple[str, ...]
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Cells

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every model under every seed, in the order of print."""
        return tuple(self._block(arch, seed) for arch, seed in itertools.product(self.archs, self.seeds))

    def whole_seeds(self, arch: str) -> tuple[int, ...]:
        """The seeds under which a model is whole."""
        return tuple(block.seed for block in self.blocks if block.arch == arch and block.whole)

    def whole(self) -> Cells:
        """The results of all whole blocks, with the reference row; each model has all its whole seeds."""
        return self._of({arch: self.whole_seeds(arch) for arch in self.archs})

    def shown(self) -> Cells:
        """What tables show: a model's settled seeds, so that all its places have the same runs.

        Of a model without a settled seed all that is there. Recipes beside the planned ones are kept.
        """
        seeds = {arch: {b.seed for b in self.blocks if b.arch == arch and b.settled} for arch in self.archs}
        found: dict[Key, Group] = {}
        for key, runs in self.cells.groups.items():
            own = seeds.get(key.arch)
            if own:
                done, failed = (
                    {run: result for run, result in side.items() if run.seed in own}
                    for side in (runs.done, runs.failed)
                )
                runs = Group(done, failed)
            found |= {key: runs} if runs.every else {}
        return Cells(found)

    def even(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Models and seeds of which every pair is whole. A mean over these weighs every model alike.

        Several seeds before one, whose intervals say nothing of another; then as many models as possible;
        then as many seeds. Both are empty where no block is whole.
        """
        seeds = {arch: self.whole_seeds(arch) for arch in self.archs}
        sets = [own for n in range(len(seeds)) for own in itertools.combinations(self.archs, n + 1)]
        pairs = [(own, tuple(s for s in self.seeds if all(s in seeds[a] for a in own))) for own in sets]
        possible = [pair for pair in pairs if pair[1]]
        return max(possible, key=lambda p: (len(p[1]) > 1, *map(len, p)), default=((), ()))

    def even_cells(self) -> Cells:
        """The results of `even`, with the reference row."""
        archs, seeds = self.even()
        return self._of(dict.fromkeys(archs, seeds))

    def _of(self, seeds: Mapping[str, tuple[int, ...]]) -> Cells:
        """The planned recipes of these models and seeds, and the reference row where there is a model."""
        found: dict[Key, Group] = {}
        known = any(seeds.values())
        for key, runs in self.cells.groups.items():
            if key.arch == NO_ARCH:
                found |= {key: runs} if known and key.corpus in self.corpora else {}
            elif key.corpus in self.corpora and key.method in map(Method, self.recipes):
                own = {run: r for run, r in runs.done.items() if run.seed in seeds.get(key.arch, ())}
                found |= {key: Group(own, {})} if own else {}
        return Cells(found)

    def _block(self, arch: str, seed: int) -> Block:
        places = [
            self.cells.get(arch, corpus, Method(recipe))
            for recipe, corpus in itertools.product(self.recipes, self.corpora)
        ]
        done = sum(Run(seed) in group.done for group in places)
        failed = sum(Run(seed) in group.failed for group in places)
        return Block(arch, seed, done, failed, len(places))


def table_iv(cells: Cells, seeds: tuple[int, ...] = SEEDS) -> Planned:
    """The grid of the paper's Table IV: its models, recipes and corpora, under these seeds."""
    archs, recipes, corpora = (
        in_order(name for name in names if name != AVERAGE) for names in zip(*paper(), strict=True)
    )
    return Planned(archs, recipes, corpora, seeds, cells)
