"""The list of cells of a study, and what each needs to run. Corpora are prepared (and cached) on the way."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from zoo.core.errors import UserError
from zoo.core.identity import canonical_json, cell_id
from zoo.core.names import BASELINE, NO_ARCH, is_multitask, is_pretrained
from zoo.core.result import FAILED, Cell, CorpusInfo, Result
from zoo.grid.fits import check_fits
from zoo.grid.jobs import Job, Places
from zoo.grid.vectors import VectorFiles
from zoo.text import Corpus, Examples, TextSettings, load_corpus, load_examples
from zoo.text.settings import Report
from zoo.training.baseline import BaselineSettings, baseline_settings
from zoo.training.cell import corpus_info
from zoo.training.seeds import why_not_stacked
from zoo.training.settings import CellSettings


class Grid(Protocol):
    """What a planner asks of a study (`zoo.studies.study.Study`)."""

    @property
    def corpora(self) -> Sequence[str]:
        """Names or paths."""

    @property
    def archs(self) -> Sequence[str]:
        """Models."""

    @property
    def recipes(self) -> Sequence[str]:
        """Methods."""

    @property
    def seeds(self) -> Sequence[int]:
        """Seeds."""

    @property
    def folds(self) -> int:
        """k of k-fold cross-validation; 0: the fixed split."""

    def text(self, corpus: str, fold: int) -> TextSettings:
        """How the texts of a corpus are prepared."""

    def settings(self, arch: str, recipe: str, text: TextSettings, corpus: str = "") -> CellSettings:
        """Everything that decides a cell's result; `corpus` as in `corpora`."""


def plan_jobs(study: Grid, places: Places, report: Report) -> list[Job]:
    """All cells of a study, corpus by corpus, the reference row of each first.

    Raises:
        UserError: a corpus that cannot be used, two of one name, or a model that no memory here can hold.
    """
    jobs: list[Job] = []
    sources: dict[str, str] = {}
    vectors = VectorFiles(places.cache)
    own, brought = ([a for a in study.archs if is_pretrained(a) == kind] for kind in (False, True))
    tasks: dict[int | None, list[_Source]] = {}
    for source in study.corpora:
        for fold in range(max(1, study.folds)):
            text = study.text(source, fold)
            where = fold if study.folds else None
            if brought:
                examples = load_examples(source, text, places.data, places.cache, report)
                check_name(sources, examples.name, source)
                # The reference row reads one text and names a class.
                single = bool(examples.labels) and not examples.train.pairs
                if places.save_models and not single:
                    raise UserError(
                        f"--save-models: {examples.name} has pairs or scores, which zoo.predict does not "
                        "take; expected --keep-weights or other corpora"
                    )
            if own or single:
                corpus = load_corpus(source, text, places.data, places.cache, report)
                check_name(sources, corpus.name, source)
                for seeds in _jobs_of(study, source, corpus, text, where, vectors, own):
                    jobs += _stacked(seeds) if places.stack_seeds else seeds
            if brought:
                jobs += _jobs_of_pretrained(study, _Source(source, examples, text), where, brought)
                tasks.setdefault(where, []).append(_Source(source, examples, text))
    for arch in filter(is_multitask, study.archs):
        for where, sources_of_fold in tasks.items():
            jobs += _jobs_together(study, sources_of_fold, where, arch)
    return jobs


def check_name(sources: dict[str, str], name: str, source: str) -> None:
    """Note in `sources` (name -> source) that a corpus of this name comes from there.

    Raises:
        UserError: another one has the name already.
    """
    if sources.setdefault(name, source) != source:
        raise UserError(
            f"corpora {sources[name]} and {source} have one name, {name}: their cells could not be told "
            "apart; expected files or folders of different names"
        )


def _jobs_of(
    study: Grid,
    source: str,
    corpus: Corpus,
    text: TextSettings,
    fold: int | None,
    vectors: VectorFiles,
    archs: Sequence[str],
) -> Iterator[list[Job]]:
    """The reference row, then the cells of the zoo's own models: all seeds of a setting at a time."""
    info = corpus_info(corpus)
    baseline = baseline_settings(corpus, text)
    row = Cell(corpus.name, NO_ARCH, BASELINE, 0, fold)
    yield [Job(head, baseline, source, 0.0) for head in _heads([row], baseline, info, corpus.fingerprint)]
    for arch, recipe in itertools.product(archs, study.recipes):
        settings = study.settings(arch, recipe, text, source)
        check_fits(arch, settings, len(corpus.words), len(corpus.labels))
        data = corpus.fingerprint + vectors.fingerprint(settings, corpus, study.seeds[0])
        passes = settings.recipe.passes * settings.train.members
        units = float(passes * len(corpus.train.ids) * settings.train.epochs)
        cells = [Cell(corpus.name, arch, recipe, seed, fold) for seed in study.seeds]
        heads = _heads(cells, settings, info, data)
        yield [Job(head, settings, source, units, model=arch) for head in heads]


def _stacked(jobs: list[Job]) -> list[Job]:
    """Cells that differ in their seeds alone, as those of one training where they can be."""
    settings = jobs[0].settings
    if len(jobs) < 2 or isinstance(settings, BaselineSettings) or why_not_stacked(settings):
        return jobs
    return [replace(job, together=tuple(jobs)) for job in jobs]


def _jobs_of_pretrained(study: Grid, own: _Source, fold: int | None, archs: Sequence[str]) -> Iterator[Job]:
    """The cells of models that bring weights and a tokeniser; their content names a cell as the texts do."""
    from zoo.pretrained.folders import fingerprint, folder_of, short_name

    names: dict[str, str] = {}
    for arch in archs:
        if names.setdefault(name := short_name(arch), arch) != arch:
            raise UserError(
                f"archs {names[name]} and {arch} have one name, {name}: expected folders of different names"
            )
        if is_multitask(arch):
            continue
        data = f"{own.examples.fingerprint}+{fingerprint(folder_of(arch))}"
        for recipe in study.recipes:
            settings = study.settings(arch, recipe, own.text, own.source)
            check_fits(arch, settings, 0, own.examples.outputs)
            for seed in study.seeds:
                yield _job(own, settings, data, arch, Cell(own.examples.name, name, recipe, seed, fold))


@dataclass(frozen=True)
class _Source:
    """A corpus as it was asked for, and as it is."""

    source: str
    examples: Examples
    text: TextSettings

    @cached_property
    def words(self) -> int:
        """Of the training texts, as far as they are read."""
        texts = [*self.examples.train.texts, *self.examples.train.pairs]
        return sum(min(len(one.split()), self.text.max_length) for one in texts)


def _jobs_together(study: Grid, sources: Sequence[_Source], fold: int | None, arch: str) -> Iterator[Job]:
    """The cells of a model that is trained on all corpora at once: those of one training stand together.

    What is trained beside it decides a cell's result, so it names it: rows, settings and names of all.

    Raises:
        UserError: one corpus alone, or corpora that the preset trains otherwise than the first one.
    """
    from zoo.pretrained.folders import fingerprint, folder_of, short_name

    if len(sources) < 2:
        raise UserError(
            f"arch {arch}: trains one model on all corpora of a run; expected two or more, here is "
            f"{sources[0].examples.name} alone"
        )
    tasks = sorted(sources, key=lambda own: own.examples.name)
    names = tuple(own.examples.name for own in tasks)
    for recipe in study.recipes:
        found = [study.settings(arch, recipe, own.text, own.source) for own in tasks]
        check_fits(arch, found[0], 0, 1)
        for own, settings in zip(names, found, strict=True):
            if settings.train != found[0].train:
                raise UserError(
                    f"arch {arch}: the preset trains {own} otherwise than {names[0]}; expected one training"
                )
        found = [replace(s, model=replace(s.model, tasks=names)) for s in found]  # type: ignore[call-arg]
        rows = [(own.examples.fingerprint, own.text.named()) for own in tasks]
        digest = hashlib.sha256(canonical_json(rows).encode()).hexdigest()[:16]
        data = f"{digest}+{fingerprint(folder_of(arch))}"
        for seed in study.seeds:
            jobs = tuple(
                _job(own, s, data, arch, Cell(own.examples.name, short_name(arch), recipe, seed, fold))
                for own, s in zip(tasks, found, strict=True)
            )
            yield from (replace(job, together=jobs) for job in jobs)


def _job(own: _Source, settings: CellSettings, data: str, arch: str, cell: Cell) -> Job:
    from zoo.pretrained.cell import examples_info

    units = float(settings.recipe.passes * own.words * settings.train.epochs)
    (head,) = _heads([cell], settings, examples_info(own.examples, arch), data)
    return Job(head, settings, own.source, units, model=arch)


def _heads(
    cells: Sequence[Cell], settings: CellSettings | BaselineSettings, info: CorpusInfo, data: str
) -> list[Result]:
    """What is known of the results of these cells, failed until they are done."""
    named, said = settings.named(), settings.as_json()  # of a grid's thousands of seeds once
    return [Result(cell_id(vars(cell), named, data), cell, FAILED, said, info) for cell in cells]


def by_kind(jobs: Sequence[Job]) -> Mapping[tuple[str, str, str], list[Job]]:
    """Jobs whose steps cost the same: (corpus, arch, recipe) -> jobs; the reference row is left out."""
    kinds: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        if not job.is_reference:
            kinds.setdefault((job.cell.corpus, job.cell.arch, job.cell.recipe), []).append(job)
    return kinds
