"""What results say of the paper's claims: an estimate, its interval and a verdict for each, by one rule.

A claim names a quantity and the bound that it must pass (`zoo.evidence.claims`). With p the two-sided p value
of "the quantity is at the bound", adjusted by Holm for all claims that these results can test:

    supported       p < 0.05, and the estimate is on the claim's side of the bound
    not supported   p < 0.05, and it is on the other side
    cannot tell     otherwise; also from one seed, whose interval does not cover another, without results, and
                    where another folder of the same results has an interval wholly on the other side
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.core.names import is_pretrained
from zoo.core.result import NO_ARCH, Result
from zoo.evidence.cells import Cells, Group, Key, Method, Run
from zoo.evidence.claims import CLAIMS, Claim, Measured, Pair, Variants
from zoo.evidence.intervals import Estimate, estimate_of
from zoo.evidence.measurements import Point, mean_over_tasks
from zoo.evidence.planned import table_iv
from zoo.evidence.questions import owners, question
from zoo.evidence.settings import as_read, differing, distinct, shown
from zoo.evidence.statements import NOT_SUPPORTED, SUPPORTED, Statement, findings
from zoo.evidence.statistics import holm

__all__ = ["CANNOT_TELL", "LEVEL", "Answer", "Held", "Judged", "judged", "training_texts"]

CANNOT_TELL = "cannot tell"
LEVEL = 0.05


@dataclass(frozen=True)
class Held:
    """What a folder of results holds, by the names of its folders.

    Args:
        grids: cells that compare recipes.
        answers: those of a question (`zoo.evidence.questions`), by its name.
        points: the networks of a measurement (`zoo.evidence.measurements`), by its name.
    """

    grids: Mapping[str, Cells] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Result]] = field(default_factory=dict)
    points: Mapping[str, Sequence[Point]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The quantity of a claim in one folder.

    Args:
        where: the folder's name.
        value: the estimate; `estimate` has its interval, None from a single network.
        n: how many networks, or pairs of them, it is the mean of.
        paper: the paper's value of it, None where it prints none.
        corpora: that it is the mean over, where it compares methods.
        settings: of the claim's recipe, those that all of its networks there have alike.
    """

    where: str
    value: float
    estimate: Estimate | None
    n: int
    paper: float | None = None
    corpora: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def unlike(self, other: Answer) -> dict[str, str]:
        """What the recipe has there and not here."""
        both = self.settings.keys() & other.settings.keys()
        return {n: v for n, v in other.settings.items() if n in both and v != self.settings[n]}

    @property
    def several(self) -> bool:
        """Whether the interval covers another seed."""
        return self.estimate is not None and self.estimate.seeds > 1


@dataclass(frozen=True)
class Judged:
    """A claim with its answer, None where nothing was run for it; `others` are those of other folders."""

    claim: Claim
    answer: Answer | None
    others: tuple[Answer, ...] = ()
    p_holm: float | None = None

    @property
    def verdict(self) -> str:
        """By the rule of the module."""
        if self.answer is None or self.p_holm is None or not self.p_holm < LEVEL or self.against:
            return CANNOT_TELL
        return SUPPORTED if self._meets(self.answer.value) else NOT_SUPPORTED

    @property
    def against(self) -> tuple[Answer, ...]:
        """Answers of other folders whose interval lies wholly on the other side of the bound."""
        if self.answer is None:
            return ()
        side = self._meets(self.answer.value)
        ends = [(a, a.estimate.low, a.estimate.high) for a in self.others if a.estimate and a.several]
        return tuple(a for a, *both in ends if {self._meets(end) for end in both} == {not side})

    def _meets(self, value: float) -> bool:
        return value < self.claim.bound if self.claim.below else value > self.claim.bound

    @property
    def paper(self) -> float | None:
        """What the paper prints of the quantity."""
        return self.claim.printed if self.answer is None else self.answer.paper

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types; numbers in the claim's unit."""
        claim, answer, scale = self.claim, self.answer, self.claim.scale
        estimate = answer.estimate if answer else None
        return {
            "text": claim.text,
            "source": claim.source,
            "verdict": self.verdict,
            "what": claim.evidence.what,
            "needs": {"below" if claim.below else "above": scale * claim.bound},
            "unit": claim.unit,
            "estimate": None if answer is None else scale * answer.value,
            "interval": None if estimate is None else [scale * estimate.low, scale * estimate.high],
            "n": 0 if answer is None else answer.n,
            "p_holm": self.p_holm,
            "paper": None if self.paper is None else scale * self.paper,
            "from": answer.where if answer else None,
            "corpora": list(answer.corpora) if answer else [],
            "against": [other.where for other in self.against],
            "command": claim.evidence.command,
        }


def judged(held: Held, claims: Sequence[Claim] = CLAIMS) -> list[Judged]:
    """Every claim with its verdict, in the order of the table.

    Several grids may hold the two recipes of a claim. The answer is that of the grid with several seeds and,
    of these, with the most training texts over all its pairs of networks: nothing that looks at an outcome.
    """
    found = [Judged(claim, *_answers(held, claim)) for claim in claims]
    tested = [i for i, own in enumerate(found) if own.answer and own.answer.several]
    adjusted = holm([_p_value(found[i]) for i in tested])
    for i, p_holm in zip(tested, adjusted, strict=True):
        found[i] = replace(found[i], p_holm=p_holm)
    return found


def _p_value(own: Judged) -> float:
    """Two-sided, of the quantity being at the bound of the claim."""
    e = own.answer.estimate if own.answer else None
    assert e is not None
    parts = (e.seeds_part, e.folds_part, e.examples_part)
    away = e.difference - own.claim.bound
    return estimate_of(away, parts, e.floor, e.seeds, e.runs, e.method, 1 - LEVEL).p_value


def _answers(held: Held, claim: Claim) -> tuple[Answer | None, tuple[Answer, ...]]:
    match claim.evidence:
        case Pair() as pair:
            found = [a for name, cells in held.grids.items() if (a := _of_pair(name, cells, pair))]
            found.sort(key=lambda a: (a.several, a.n * training_texts(held.grids[a.where])), reverse=True)
        case Variants() as variants:
            one = _of_variants(held.answers.get(variants.study, ()), variants)
            found = [one] if one else []
        case Measured() as measured:
            one = _of_points(held.points.get(measured.study, ()), measured)
            found = [one] if one else []
    if claim.printed is not None:
        found = [replace(answer, paper=claim.printed) for answer in found]
    return (found[0], tuple(found[1:])) if found else (None, ())


def training_texts(cells: Cells) -> float:
    """The mean over the corpora of how many training texts a cell has; 0 where no cell says it."""
    sizes = {r.cell.corpus: r.corpus.train_rows for r in cells.done() if r.corpus}
    return sum(sizes.values()) / len(sizes) if sizes else 0.0


def _of_pair(name: str, cells: Cells, pair: Pair) -> Answer | None:
    """From the even part of the paper's grid where a block of it is whole, else from all corpora there."""
    seeds = sorted({run.seed for runs in cells.groups.values() for run in runs.done})
    even = table_iv(cells, tuple(seeds)).even_cells()
    own = even if even.groups and not pair.pretrained else cells
    kept = {
        key: runs
        for key, runs in own.groups.items()
        if key.arch != NO_ARCH and is_pretrained(key.arch) == pair.pretrained
    }
    found = _answer(name, Cells(kept), Statement(pair.recipe, pair.reference, "", pair.measure))
    runs = (r for key, runs in kept.items() if key.method.recipe == pair.recipe for r in runs.done.values())
    read = [as_read(settings, "recipe") for settings in distinct(r.settings for r in runs)]
    alike = read[0].keys() - set(differing(read)) if read else ()
    return found and replace(found, settings={n: shown(v) for n, v in read[0].items() if n in alike})


def _of_variants(results: Sequence[Result], variants: Variants) -> Answer | None:
    """The two variants as if each were a recipe of its own, on the corpora where both have runs."""
    by_id = {result.id: result for result in results}
    groups: dict[Key, dict[Run, Result]] = {}
    for (variant, _), ids in owners(question(variants.study), results).items():
        for result in (by_id[id] for id in ids if variant in (variants.variant, variants.reference)):
            cell = result.cell
            if result.done:
                own = groups.setdefault(Key(cell.arch, cell.corpus, Method(variant)), {})
                own[Run(cell.seed, cell.fold)] = result
    names = (variants.variant, variants.reference)
    one, other = ({key[:2] for key in groups if key.method.recipe == name} for name in names)
    cells = Cells({key: Group(runs, {}) for key, runs in groups.items() if key[:2] in one & other})
    return _answer(variants.study, cells, Statement(*names, ""))


def _answer(name: str, cells: Cells, statement: Statement) -> Answer | None:
    last = next(reversed(findings(cells, [statement])), None)
    if last is None or last.estimate is None:
        return None
    return Answer(name, last.estimate.difference, last.estimate, last.pairs, last.paper, cells.corpora())


def _of_points(points: Sequence[Point], measured: Measured) -> Answer | None:
    """The mean over models and corpora, each a mean over its seeds."""
    values = list(_values(points, measured))
    return Answer(measured.study, *mean_over_tasks(values), len(values)) if values else None


def _values(points: Sequence[Point], measured: Measured) -> Iterator[tuple[tuple[str, str], float]]:
    """(model, corpus), and the value of one network or pair of them."""
    places = {point.network: measured.value(point.values) for point in points}
    for (variant, arch, corpus, seed), value in places.items():
        if variant != measured.variant or value is None:
            continue
        if not measured.reference:
            yield (arch, corpus), value
        elif (base := places.get((measured.reference, arch, corpus, seed))) is not None:
            yield (arch, corpus), value - base
